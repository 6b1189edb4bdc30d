import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, mock, test } from 'node:test'
import { pino } from 'pino'
import type { Entry, NewMessage, Sender, Taker } from '../../../src/inbox/entry.ts'
import { Inbox } from '../../../src/inbox/inbox.ts'
import { POLICIES } from '../../../src/inbox/policy.ts'
import { Quota } from '../../../src/inbox/quota.ts'
import { Wheel } from '../../../src/util/wheel.ts'
import { el } from '../../../src/xmpp/element.ts'
import type { Jid } from '../../../src/xmpp/jid.ts'
import { NS_CLIENT } from '../../../src/xmpp/ns.ts'
import { payloadText, type Stanza, Stanza as Stanzas } from '../../../src/xmpp/stanza.ts'
import { bodies, FakeStore, isUnavailable, refused, turn, unavailable } from './fake-store.ts'

const JULIET = 1
const NURSE = 2
const message = (body: string): Stanza =>
  Stanzas.of(
    { kind: 'message', type: 'chat', from: 'romeo@example.org/orchard' as Jid, to: 'juliet@example.org' as Jid },
    el('body', NS_CLIENT, {}, body),
  )
const to = (account: number, body: string, from: Sender | undefined, number: number): NewMessage => ({
  account,
  stanza: message(body),
  sender: from,
  number,
  policy: POLICIES['first-come'],
  isArchived: false,
  sentBy: undefined,
  isSentArchived: false,
  retracts: undefined,
})
const ROMEO = 3

const TAKES_MS = 200

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
    const entry = inbox.hold(to(JULIET, 'a', sender, 11), [phone])
    assert.equal(entry.state, 'held')
    assert.equal(inbox.isBusy(JULIET), true)
    inbox.taken(entry, false)
    assert.equal(entry.state, 'taken')
    assert.deepEqual(told, ['settled 11'])
    assert.equal(inbox.isBusy(JULIET), false)
    pass(2_000)
    await turn()
    assert.equal(store.unseen, 0)
    inbox.taken(entry, false)
    assert.deepEqual(told, ['settled 11'])
  })

  test('and not taken: committed within a second, its takers told before the line', async () => {
    const entry = inbox.hold(to(JULIET, 'a', sender, 11), [phone, laptop])
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
    inbox.hold(to(JULIET, 'old', sender, 11), [phone])
    pass(500)
    inbox.hold(to(NURSE, 'young', sender, 12), [laptop])
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
    inbox.hold(to(JULIET, 'a', sender, 14), [phone])
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

describe('kept', () => {
  test('an entry knows its id and the one before it; its takers are told, then the line', async () => {
    inbox.keep(to(JULIET, 'a', sender, 11))
    const entry = inbox.keep(to(JULIET, 'b', sender, 12))
    assert.deepEqual(await commits(), ['a', 'b'])
    assert.deepEqual([entry?.state, entry?.id, entry?.prev], ['kept', 2, 1])
  })

  test('an archived one is marked so, also in the log of its sender, and knows where that copy is', async () => {
    const entry = inbox.keep({ ...to(JULIET, 'a', sender, 14), isArchived: true, sentBy: ROMEO, isSentArchived: true })
    const call = await store.next()
    const [received, sent] = call.batch.entries
    assert.equal(call.batch.entries.length, 2)
    assert.deepEqual(
      [received?.account, received?.direction, received?.archived, received?.wanted],
      [JULIET, 'received', true, true],
    )
    assert.deepEqual([sent?.account, sent?.direction, sent?.archived, sent?.wanted], [ROMEO, 'sent', true, false])
    assert.deepEqual([received?.peer, sent?.peer], ['romeo@example.org/orchard', 'juliet@example.org'])
    assert.deepEqual([received?.stream, received?.number], [sender.stream, 4])
    assert.deepEqual([sent?.stream, sent?.number], [undefined, 0], 'the stanza counts once')
    assert.deepEqual(sent?.payload, received?.payload)
    call.done()
    await inbox.flushed(JULIET)
    assert.deepEqual([entry?.id, entry?.sent?.account, entry?.sent?.id], [1, ROMEO, 2])
    assert.deepEqual(told, ['settled 14', 'kept a 1'])
  })

  test('in the log of its sender alone: the recipient keeps it until it is taken', async () => {
    inbox.keep({ ...to(JULIET, 'a', sender, 14), sentBy: ROMEO, isSentArchived: true })
    const call = await store.next()
    assert.deepEqual(
      call.batch.entries.map((e) => e.archived),
      [false, true],
    )
    call.done()
    await inbox.flushed(JULIET)
  })

  test('two entries of one message are refused together', async () => {
    const entry = inbox.keep({ ...to(JULIET, 'a', sender, 14), isArchived: true, sentBy: ROMEO, isSentArchived: true })
    ;(await store.next()).fail(refused())
    await inbox.flushed(JULIET)
    assert.equal(entry?.state, 'refused')
    assert.equal(entry?.sent?.id, undefined)
    assert.deepEqual(told, ['refused 14'])
  })
})

describe('what waits for an entry to be safe', () => {
  const waits = (entry: Entry | undefined, name: string) => entry?.whenSafe(() => void told.push(name))

  test('runs once it is committed, after all were told of it', async () => {
    const entry = inbox.keep(to(JULIET, 'a', sender, 11))
    waits(entry, 'first')
    waits(entry, 'second')
    await turn()
    assert.deepEqual(told, [])
    await commits()
    assert.deepEqual(told, ['settled 11', 'kept a 1', 'first', 'second'])
    assert.ok(entry)
    inbox.taken(entry, false)
    pass(TAKES_MS)
    await commits()
    assert.deepEqual(told, ['settled 11', 'kept a 1', 'first', 'second'], 'and not again')
    waits(entry, 'late')
    assert.equal(told.at(-1), 'late', 'at once when it is safe already')
  })

  test('runs once it is taken, held or committing, and not again when it is committed after that', async () => {
    const held = inbox.hold(to(JULIET, 'a', sender, 11), [phone])
    waits(held, 'held')
    inbox.taken(held, false)
    assert.deepEqual(told, ['settled 11', 'held'])
    const committing = inbox.hold(to(JULIET, 'b', sender, 12), [phone])
    inbox.commitHeld(JULIET)
    waits(committing, 'committing')
    inbox.taken(committing, false)
    assert.deepEqual(told.slice(2), ['settled 12', 'committing'])
    ;(await store.next()).done()
    await turn()
    pass(TAKES_MS)
    await commits()
    assert.deepEqual(told.slice(4), ['phone knows 1', 'kept b 1'])
  })

  test('never runs when it is refused', async () => {
    const entry = inbox.keep(to(JULIET, 'a', sender, 11))
    waits(entry, 'safe')
    ;(await store.next()).fail(refused())
    await inbox.flushed(JULIET)
    pass(2_000)
    assert.deepEqual(told, ['refused 11'])
  })

  test('does not keep others from it when one of them fails', async () => {
    const entry = inbox.keep(to(JULIET, 'a', sender, 11))
    entry?.whenSafe(() => {
      throw new Error('a mistake')
    })
    inbox.after(JULIET, () => void told.push('then'))
    await commits()
    assert.equal(told.at(-1), 'then')
    assert.equal(inbox.isBusy(JULIET), false)
  })
})

describe('what others have still to read', () => {
  const kept = async (body: string, isArchived = false): Promise<Entry> => {
    const entry = inbox.keep({ ...to(JULIET, body, sender, 11), isArchived })
    await commits()
    assert.ok(entry)
    return entry
  }
  /** The takes of the next batch. */
  const takes = async () => {
    pass(TAKES_MS)
    const call = await store.next()
    call.done()
    await inbox.flushed(JULIET)
    return call.batch.takes
  }
  /** All that hangs on answers of the store has run. */
  const rests = async () => {
    for (let i = 0; i < 5; i++) await turn()
  }

  test('lingers when it is taken, until they have passed it; then it is swept, once', async () => {
    inbox.taken(await kept('a'), true)
    assert.deepEqual(await takes(), [{ account: JULIET, ids: [1], from: 0, lingers: true }])
    assert.deepEqual(store.swept, [])
    inbox.passed(NURSE)
    inbox.passed(JULIET)
    inbox.passed(JULIET)
    await rests()
    assert.deepEqual(store.swept, [JULIET])
  })

  test('stays anyhow when it is archived', async () => {
    inbox.taken(await kept('a', true), true)
    assert.deepEqual(await takes(), [{ account: JULIET, ids: [1], from: 0, lingers: false }])
    inbox.passed(JULIET)
    await rests()
    assert.deepEqual(store.swept, [])
  })

  test('lingers too when it is taken while it is committed, for whoever has come meanwhile', async () => {
    const entry = inbox.hold(to(JULIET, 'a', sender, 11), [phone])
    inbox.commitHeld(JULIET)
    const call = await store.next()
    inbox.taken(entry, true)
    call.done()
    await turn()
    assert.deepEqual(await takes(), [{ account: JULIET, ids: [1], from: 0, lingers: true }])
    inbox.passed(JULIET)
    await rests()
    assert.deepEqual(store.swept, [JULIET])
  })

  test('nobody is swept of whom nothing lingers', async () => {
    inbox.taken(await kept('a'), false)
    await takes()
    inbox.passed(JULIET)
    await rests()
    assert.deepEqual(store.swept, [])
  })

  test('what a session has read from the log and taken lingers as well', async () => {
    inbox.takenStored(JULIET, 99, true)
    assert.deepEqual(await takes(), [{ account: JULIET, ids: [99], from: 98, lingers: true }])
    inbox.passed(JULIET)
    await rests()
    assert.deepEqual(store.swept, [JULIET])
  })

  test('is swept after its take is saved', async () => {
    inbox.takenStored(JULIET, 99, true)
    inbox.passed(JULIET)
    const call = await store.next()
    await rests()
    assert.deepEqual(store.swept, [])
    call.done()
    await rests()
    assert.deepEqual(store.swept, [JULIET])
  })

  test('is not swept when something else was taken meanwhile that somebody has still to read', async () => {
    inbox.takenStored(JULIET, 99, true)
    inbox.passed(JULIET)
    const first = await store.next()
    inbox.takenStored(JULIET, 100, true)
    first.done()
    await rests()
    assert.deepEqual(store.swept, [])
    inbox.passed(JULIET)
    const second = await store.next()
    second.done()
    await rests()
    assert.deepEqual(store.swept, [JULIET])
  })

  test('is swept another time when the store does not answer', async () => {
    inbox.takenStored(JULIET, 99, true)
    await takes()
    store.sweeping = () => Promise.reject(unavailable())
    inbox.passed(JULIET)
    await rests()
    store.sweeping = () => Promise.resolve()
    inbox.passed(JULIET)
    await rests()
    assert.deepEqual(store.swept, [JULIET, JULIET])
  })
})

describe('taken', () => {
  test('while it is committing: settled at once, and the take is saved once there is an id', async () => {
    const entry = inbox.hold(to(JULIET, 'a', sender, 11), [phone])
    inbox.commitHeld(JULIET)
    const call = await store.next()
    inbox.taken(entry, false)
    assert.deepEqual(told, ['settled 11'])
    call.done()
    await turn()
    pass(TAKES_MS)
    const takes = await store.next()
    assert.deepEqual(told, ['settled 11', 'phone knows 1', 'kept a 1'], 'whoever follows the log has to know of it')
    assert.deepEqual(takes.batch.takes, [{ account: JULIET, ids: [1], from: 0, lingers: false }])
    assert.equal(inbox.isBusy(JULIET), true)
    takes.done()
    await inbox.flushed(JULIET)
    assert.equal(inbox.isBusy(JULIET), false)
  })

  test('after it was kept: the take is saved, nobody is told again', async () => {
    const entry = inbox.keep(to(JULIET, 'a', sender, 11))
    assert.ok(entry)
    await commits()
    inbox.taken(entry, false)
    inbox.taken(entry, false)
    inbox.takenStored(JULIET, 99, false)
    assert.deepEqual(told, ['settled 11', 'kept a 1'])
    pass(TAKES_MS)
    const call = await store.next()
    assert.deepEqual(call.batch.takes, [{ account: JULIET, ids: [1, 99], from: undefined, lingers: false }])
    call.done()
    await inbox.flushed(JULIET)
  })

  test('while it is committing, and then refused: the sender hears nothing bad of what has arrived', async () => {
    const entry = inbox.hold(to(JULIET, 'a', sender, 11), [phone])
    inbox.commitHeld(JULIET)
    const call = await store.next()
    inbox.taken(entry, false)
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
    inbox.hold(to(JULIET, 'a', sender, 11), [phone, laptop])
    assert.equal(inbox.mayHold(JULIET, [phone, laptop]), true)
    assert.equal(inbox.mayHold(JULIET, [laptop, phone]), false)
    assert.equal(inbox.mayHold(JULIET, [phone]), false)
    assert.equal(inbox.mayHold(NURSE, [phone]), true)
  })
  test('others again once all that was held is taken', () => {
    const first = inbox.hold(to(JULIET, 'a', sender, 11), [phone])
    const second = inbox.hold(to(JULIET, 'b', sender, 12), [phone])
    inbox.taken(first, false)
    assert.equal(inbox.mayHold(JULIET, [laptop]), false)
    inbox.taken(second, false)
    assert.equal(inbox.mayHold(JULIET, [laptop]), true)
  })
  test('nobody while anything is committing', async () => {
    inbox.keep(to(JULIET, 'a', sender, 11))
    assert.equal(inbox.mayHold(JULIET, [phone]), false)
    await commits()
    assert.equal(inbox.mayHold(JULIET, [phone]), true)
  })
})

describe('order', () => {
  test('what is held is committed before what is kept after it', async () => {
    inbox.hold(to(JULIET, 'a', sender, 11), [phone])
    inbox.hold(to(JULIET, 'b', sender, 12), [phone])
    inbox.keep(to(JULIET, 'c', sender, 13))
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
    inbox.keep(to(JULIET, 'a', sender, 11))
    assert.equal(
      inbox.after(JULIET, () => void told.push('first')),
      false,
    )
    inbox.after(JULIET, () => void told.push('second'))
    inbox.after(NURSE, () => void told.push('of another'))
    inbox.keep(to(JULIET, 'b', sender, 12))
    inbox.after(JULIET, () => void told.push('third'))
    assert.deepEqual(told, ['at once', 'of another'])
    await commits()
    assert.deepEqual(told.slice(2), ['settled 11', 'kept a 1', 'first', 'second', 'settled 12', 'kept b 2', 'third'])
  })

  test('and goes on after a refusal', async () => {
    inbox.keep(to(JULIET, 'a', sender, 11))
    inbox.after(JULIET, () => void told.push('then'))
    ;(await store.next()).fail(refused())
    await inbox.flushed(JULIET)
    assert.deepEqual(told, ['refused 11', 'then'])
    assert.equal(inbox.isBusy(JULIET), false)
  })
})

test('a page is read when all that this node knows of is in the store', async () => {
  const first = inbox.hold(to(JULIET, 'a', sender, 11), [phone])
  inbox.hold(to(JULIET, 'b', sender, 12), [phone])
  inbox.taken(first, false)
  const page = inbox.page(JULIET, 5, 3, 100)
  const call = await store.next()
  assert.equal(call.batch.entries.length, 1)
  assert.deepEqual(store.pages, [])
  call.done()
  assert.deepEqual(await page, { entries: [], last: 1 })
  await inbox.page(JULIET, Number.POSITIVE_INFINITY, undefined, 100)
  assert.deepEqual(store.pages, [
    [JULIET, 5, 3, 100],
    [JULIET, Number.MAX_SAFE_INTEGER, undefined, 100],
  ])
})

test('a flush commits everything of everybody', async () => {
  inbox.hold(to(JULIET, 'a', sender, 11), [phone])
  inbox.hold(to(NURSE, 'b', sender, 12), [laptop])
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
  const held = inbox.hold(to(NURSE, 'held', sender, 1), [phone])
  for (let i = 0; i < 20_000; i++) inbox.keep(to(JULIET, 'x', undefined, 0))
  assert.equal(inbox.keep(to(3, 'too many', sender, 2)), undefined)
  assert.equal(inbox.isBusy(3), false)
  inbox.commitHeld(NURSE)
  for (let i = 0; i < 157; i++) (await store.next()).done()
  await inbox.flush()
  assert.equal(held.state, 'kept')
})
