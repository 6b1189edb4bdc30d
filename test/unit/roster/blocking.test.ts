import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isBlocked, withoutBlocks } from '../../../src/roster/blocking.ts'
import type { BareJid, Jid } from '../../../src/xmpp/jid.ts'
import { MemoryRosterStore } from '../../helpers/memory-roster-store.ts'

const ME = 'juliet@capulet.example' as BareJid
const blocks = (...blocked: string[]) => {
  const owner = { jid: ME, blocked: new Set(blocked as Jid[]) }
  return (other: string) => isBlocked(owner, other as Jid)
}

test('each form of an address blocks what XEP-0191 §5 says', () => {
  const others = [
    'romeo@montague.example/orchard',
    'romeo@montague.example/phone',
    'romeo@montague.example',
    'tybalt@montague.example',
    'montague.example/orchard',
    'montague.example',
    'sub.montague.example',
    'romeo@elsewhere.example',
  ]
  const table: Readonly<Record<string, readonly number[]>> = {
    'romeo@montague.example/orchard': [0],
    'romeo@montague.example': [0, 1, 2],
    'montague.example/orchard': [4],
    'montague.example': [0, 1, 2, 3, 4, 5],
  }
  for (const [item, expected] of Object.entries(table)) {
    const found = others.flatMap((other, i) => (blocks(item)(other) ? [i] : []))
    assert.deepEqual(found, expected, item)
  }
  assert.equal(others.some(blocks()), false)
})

test('neither the own devices nor the own server are ever blocked, others of the own domain are', () => {
  const isOnList = blocks(ME, `${ME}/phone`, 'capulet.example')
  for (const own of [ME, `${ME}/phone`, `${ME}/other`, 'capulet.example', 'capulet.example/x'])
    assert.equal(isOnList(own), false, own)
  assert.equal(isOnList('nurse@capulet.example'), true)
})

test('a server without blocking applies no list', async () => {
  const store = new MemoryRosterStore()
  store.addAccount(ME)
  store.block(ME, 'romeo@montague.example' as Jid)
  assert.equal((await store.load(ME))?.blocked.length, 1)
  const without = await withoutBlocks(store).load(ME)
  assert.deepEqual([without?.blocked, without?.account.jid], [[], ME])
  assert.equal(await withoutBlocks(store).load('nobody@capulet.example' as BareJid), undefined)
})
