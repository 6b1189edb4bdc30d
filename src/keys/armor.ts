/** RFC 9580 §6.2.1: what stands in the lines around a block. */
type BlockKind = 'PUBLIC KEY BLOCK' | 'PRIVATE KEY BLOCK'

/** RFC 9580 §6.2. COMPAT(GnuPG 2.2): what a keyserver sends it reads only with the checksum, which RFC 9580 leaves out. */
export function armored(kind: BlockKind, ring: Uint8Array): string {
  const lines = Buffer.from(ring)
    .toString('base64')
    .replaceAll(/.{64}(?=.)/g, '$&\n')
  const checksum = Buffer.alloc(3)
  checksum.writeUIntBE(crc24(ring), 0, 3)
  const end = `=${checksum.toString('base64')}\n-----END PGP ${kind}-----\n`
  return `-----BEGIN PGP ${kind}-----\n\n${lines}\n${end}`
}
/** RFC 9580 §6.1.1. */
function crc24(bytes: Uint8Array): number {
  let crc = 0xb704ce
  for (const byte of bytes) {
    crc ^= byte << 16
    for (let i = 0; i < 8; i++) {
      crc <<= 1
      if ((crc & 0x1000000) !== 0) crc ^= 0x1864cfb
    }
  }
  return crc & 0xffffff
}

/**
 * The bytes of the one block of that kind in a text, or of a text that is base64 and nothing else; undefined when it is neither.
 * A checksum is not looked at (RFC 9580 §6.1), and the empty line before the data may be missing: forms lose it.
 */
export function dearmored(kind: BlockKind, text: string): Uint8Array | undefined {
  const lines = text.split('\n').map((line) => line.trim())
  const marks = lines.flatMap((line, at) => (line.startsWith('-----') ? [at] : []))
  const [begin, end, ...others] = marks
  if (begin === undefined) return bytesOf(lines.join(''))
  const isBlock = lines[begin] === `-----BEGIN PGP ${kind}-----` && lines[end ?? -1] === `-----END PGP ${kind}-----`
  if (!isBlock || others.length > 0) return undefined
  // Headers have a colon, and checksums begin with what ends data.
  const data = lines.slice(begin + 1, end).filter((line) => !line.includes(':') && !/^=[A-Za-z0-9+/]{4}$/.test(line))
  return bytesOf(data.join(''))
}
function bytesOf(text: string): Uint8Array | undefined {
  const packed = text.replaceAll(/\s+/g, '')
  return /^[A-Za-z0-9+/]+={0,2}$/.test(packed) ? Buffer.from(packed, 'base64') : undefined
}
