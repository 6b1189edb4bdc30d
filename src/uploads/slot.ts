import { createHmac, timingSafeEqual } from 'node:crypto'

/** What a PUT may bring, said by its address and signed: no other size, type or time will do. */
export interface Slot {
  /** 32 hex digits. */
  readonly id: string
  readonly size: number
  /** Media type as it was asked for; undefined: whatever is sent. */
  readonly type: string | undefined
  /** Ms since the epoch. */
  readonly expiresAt: number
  /** What an upload is answered with: 201 (XEP-0363), or 200 for clients of its first drafts. */
  readonly success: 200 | 201
}

const ID_BYTES = 16
const MAC_BYTES = 16
/** Success, id, seconds, size. */
const HEAD_BYTES = 1 + ID_BYTES + 5 + 6
const MAX_TEXT = 1_024

/** The slot as one segment of a path. */
export function writeSlot({ id, size, type, expiresAt, success }: Slot, key: Uint8Array): string {
  const head = Buffer.alloc(HEAD_BYTES)
  head[0] = success
  head.write(id, 1, 'hex')
  head.writeUIntBE(Math.floor(expiresAt / 1000), 1 + ID_BYTES, 5)
  head.writeUIntBE(size, 1 + ID_BYTES + 5, 6)
  const said = Buffer.concat([head, Buffer.from(type ?? '')])
  return Buffer.concat([said, macOf(said, key)]).toString('base64url')
}

/** Undefined when none of the keys has signed it. */
export function readSlot(text: string, keys: readonly Uint8Array[]): Slot | undefined {
  if (text.length > MAX_TEXT || !/^[\w-]+$/.test(text)) return undefined
  const bytes = Buffer.from(text, 'base64url')
  // One text for one slot.
  if (bytes.length < HEAD_BYTES + MAC_BYTES || bytes.toString('base64url') !== text) return undefined
  const said = bytes.subarray(0, -MAC_BYTES)
  const mac = bytes.subarray(-MAC_BYTES)
  if (!keys.some((key) => timingSafeEqual(macOf(said, key), mac))) return undefined
  const type = said.toString('utf8', HEAD_BYTES)
  return {
    id: said.toString('hex', 1, 1 + ID_BYTES),
    size: said.readUIntBE(1 + ID_BYTES + 5, 6),
    type: type === '' ? undefined : type,
    expiresAt: said.readUIntBE(1 + ID_BYTES, 5) * 1000,
    success: said[0] === 200 ? 200 : 201,
  }
}
const macOf = (said: Uint8Array, key: Uint8Array): Buffer =>
  createHmac('sha256', key).update(said).digest().subarray(0, MAC_BYTES)
