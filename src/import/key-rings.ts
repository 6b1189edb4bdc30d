import { createReadStream } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { KeyError } from '../keys/key-error.ts'
import { PACKET } from '../keys/packets.ts'

/** Longer ones are no accounts' keys. */
const MAX_RING = 64 * 1024
const ARMOR = '-----BEGIN PGP PUBLIC KEY BLOCK-----'
/** A header of a packet with its longest length. */
const MAX_HEADER = 6

/**
 * Transferable public keys in a file, or in all files of a folder: armoured or binary, one after the other, as `gpg --export` writes
 * them. Keeps one key at a time.
 * @throws KeyError malformed, too-large; the error of the file system
 */
export async function* keyRings(path: string): AsyncGenerator<Buffer> {
  if (!(await stat(path)).isDirectory()) {
    yield* ringsOfFile(path)
    return
  }
  for (const entry of (await readdir(path, { withFileTypes: true })).toSorted((a, b) => (a.name < b.name ? -1 : 1)))
    if (entry.isFile()) yield* ringsOfFile(join(path, entry.name))
}

async function* ringsOfFile(path: string): AsyncGenerator<Buffer> {
  const splitter = new RingSplitter()
  const armor = new Armor()
  let isArmored: boolean | undefined
  for await (const part of createReadStream(path) as AsyncIterable<Buffer>) {
    isArmored ??= ((part[0] ?? 0) & 0x80) === 0
    yield* splitter.push(isArmored ? Buffer.concat(armor.push(part)) : part)
  }
  if (isArmored === true) armor.end()
  yield* splitter.end()
}

/** The bytes in the armoured blocks of a text (RFC 9580 §6.2), line by line; what stands around them is passed over. */
class Armor {
  #line = ''
  #state: 'outside' | 'headers' | 'data' = 'outside'

  push(part: Buffer): Buffer[] {
    const lines = (this.#line + part.toString('latin1')).split('\n')
    this.#line = lines.pop() ?? ''
    if (this.#line.length > MAX_RING) throw new KeyError('too-large', 'line of an armoured key')
    return lines.flatMap((line) => this.#read(line.trim()))
  }
  end(): void {
    this.#read(this.#line.trim())
    if (this.#state !== 'outside') throw new KeyError('malformed', 'armoured key without end')
  }
  #read(line: string): Buffer[] {
    if (this.#state === 'outside') {
      if (line === ARMOR) this.#state = 'headers'
    } else if (line.startsWith('-----')) {
      this.#state = 'outside'
    } else if (line === '') {
      this.#state = 'data'
    } else if (this.#state === 'data' && !line.startsWith('=')) {
      if (!/^[A-Za-z0-9+/]+={0,2}$/.test(line)) throw new KeyError('malformed', 'armoured key')
      return [Buffer.from(line, 'base64')]
    }
    return []
  }
}

/** Cuts packets one after the other into keys, each of which begins with its primary key. */
class RingSplitter {
  #rest: Buffer = Buffer.alloc(0)
  #ring: Buffer[] = []
  #size = 0;

  *push(bytes: Buffer): Generator<Buffer> {
    const all = Buffer.concat([this.#rest, bytes])
    let at = 0
    for (;;) {
      const packet = packetAt(all, at)
      if (packet === undefined || at + packet.size > all.length) break
      if (packet.tag === PACKET.publicKey) yield* this.#flush()
      this.#size += packet.size
      if (this.#size > MAX_RING) throw new KeyError('too-large', 'key')
      this.#ring.push(all.subarray(at, at + packet.size))
      at += packet.size
    }
    this.#rest = all.subarray(at)
  }
  *end(): Generator<Buffer> {
    if (this.#rest.length > 0) throw new KeyError('malformed', 'truncated packet')
    yield* this.#flush()
  }
  *#flush(): Generator<Buffer> {
    if (this.#ring.length > 0) yield Buffer.concat(this.#ring)
    this.#ring = []
    this.#size = 0
  }
}

/** RFC 9580 §4.2; undefined where more bytes are needed. @throws KeyError */
function packetAt(bytes: Buffer, at: number): { readonly tag: number; readonly size: number } | undefined {
  const header = bytes[at]
  if (header === undefined) return undefined
  if ((header & 0x80) === 0) throw new KeyError('malformed', 'no packet')
  // Enough for any header, or all there is.
  if (bytes.length - at < MAX_HEADER && bytes.length - at < headerSize(header, bytes[at + 1] ?? 255)) return undefined
  const isNew = (header & 0x40) !== 0
  const tag = isNew ? header & 0x3f : (header >> 2) & 0xf
  const first = bytes[at + 1] as number
  const headerBytes = headerSize(header, first)
  let length: number
  if (isNew) {
    if (first >= 224 && first < 255) throw new KeyError('malformed', 'partial length')
    length =
      first < 192
        ? first
        : first < 224
          ? ((first - 192) << 8) + (bytes[at + 2] as number) + 192
          : bytes.readUInt32BE(at + 2)
  } else {
    const size = headerBytes - 1
    if (size === 0) throw new KeyError('malformed', 'indeterminate length')
    length = bytes.readUIntBE(at + 1, size)
  }
  if (length > MAX_RING) throw new KeyError('too-large', 'packet')
  return { tag, size: headerBytes + length }
}
function headerSize(header: number, first: number): number {
  if ((header & 0x40) === 0) return (header & 3) === 3 ? 1 : 1 + (1 << (header & 3))
  return first < 192 ? 2 : first < 224 ? 3 : 6
}
