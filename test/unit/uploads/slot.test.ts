import assert from 'node:assert/strict'
import test from 'node:test'
import { readSlot, type Slot, writeSlot } from '../../../src/uploads/slot.ts'

const KEY = Buffer.alloc(32, 1)
const OLD_KEY = Buffer.alloc(32, 2)
const SLOT: Slot = {
  id: '0123456789abcdef'.repeat(2),
  size: 2 ** 40 + 5,
  type: 'image/jpeg',
  expiresAt: 1_800_000_000_000,
  success: 200,
}

test('a slot is what was signed, by the key in use or one before it', () => {
  for (const slot of [SLOT, { ...SLOT, type: undefined, success: 201 as const }]) {
    const text = writeSlot(slot, KEY)
    assert.match(text, /^[\w-]+$/)
    assert.deepEqual(readSlot(text, [KEY]), slot)
    assert.deepEqual(readSlot(text, [OLD_KEY, KEY]), slot)
    assert.equal(readSlot(text, [OLD_KEY]), undefined)
  }
})
test('no other size, type, time or file will do', () => {
  const bytes = Buffer.from(writeSlot(SLOT, KEY), 'base64url')
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const changed = Buffer.from(bytes)
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    assert.equal(readSlot(changed.toString('base64url'), [KEY]), undefined)
  }
})
test('what is no slot at all, and one that is written another way', () => {
  const text = writeSlot({ ...SLOT, type: 'a/bc' }, KEY)
  const swapped = `${text.slice(0, -1)}${String.fromCharCode((text.codePointAt(text.length - 1) ?? 0) + 1)}`
  for (const other of ['', 'a', `${text}=`, `${text} `, ` ${text}`, `${text}A`, 'A'.repeat(2_000), swapped])
    assert.equal(readSlot(other, [KEY]), undefined, other)
})
