import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, mock, test } from 'node:test'
import { pino } from 'pino'
import type { Sender, Taker } from '../../../src/inbox/entry.ts'
import { Inbox } from '../../../src/inbox/inbox.ts'
import { Quota } from '../../../src/inbox/quota.ts'
import { Wheel } from '../../../src/util/wheel.ts'
import { el } from '../../../src/xmpp/element.ts'
import type { Jid } from '../../../src/xmpp/jid.ts'
import { NS_CLIENT } from '../../../src/xmpp/ns.ts'
import { payloadText, type Stanza, Stanza as Stanzas } from '../../../src/xmpp/stanza.ts'
import { bodies, FakeStore, isUnavailable, refused, turn } from './fake-store.ts'

const JULIET = 1
const NURSE = 2
const message = (body: string): Stanza =>
  Stanzas.of(
    { kind: 'message', type: 'chat', from: 'romeo@example.org/orchard' as Jid, to: 'juliet@example.org' as Jid },
    el('body', NS_CLIENT, {}, body),
  )

let store: FakeStore
let inbox: Inbox
let wheel: Wheel
let now: number
/** All that senders, takers and the line were told, in order. */
let told: string[]
let sender: Sender & { h: number }
let phone: Taker
let laptop: Taker
const taker = (name: string): Taker => ({ entryKept: (entry) => void told.push(`${name} knows ${entry.id}`) })
beforeEach(() => {
  mock.timers.enable({ apis: ['setTimeout'] })
  store = new FakeStore()
  now = 0
  told = []
  wheel = new Wheel(50, () => now)
  const quota = new Quota(store, 100, 1_000_000)
  inbox = new Inbox(store, quota, isUnavailable, wheel, pino({ level: 'silent' }), {
    kept: (entry) => void told.push(`kept ${payloadText(entry.stanza, 'body', NS_CLIENT)} ${entry.id}`),
  })
  sender = {
    stream: new Uint8Array(16).fill(7),
    h: 0,
    counted: (number) => number - 10,
    settled: (number) => void told.push(`settled ${number}`),
    refused: (number) => void told.push(`refused ${number}`),
  }
  phone = taker('phone')
  laptop = taker('laptop')
})
afterEach(() => {
  wheel.stop()
  mock.timers.reset()
})
/** Lets time pass, slot by slot. */
function pass(ms: number): void {
  for (let left = ms; left > 0; left -= 50) {
    now += 50
    mock.timers.tick(50)
  }
}
const commits = async (): Promise<string[]> => {
  const call = await store.next()
  call.done()
  await inbox.flushed(JULIET)
  return bodies(call.batch).map((xml) => /<body>(.*)<\/body>/.exec(xml)?.[1] ?? xml)
}

describe('held', () => {
  test('and taken in time: never committed, and settled for its sender', async () => {
    const entry = inbox.hold(JULIET, message('a'), sender, 11, [phone])
    assert.equal(entry.state, 'held')
    assert.equal(inbox.isBusy(JULIET), true)
    inbox.taken(entry)
    assert.equal(entry.state, 'taken')
    assert.deepEqual(told, ['settled 11'])
    assert.equal(inbox.isBusy(JULIET), false)
    pass(2_000)
    await turn()
    assert.equal(store.unseen, 0)
    inbox.taken(entry)
    assert.deepEqual(told, ['settled 11'])
  })

  test('and not taken: committed within a second, its takers told before the line', async () => {
    const entry = inbox.hold(JULIET, message('a'), sender, 11, [phone, laptop])
    pass(500)
    await turn()
    assert.equal(store.unseen, 0)
    assert.equal(entry.state, 'held')
    pass(400)
    assert.equal(entry.state, 'committing')
    assert.deepEqual(await commits(), ['a'])
    assert.equal(entry.state, 'kept')
    assert.equal(entry.id, 1)
    assert.deepEqual(told, ['settled 11', 'phone knows 1', 'laptop knows 1', 'kept a 1'])
    assert.equal(inbox.isBusy(JULIET), false)
  })

  test('each goes by its own age', async () => {
    inbox.hold(JULIET, message('old'), sender, 11, [phone])
    pass(500)
    inbox.hold(NURSE, message('young'), sender, 12, [laptop])
    pass(400)
    assert.deepEqual(await commits(), ['old'])
    await turn()
    assert.equal(store.unseen, 0)
    pass(500)
    const call = await store.next()
    assert.equal(call.batch.entries[0]?.account, NURSE)
    call.done()
    await inbox.flushed(NURSE)
  })

  test('carries what the store needs to name it after a crash', async () => {
    sender.h = 3
    inbox.hold(JULIET, message('a'), sender, 14, [phone])
    inbox.commitHeld(JULIET)
    sender.h = 4
    const call = await store.next()
    const [entry] = call.batch.entries
    assert.deepEqual(entry?.stream, sender.stream)
    assert.equal(entry?.number, 4)
    assert.equal(entry?.floor, 4)
    assert.equal(entry?.peer, 'romeo@example.org/orchard')
    assert.deepEqual([entry?.direction, entry?.wanted, entry?.archived], ['received', true, false])
    call.done()
    await inbox.flushed(JULIET)
  })
})

describe('taken', () => {
  test('while it is committing: settled at once, and the take is saved once there is an id', async () => {
    const entry = inbox.hold(JULIET, message('a'), sender, 11, [phone])
    inbox.commitHeld(JULIET)
    const call = await store.next()
    inbox.taken(entry)
    assert.deepEqual(told, ['settled 11'])
    call.done()
    const takes = await store.next()
    assert.deepEqual(told, ['settled 11', 'phone knows 1'])
    assert.deepEqual(takes.batch.takes, [{ account: JULIET, ids: [1] }])
    assert.equal(inbox.isBusy(JULIET), true)
    takes.done()
    await inbox.flushed(JULIET)
    assert.equal(inbox.isBusy(JULIET), false)
  })

  test('after it was kept: the take is saved, nobody is told again', async () => {
    const entry = inbox.keep(JULIET, message('a'), sender, 11)
    assert.ok(entry)
    await commits()
    inbox.taken(entry)
    inbox.taken(entry)
    inbox.takenStored(JULIET, 99)
    assert.deepEqual(told, ['settled 11', 'kept a 1'])
    pass(50)
    const call = await store.next()
    assert.deepEqual(call.batch.takes, [{ account: JULIET, ids: [1, 99] }])
    call.done()
    await inbox.flushed(JULIET)
  })

  test('while it is committing, and then refused: the sender hears nothing bad of what has arrived', async () => {
    const entry = inbox.hold(JULIET, message('a'), sender, 11, [phone])
    inbox.commitHeld(JULIET)
    const call = await store.next()
    inbox.taken(entry)
    call.fail(refused())
    await inbox.flushed(JULIET)
    assert.deepEqual(told, ['settled 11'])
    assert.equal(inbox.isBusy(JULIET), false)
  })
})

describe('who may be given a message ahead of its commit', () => {
  test('anybody while nothing is under way', () => {
    assert.equal(inbox.mayHold(JULIET, [phone]), true)
    assert.equal(inbox.mayHold(JULIET, [phone, laptop]), true)
  })
  test('the same takers, in the same order, while something is held', () => {
    inbox.hold(JULIET, message('a'), sender, 11, [phone, laptop])
    assert.equal(inbox.mayHold(JULIET, [phone, laptop]), true)
    assert.equal(inbox.mayHold(JULIET, [laptop, phone]), false)
    assert.equal(inbox.mayHold(JULIET, [phone]), false)
    assert.equal(inbox.mayHold(NURSE, [phone]), true)
  })
  test('others again once all that was held is taken', () => {
    const first = inbox.hold(JULIET, message('a'), sender, 11, [phone])
    const second = inbox.hold(JULIET, message('b'), sender, 12, [phone])
    inbox.taken(first)
    assert.equal(inbox.mayHold(JULIET, [laptop]), false)
    inbox.taken(second)
    assert.equal(inbox.mayHold(JULIET, [laptop]), true)
  })
  test('nobody while anything is committing', async () => {
    inbox.keep(JULIET, message('a'), sender, 11)
    assert.equal(inbox.mayHold(JULIET, [phone]), false)
    await commits()
    assert.equal(inbox.mayHold(JULIET, [phone]), true)
  })
})

describe('order', () => {
  test('what is held is committed before what is kept after it', async () => {
    inbox.hold(JULIET, message('a'), sender, 11, [phone])
    inbox.hold(JULIET, message('b'), sender, 12, [phone])
    inbox.keep(JULIET, message('c'), sender, 13)
    assert.deepEqual(await commits(), ['a', 'b', 'c'])
    assert.deepEqual(
      told.filter((t) => t.startsWith('kept')),
      ['kept a 1', 'kept b 2', 'kept c 3'],
    )
  })

  test('what is not kept overtakes nothing of the same account', async () => {
    assert.equal(
      inbox.after(JULIET, () => void told.push('at once')),
      true,
    )
    inbox.keep(JULIET, message('a'), sender, 11)
    assert.equal(
      inbox.after(JULIET, () => void told.push('first')),
      false,
    )
    inbox.after(JULIET, () => void told.push('second'))
    inbox.after(NURSE, () => void told.push('of another'))
    inbox.keep(JULIET, message('b'), sender, 12)
    inbox.after(JULIET, () => void told.push('third'))
    assert.deepEqual(told, ['at once', 'of another'])
    await commits()
    assert.deepEqual(told.slice(2), ['settled 11', 'kept a 1', 'first', 'second', 'settled 12', 'kept b 2', 'third'])
  })

  test('and goes on after a refusal', async () => {
    inbox.keep(JULIET, message('a'), sender, 11)
    inbox.after(JULIET, () => void told.push('then'))
    ;(await store.next()).fail(refused())
    await inbox.flushed(JULIET)
    assert.deepEqual(told, ['refused 11', 'then'])
    assert.equal(inbox.isBusy(JULIET), false)
  })
})

test('a page is read when all that this node knows of is in the store', async () => {
  const first = inbox.hold(JULIET, message('a'), sender, 11, [phone])
  inbox.hold(JULIET, message('b'), sender, 12, [phone])
  inbox.taken(first)
  const page = inbox.page(JULIET, 5, 100)
  const call = await store.next()
  assert.equal(call.batch.entries.length, 1)
  assert.deepEqual(store.opened, [])
  call.done()
  assert.deepEqual(await page, { entries: [], head: 1 })
  assert.deepEqual(store.opened, [[JULIET, 5, 100]])
})

test('a flush commits everything of everybody', async () => {
  inbox.hold(JULIET, message('a'), sender, 11, [phone])
  inbox.hold(NURSE, message('b'), sender, 12, [laptop])
  const flush = inbox.flush()
  const call = await store.next()
  assert.deepEqual(
    call.batch.entries.map((e) => e.account),
    [JULIET, NURSE],
  )
  call.done()
  await flush
  assert.equal(inbox.isBusy(JULIET) || inbox.isBusy(NURSE), false)
})

test('when far too many wait: a new one is not taken, a held one is committed all the same', async () => {
  const held = inbox.hold(NURSE, message('held'), sender, 1, [phone])
  for (let i = 0; i < 20_000; i++) inbox.keep(JULIET, message('x'), undefined, 0)
  assert.equal(inbox.keep(3, message('too many'), sender, 2), undefined)
  assert.equal(inbox.isBusy(3), false)
  inbox.commitHeld(NURSE)
  for (let i = 0; i < 157; i++) (await store.next()).done()
  await inbox.flush()
  assert.equal(held.state, 'kept')
})
