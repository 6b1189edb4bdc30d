import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, mock, test } from 'node:test'
import type { ClientSession } from '../../../src/c2s/session.ts'
import { Sessions, smidOf } from '../../../src/c2s/sessions.ts'
import { Wheel } from '../../../src/util/wheel.ts'
import { type BareJid, bareOf, type FullJid, fullJid } from '../../../src/xmpp/jid.ts'

const JULIET = 'juliet@example.org' as BareJid
const ROMEO = 'romeo@example.org' as BareJid

let now: number
let wheel: Wheel
let sessions: Sessions
/** Resources of those that expired, in order. */
let expired: string[]
let streams: number
beforeEach(() => {
  mock.timers.enable({ apis: ['setTimeout'] })
  now = 0
  wheel = new Wheel(100, () => now)
  sessions = new Sessions(wheel, 2)
  expired = []
  streams = 0
})
afterEach(() => {
  wheel.stop()
  mock.timers.reset()
})
/** As much of a session as the registry of sessions looks at; it leaves when it expires, as a real one does. */
function bind(account: BareJid, resource: string, resumeMs = 1_000): ClientSession {
  const jid: FullJid = fullJid(account, resource)
  const session = {
    jid,
    account: bareOf(jid),
    stream: new Uint8Array(16).fill(++streams),
    isResumable: true,
    resumeMs,
    expire: () => {
      expired.push(resource)
      sessions.remove(session)
    },
  } as unknown as ClientSession
  sessions.add(session)
  return session
}
function pass(ms: number): void {
  for (let left = ms; left > 0; left -= 100) {
    now += 100
    mock.timers.tick(100)
  }
}

describe('Sessions', () => {
  test('by address and by account, in the order in which they were bound', () => {
    const phone = bind(JULIET, 'phone')
    const laptop = bind(JULIET, 'laptop')
    const other = bind(ROMEO, 'phone')
    assert.equal(sessions.get(phone.jid), phone)
    assert.deepEqual(sessions.of(JULIET), [phone, laptop])
    assert.deepEqual([...sessions], [phone, laptop, other])
    sessions.remove(phone)
    assert.equal(sessions.get(phone.jid), undefined)
    assert.deepEqual(sessions.of(JULIET), [laptop])
    sessions.remove(laptop)
    assert.deepEqual(sessions.of(JULIET), [])
    assert.equal(sessions.size, 1)
  })

  test('the end of a replaced session does not take its successor along', () => {
    const old = bind(JULIET, 'phone')
    const successor = bind(JULIET, 'phone')
    sessions.remove(old)
    assert.equal(sessions.get(successor.jid), successor)
    assert.deepEqual(sessions.of(JULIET), [successor])
  })

  test('a resumption id is worth something to its own account only, and while the session is there', () => {
    const phone = bind(JULIET, 'phone')
    const smid = smidOf(phone.stream as Uint8Array)
    sessions.addResumable(smid, phone)
    assert.equal(sessions.resumable(smid, JULIET), phone)
    assert.equal(sessions.resumable(smid, ROMEO), undefined)
    assert.equal(sessions.resumable('unknown', JULIET), undefined)
    sessions.remove(phone)
    assert.equal(sessions.resumable(smid, JULIET), undefined)
  })

  test('a detached one expires after its time, unless it comes back', () => {
    const phone = bind(JULIET, 'phone', 1_000)
    const laptop = bind(ROMEO, 'laptop', 1_000)
    sessions.detached(phone)
    sessions.detached(laptop)
    assert.equal(sessions.detachedCount, 2)
    pass(900)
    assert.deepEqual(expired, [])
    sessions.attached(laptop)
    pass(200)
    assert.deepEqual(expired, ['phone'])
    assert.equal(sessions.detachedCount, 0)
    pass(5_000)
    assert.deepEqual(expired, ['phone'])
    assert.equal(sessions.get(laptop.jid), laptop)
  })

  test('an account keeps so many detached ones; the oldest goes', () => {
    const [a, b, c] = [bind(JULIET, 'a'), bind(JULIET, 'b'), bind(JULIET, 'c')]
    bind(JULIET, 'connected')
    const other = bind(ROMEO, 'other')
    for (const session of [other, a, b]) sessions.detached(session)
    assert.deepEqual(expired, [])
    sessions.detached(c)
    assert.deepEqual(expired, ['a'])
    assert.equal(sessions.detachedCount, 3)
  })

  test('room is made by ending a detached one, never a connected one', () => {
    bind(JULIET, 'connected')
    assert.equal(sessions.makeRoom(JULIET), false)
    sessions.detached(bind(JULIET, 'away'))
    assert.equal(sessions.makeRoom(JULIET), true)
    assert.deepEqual(expired, ['away'])
    assert.equal(sessions.makeRoom(JULIET), false)
  })
})
