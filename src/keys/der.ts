/** One value of DER (X.690): where it lies in the bytes it was read from. */
export interface Der {
  readonly tag: number
  readonly start: number
  /** Where its content starts. */
  readonly content: number
  readonly end: number
}

/** What was read is not DER: thrown by the readers of this file only, and turned into a KeyError where they are called. */
export class DerError extends Error {
  override readonly name = 'DerError'
}

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  sequence: 0x30,
} as const

/** Reads the value that starts at `start` and lies before `end`. Lengths must be definite and as short as they can be. @throws DerError */
export function readDer(bytes: Uint8Array, start: number, end: number): Der {
  const tag = bytes[start]
  const first = bytes[start + 1]
  if (start + 2 > end || tag === undefined || first === undefined) throw new DerError('truncated')
  if ((tag & 0x1f) === 0x1f) throw new DerError('long tag')
  let length = first
  let content = start + 2
  if (first >= 0x80) {
    const size = first & 0x7f
    if (size === 0 || size > 3) throw new DerError('bad length')
    if (content + size > end) throw new DerError('truncated')
    length = 0
    for (let i = 0; i < size; i++) length = length * 256 + (bytes[content + i] as number)
    content += size
    if (length < (size === 1 ? 0x80 : 256 ** (size - 1))) throw new DerError('long form')
  }
  if (content + length > end) throw new DerError('truncated')
  return { tag, start, content, end: content + length }
}

/** The values inside a constructed one. @throws DerError */
export function childrenOf(bytes: Uint8Array, parent: Pick<Der, 'content' | 'end'>): readonly Der[] {
  const children: Der[] = []
  for (let at = parent.content; at < parent.end; ) {
    const child = readDer(bytes, at, parent.end)
    children.push(child)
    at = child.end
  }
  return children
}

/** The value that is all of the bytes. @throws DerError */
export function wholeDer(bytes: Uint8Array): Der {
  const whole = readDer(bytes, 0, bytes.length)
  if (whole.end !== bytes.length) throw new DerError('trailing bytes')
  return whole
}

/** Writes a value. */
export function der(tag: number, ...content: readonly Uint8Array[]): Buffer {
  const length = content.reduce((sum, part) => sum + part.length, 0)
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), ...content])
}

/** Writes an unsigned integer given big-endian. */
export function derUnsigned(bytes: Uint8Array): Buffer {
  const from = bytes.findIndex((byte) => byte !== 0)
  const trimmed = from < 0 ? Buffer.of(0) : Buffer.from(bytes.subarray(from))
  return der(TAG.integer, (trimmed[0] as number) >= 0x80 ? Buffer.concat([Buffer.of(0), trimmed]) : trimmed)
}

/** Writes a bit string of whole bytes. */
export const derBits = (bytes: Uint8Array): Buffer => der(TAG.bitString, Buffer.of(0), bytes)
