/** Oids of the elements' types (PostgreSQL, `pg_type.dat`). */
const INT8 = 20
const TEXT = 25
const HEADER = 20

/** A `bigint[]` in PostgreSQL's binary form (`array_recv`): a column of rows, null where `of` says so. */
export function int8s<T>(rows: readonly T[], of: (row: T) => number | null): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER + 12 * rows.length)
  let at = header(bytes, INT8, rows.length)
  let hasNull = 0
  for (const row of rows) {
    const value = of(row)
    if (value === null) {
      hasNull = 1
      at = bytes.writeInt32BE(-1, at)
      continue
    }
    at = bytes.writeInt32BE(8, at)
    at = bytes.writeInt32BE(Math.floor(value / 2 ** 32), at)
    at = bytes.writeUInt32BE(value >>> 0, at)
  }
  bytes.writeInt32BE(hasNull, 4)
  return bytes.subarray(0, at)
}

/** A `text[]` in the same form. */
export function texts<T>(rows: readonly T[], of: (row: T) => string): Buffer {
  const values = rows.map(of)
  const bytes = Buffer.allocUnsafe(values.reduce((size, text) => size + 4 + Buffer.byteLength(text), HEADER))
  let at = header(bytes, TEXT, values.length)
  for (const text of values) {
    const size = bytes.write(text, at + 4)
    bytes.writeInt32BE(size, at)
    at += 4 + size
  }
  return bytes
}

/** One dimension, which counts from 1. */
function header(bytes: Buffer, type: number, length: number): number {
  bytes.writeInt32BE(1, 0)
  bytes.writeInt32BE(0, 4)
  bytes.writeInt32BE(type, 8)
  bytes.writeInt32BE(length, 12)
  return bytes.writeInt32BE(1, 16)
}
