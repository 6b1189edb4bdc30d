import { KeyError } from './key-error.ts'

/** One OpenPGP packet (RFC 9580 §4), undecoded. */
export interface RawPacket {
  readonly tag: number
  readonly body: Uint8Array
}

export const PACKET = { signature: 2, publicKey: 6, trust: 12, userId: 13, publicSubkey: 14, attribute: 17 } as const

/** Splits a key block. Partial and indeterminate lengths have no place in one (RFC 9580 §4.2.1.4). @throws KeyError malformed */
export function splitPackets(bytes: Uint8Array, maxPackets: number): readonly RawPacket[] {
  const packets: RawPacket[] = []
  for (let at = 0; at < bytes.length; ) {
    if (packets.length === maxPackets) throw new KeyError('too-large', 'too many packets')
    const header = bytes[at++] as number
    if ((header & 0x80) === 0) throw new KeyError('malformed', 'no packet')
    const isNew = (header & 0x40) !== 0
    const { length, size } = isNew ? newLength(bytes, at) : oldLength(bytes, at, header & 3)
    at += size
    if (at + length > bytes.length) throw new KeyError('malformed', 'truncated packet')
    packets.push({ tag: isNew ? header & 0x3f : (header >> 2) & 0xf, body: bytes.subarray(at, at + length) })
    at += length
  }
  return packets
}

function newLength(bytes: Uint8Array, at: number): { length: number; size: number } {
  const first = bytes[at]
  if (first === undefined) throw new KeyError('malformed', 'truncated packet')
  if (first < 192) return { length: first, size: 1 }
  if (first < 224) return { length: ((first - 192) << 8) + number(bytes, at + 1, 1) + 192, size: 2 }
  if (first < 255) throw new KeyError('malformed', 'partial length')
  return { length: number(bytes, at + 1, 4), size: 5 }
}

function oldLength(bytes: Uint8Array, at: number, kind: number): { length: number; size: number } {
  if (kind === 3) throw new KeyError('malformed', 'indeterminate length')
  const size = 1 << kind
  return { length: number(bytes, at, size), size }
}

function number(bytes: Uint8Array, at: number, size: number): number {
  if (at + size > bytes.length) throw new KeyError('malformed', 'truncated packet')
  let value = 0
  for (let i = 0; i < size; i++) value = value * 256 + (bytes[at + i] as number)
  return value
}

/** Writes a packet with the old header, which every OpenPGP program reads. */
export function writePacket({ tag, body }: RawPacket): Buffer {
  const header = Buffer.alloc(4)
  header[0] = 0x80 | (tag << 2) | 1
  if (tag < 16 && body.length < 0x10000) {
    header.writeUInt16BE(body.length, 1)
    return Buffer.concat([header.subarray(0, 3), body])
  }
  throw new KeyError('too-large', 'packet')
}
