import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, mock, test } from 'node:test'
import { pino } from 'pino'
import { LogReader, type ReaderPort } from '../../../src/c2s/log-reader.ts'
import type { StoredSent } from '../../../src/c2s/outbox.ts'
import type { SessionParts } from '../../../src/c2s/parts.ts'
import { type FollowState, PAGE } from '../../../src/inbox/follow.ts'
import type { StoredEntry } from '../../../src/inbox/store.ts'
import { el } from '../../../src/xmpp/element.ts'
import { type BareJid, type FullJid, fullJid, type Jid } from '../../../src/xmpp/jid.ts'
import { NS_CLIENT } from '../../../src/xmpp/ns.ts'
import { type Message, Stanza } from '../../../src/xmpp/stanza.ts'
import { turn } from '../inbox/fake-store.ts'

const JULIET = 'juliet@example.org' as BareJid
const PHONE = fullJid(JULIET, 'phone')
const LAPTOP = fullJid(JULIET, 'laptop')
const ROMEO = 'romeo@example.org/orchard' as FullJid

const message = (id: string, to: Jid = JULIET, size = 0): Message =>
  Stanza.of(
    { kind: 'message', type: 'chat', id, from: ROMEO, to },
    el('body', NS_CLIENT, {}, size === 0 ? id : 'x'.repeat(size)),
  )
const presence = (id: string): Stanza => Stanza.of({ kind: 'presence', type: '', id, from: ROMEO, to: PHONE })
const iq = (id: string, from: Jid, type = 'result'): Stanza => Stanza.of({ kind: 'iq', type, id, from, to: PHONE })
const entry = (id: number, to: Jid = JULIET, archived = false, peer: Jid = ROMEO): StoredEntry => ({
  id,
  account: 1,
  direction: 'received',
  archived,
  wanted: true,
  peer,
  payload: message(`${id}`, to).bytes,
  at: 0,
})

/** One request of a page, which the test answers. */
interface Asked {
  readonly after: number
  readonly since: number | undefined
  answer(entries: readonly StoredEntry[], last?: number): Promise<void>
  fail(): Promise<void>
}
class Port implements ReaderPort {
  readonly jid = PHONE
  readonly account = JULIET
  readonly accountId = 1
  isConnected = true
  isSlow = false
  entriesWaitMs = 0
  readonly sent = new Set<number>()
  /** What was written: ids of stanzas; those of the log with their id there. */
  written: string[] = []
  lostOnes: string[] = []
  states: FollowState[] = []
  hasSent(id: number): boolean {
    return this.sent.has(id)
  }
  write(stanza: Stanza, stored: StoredSent | undefined): void {
    this.written.push(stored === undefined ? `${stanza.id}` : `#${stored.id}${stored.isArchived ? ' archived' : ''}`)
    if (stored !== undefined) this.sent.add(stored.id)
  }
  lost(stanza: Stanza): void {
    this.lostOnes.push(`${stanza.id}`)
  }
  overflowed(): void {
    this.lostOnes.push('all')
    reader.end()
  }
  followed(state: FollowState): void {
    this.states.push(state)
  }
}

let port: Port
let reader: LogReader
let asked: Asked[]
let others: FullJid[]
let blocked: Set<Jid>
/** In the order of the calls. */
let calls: string[]
/** Of every device. */
let cursor: number | undefined
beforeEach(() => {
  mock.timers.enable({ apis: ['setTimeout'] })
  port = new Port()
  asked = []
  blocked = new Set()
  others = []
  calls = []
  cursor = undefined
  const page = (_: number, after: number, since: number | undefined) => {
    calls.push('page')
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    const rest = async () => {
      for (let i = 0; i < 4; i++) await turn()
    }
    asked.push({
      after,
      since,
      answer: (entries, last = entries.at(-1)?.id ?? 0) => {
        resolve({ entries, last })
        return rest()
      },
      fail: () => {
        reject(new Error('no answer'))
        return rest()
      },
    })
    return promise
  }
  const parts = {
    line: {
      settled: () => {
        calls.push('settled')
        return Promise.resolve()
      },
    },
    inbox: {
      page,
      deviceCursor: (_: number, device: string) => {
        calls.push(`cursor of ${device}`)
        return Promise.resolve(cursor)
      },
    },
    isBlocked: (_: BareJid, other: Jid) => blocked.has(other),
    registry: { of: () => others.map((jid) => ({ jid })) },
    sessions: { get: () => undefined },
    log: pino({ level: 'silent' }),
  } as unknown as SessionParts
  reader = new LogReader(parts, port)
})
afterEach(() => mock.timers.reset())

/** The oldest page asked for, as soon as there is one. */
async function next(): Promise<Asked> {
  for (let i = 0; i < 20; i++) {
    const found = asked.shift()
    if (found !== undefined) return found
    await turn()
  }
  throw new Error('no page was asked for')
}
/** The session follows the log, at its entry 5. */
async function follows(): Promise<void> {
  reader.start(undefined)
  await (await next()).answer([], 5)
  assert.deepEqual(port.states, ['reading', 'following'])
  port.states = []
}
const waits = (...stanzas: readonly Stanza[]): boolean[] => stanzas.map((s) => reader.hasToWait(s))

describe('reading', () => {
  test('asks others to write down what they know first, and gives what is there in order', async () => {
    reader.start(undefined)
    const page = await next()
    assert.deepEqual(calls, ['settled', 'page'])
    assert.deepEqual([page.after, page.since], [0, undefined])
    await page.answer([entry(3), entry(4, JULIET, true), entry(5, PHONE)], 7)
    assert.deepEqual(port.written, ['#3', '#4 archived', '#5'])
    assert.equal(reader.position, 7)
    assert.deepEqual(port.states, ['reading', 'following'])
  })
  test('leaves out what it was sent already, and what is for another resource as long as that is connected', async () => {
    others = [PHONE, LAPTOP]
    port.sent.add(3)
    reader.start(undefined)
    await (await next()).answer([entry(3), entry(4, LAPTOP), entry(5, fullJid(JULIET, 'gone')), entry(6)])
    assert.deepEqual(port.written, ['#5', '#6'])
  })
  test('passes over what is from somebody blocked, and says of what waited meanwhile that it is lost', async () => {
    reader.start(undefined)
    const nurse = 'nurse@example.org/hall' as Jid
    assert.deepEqual(waits(presence('p'), iq('q', nurse, 'get')), [true, true])
    blocked = new Set([ROMEO])
    await (await next()).answer([entry(3), entry(4, PHONE), entry(5, JULIET, false, nurse)])
    assert.deepEqual(port.written, ['#5', 'q'])
    assert.deepEqual(port.lostOnes, ['p'])
    assert.equal(reader.position, 5)
  })
  test('passes over what cannot be read', async () => {
    reader.start(undefined)
    await (await next()).answer([{ ...entry(3), payload: Buffer.from('nonsense') }, entry(4)])
    assert.deepEqual(port.written, ['#4'])
    assert.deepEqual(port.states, ['reading', 'following'])
  })
  test('begins where its device has ended, and gives what others took since', async () => {
    cursor = 4
    reader.start('phone')
    const page = await next()
    assert.deepEqual(calls, ['settled', 'cursor of phone', 'page'])
    assert.deepEqual([page.after, page.since], [4, 4])
    await page.answer(Array.from({ length: PAGE }, (_, i) => entry(5 + i)))
    const second = await next()
    assert.deepEqual([second.after, second.since], [4 + PAGE, 4], 'it is asked for once')
    assert.equal(calls.filter((c) => c.startsWith('cursor')).length, 1)
  })
  test('of a device that is not known begins as any', async () => {
    reader.start('phone')
    const page = await next()
    assert.deepEqual([page.after, page.since], [0, undefined])
    await page.answer([entry(3)], 3)
    reader.rewind(1)
    assert.deepEqual((await next()).since, 3)
  })
  test('of a session that reads the archive leaves out what that held then, and nothing else', async () => {
    const skipping = reader.skipArchived()
    const end = await next()
    assert.deepEqual([end.after, end.since], [Number.POSITIVE_INFINITY, undefined])
    await end.answer([], 7)
    await skipping
    reader.start(undefined)
    await (await next()).answer([entry(5, JULIET, true), entry(6), entry(8, JULIET, true)], 8)
    assert.deepEqual(port.written, ['#6', '#8 archived'])
  })
  test('is tried again a second after it failed', async () => {
    reader.start(undefined)
    await (await next()).fail()
    mock.timers.tick(999)
    await turn()
    assert.equal(asked.length, 0)
    mock.timers.tick(1)
    await (await next()).answer([entry(3)])
    assert.deepEqual(port.written, ['#3'])
  })
  test('stops when the session is slow, goes on when it has room, and others hear of both', async () => {
    reader.start(undefined)
    const page = await next()
    port.isSlow = true
    await page.answer([entry(3)])
    assert.deepEqual(port.written, [])
    assert.deepEqual(port.states, ['reading', 'stalled'])
    port.isSlow = false
    reader.drained()
    await (await next()).answer([entry(3)])
    assert.deepEqual(port.written, ['#3'])
    assert.deepEqual(port.states, ['reading', 'stalled', 'reading', 'following'])
  })
  test('waits as long as entries have to wait', async () => {
    port.entriesWaitMs = 40
    reader.start(undefined)
    await (await next()).answer([entry(3)])
    assert.deepEqual(port.written, [])
    mock.timers.tick(40)
    for (let i = 0; i < 4; i++) await turn()
    assert.deepEqual(port.written, ['#3'])
  })
})

describe('what comes from others while older entries are read', () => {
  test('comes after them, in order', async () => {
    assert.deepEqual(waits(message('early')), [false])
    reader.start(undefined)
    assert.deepEqual(waits(message('a'), presence('b'), iq('c', ROMEO, 'get'), iq('d', LAPTOP, 'get')), [
      true,
      true,
      true,
      // Of the account's own address space: answers to what is in the log are not told apart from these.
      false,
    ])
    await (await next()).answer([entry(3), entry(4)])
    assert.deepEqual(port.written, ['#3', '#4', 'a', 'b', 'c'])
    assert.deepEqual(waits(message('later')), [false])
    assert.deepEqual(port.lostOnes, [])
  })
  test('waits for a stalled one as well; answers of the account and of the server do not', async () => {
    await follows()
    port.isSlow = true
    reader.pushed(6, 5, message('6'), true)
    assert.deepEqual(port.states, ['stalled'])
    assert.deepEqual(waits(message('a'), iq('b', JULIET), iq('c', 'example.org' as Jid), iq('d', ROMEO)), [
      true,
      false,
      false,
      true,
    ])
  })
  test('is bounded in number: what is too much is lost, and its sender told', async () => {
    reader.start(undefined)
    for (let i = 0; i < 5_000; i++) assert.equal(reader.hasToWait(presence(`${i}`)), true)
    assert.deepEqual(port.lostOnes, [])
    assert.equal(reader.hasToWait(iq('too many', ROMEO, 'get')), true)
    assert.deepEqual(port.lostOnes, ['too many'])
    await (await next()).answer([])
    assert.equal(port.written.length, 5_000)
    reader.stop()
    reader.start(undefined)
    assert.equal(reader.hasToWait(presence('room again')), true)
    assert.equal(port.lostOnes.length, 1)
  })
  test('is bounded in bytes: 4 MiB, one stanza over', async () => {
    reader.start(undefined)
    const big = message('big', PHONE, 2 ** 20)
    for (let i = 0; i < 4; i++) reader.hasToWait(big)
    assert.deepEqual(port.lostOnes, [])
    reader.hasToWait(message('too much'))
    assert.deepEqual(port.lostOnes, ['too much'])
    await (await next()).answer([])
    assert.equal(port.written.length, 4)
    reader.stop()
    reader.start(undefined)
    for (let i = 0; i < 4; i++) reader.hasToWait(big)
    assert.equal(port.lostOnes.length, 1, 'what has gone out counts no more')
  })
  test('goes out when the session stops reading, and is lost when it is over', () => {
    reader.start(undefined)
    waits(message('a'))
    reader.stop()
    assert.deepEqual(port.written, ['a'])
    reader.start(undefined)
    waits(message('c'), iq('d', ROMEO, 'get'))
    reader.end()
    assert.deepEqual(port.written, ['a'])
    assert.deepEqual(port.lostOnes, ['c', 'd'])
    reader.end()
    assert.equal(port.lostOnes.length, 2)
  })
  test('comes before an entry that was committed after it came', async () => {
    reader.start(undefined)
    // Nothing is known of the log yet: all that was there goes first.
    waits(presence('a'))
    await (await next()).answer([], 5)
    assert.deepEqual(port.written, ['a'])
    port.isSlow = true
    reader.pushed(6, 5, message('6'), true)
    waits(presence('b'))
    port.isSlow = false
    reader.drained()
    reader.pushed(8, 7, message('8'), true)
    waits(presence('c'), presence('d'))
    reader.pushed(9, 8, message('9'), true)
    await (await next()).answer([entry(6), entry(7), entry(8), entry(9)])
    assert.deepEqual(port.written, ['a', '#6', 'b', '#7', '#8', 'c', 'd', '#9'])
    assert.deepEqual(waits(presence('e')), [false])
  })
})

describe('a session that has lost its stream', () => {
  const loses = (anew: boolean): void => {
    port.isConnected = false
    reader.pause(anew)
  }
  test('is given nothing but answers until it reads on', async () => {
    for (const anew of [false, true]) {
      port.written = []
      const id = anew ? 9 : 6
      reader.start(undefined)
      await (await next()).answer([], id - 1)
      loses(anew)
      assert.deepEqual(waits(presence('a'), message('b'), iq('c', JULIET)), [true, true, false])
      port.isConnected = true
      assert.deepEqual(waits(presence('d')), [true], 'it is not reading yet')
      assert.equal(reader.accepts(message('own', PHONE)), false)
      reader.start(undefined)
      const page = await next()
      assert.equal(page.after, anew ? 0 : 5)
      await page.answer([entry(id)])
      assert.deepEqual(port.written, ['a', 'b', 'd', `#${id}`])
      reader.stop()
    }
  })
  test('gets it at once where it does not read the log any more', () => {
    loses(true)
    waits(presence('a'))
    port.isConnected = true
    reader.stop()
    assert.deepEqual(port.written, ['a'])
    assert.deepEqual(waits(presence('b')), [false])
  })
  test('gets what is for it alone first, also where it is not available', async () => {
    loses(false)
    reader.pushed(4, 3, message('4', PHONE), true)
    waits(presence('a'))
    port.isConnected = true
    reader.fetchOwn()
    const first = await next()
    // Too late for that page.
    assert.equal(reader.pushed(6, 5, message('6', PHONE), true), false)
    waits(presence('b'))
    await first.answer([entry(4, PHONE), entry(5)], 5)
    assert.deepEqual(port.written, ['#4'])
    await (await next()).answer([entry(4, PHONE), entry(5), entry(6, PHONE)])
    assert.deepEqual(port.written, ['#4', 'a', '#6', 'b'])
    assert.deepEqual(waits(presence('c')), [false])
    assert.equal(reader.accepts(message('own', PHONE)), true)
  })
  test('gets what waited also where the log cannot be read', async () => {
    loses(false)
    waits(presence('a'))
    port.isConnected = true
    reader.fetchOwn()
    await (await next()).fail()
    assert.deepEqual(port.written, ['a'])
  })
  test('is over when more comes than can be kept', () => {
    loses(false)
    for (let i = 0; i < 5_000; i++) waits(presence(`${i}`))
    assert.deepEqual(port.lostOnes, [])
    waits(presence('too many'))
    assert.deepEqual(port.lostOnes.slice(0, 3), ['too many', 'all', '0'])
    assert.equal(port.lostOnes.length, 5_002)
  })
})

describe('what is new', () => {
  test('is accepted by one that follows, and by one that is not at the log if it is for it alone', async () => {
    const own = message('own', PHONE)
    assert.deepEqual([reader.accepts(message('a')), reader.accepts(own)], [false, true])
    reader.start(undefined)
    assert.deepEqual([reader.accepts(message('a')), reader.accepts(own)], [false, false])
    await (await next()).answer([], 5)
    assert.deepEqual([reader.accepts(message('a')), reader.accepts(own)], [true, true])
    port.isConnected = false
    assert.deepEqual([reader.accepts(message('a')), reader.accepts(own)], [false, false])
    assert.deepEqual(port.states, ['reading', 'following'])
  })
  test('is not accepted by a slow one, which reads it later', async () => {
    await follows()
    port.isSlow = true
    assert.equal(reader.accepts(message('a')), false)
    assert.deepEqual(port.states, ['stalled'])
    port.isSlow = false
    reader.drained()
    const page = await next()
    assert.deepEqual([page.after, page.since], [5, 5])
    await page.answer([entry(6)])
    assert.deepEqual(port.written, ['#6'])
  })
  test('is given as it is committed; what is not for it only moves it on', async () => {
    await follows()
    assert.equal(reader.pushed(6, 5, message('6'), true), true)
    assert.equal(reader.pushed(7, 6, message('7'), false), false)
    assert.equal(reader.pushed(8, 7, message('8'), true), true)
    assert.equal(reader.position, 8)
    assert.equal(reader.pushed(10, 9, message('10'), false), false, 'one was missed')
    await (await next()).answer([entry(9), entry(10, LAPTOP)])
    assert.deepEqual(port.written, ['#9', '#10'])
  })
  test('of which it was given one ahead of its commit does not come again, however slow it is', async () => {
    await follows()
    port.isSlow = true
    reader.accepts(message('next'))
    reader.had(6, 5)
    reader.had(8, 7)
    port.isSlow = false
    reader.drained()
    const page = await next()
    assert.equal(page.after, 6)
    await page.answer([entry(7), entry(8)])
    assert.deepEqual(port.written, ['#7'])
  })
  test('is read when another tells that there is something, or has to be given away', async () => {
    await follows()
    reader.told(5)
    assert.equal(asked.length, 0)
    reader.told(6)
    await (await next()).answer([entry(6)])
    reader.rewind(3)
    const page = await next()
    assert.deepEqual([page.after, page.since], [3, 6])
    await page.answer([entry(4)], 6)
    assert.deepEqual(port.written, ['#6', '#4'])
  })
})

describe('a session that does not follow the log', () => {
  const own = (id: number) => entry(id, PHONE)
  const isPushed = (id: number, to: Jid = PHONE, isFor = true) => reader.pushed(id, id - 1, message(`${id}`, to), isFor)

  test('is given what is for it alone, as it is committed', () => {
    assert.equal(isPushed(6), true)
    assert.equal(isPushed(8, JULIET), false)
    assert.equal(isPushed(9, PHONE, false), false)
    port.isConnected = false
    assert.equal(isPushed(10), false)
  })
  test('gets what it missed while it was slow when there is room again, and nothing else, once', async () => {
    port.isSlow = true
    assert.equal(isPushed(6), false)
    port.isSlow = false
    reader.drained()
    await (await next()).answer([entry(5), own(6), entry(7, LAPTOP), own(8)])
    assert.deepEqual(port.written, ['#6', '#8'])
    reader.drained()
    await turn()
    assert.equal(asked.length, 0)
  })
  test('missed nothing when what came was for all', async () => {
    port.isSlow = true
    isPushed(6, JULIET)
    port.isSlow = false
    reader.drained()
    await turn()
    assert.equal(asked.length, 0)
  })
  test('gets its own wherever its device has ended', async () => {
    cursor = 40
    reader.start('phone')
    await (await next()).answer([], 50)
    reader.stop()
    reader.fetchOwn()
    const page = await next()
    assert.deepEqual([page.after, page.since], [0, undefined])
    await page.answer([own(6)])
    assert.deepEqual(port.written, ['#6'])
  })
  test('gets its own however many others wait', async () => {
    reader.fetchOwn()
    await (await next()).answer(Array.from({ length: PAGE }, (_, i) => entry(i + 1)))
    const page = await next()
    assert.equal(page.after, PAGE)
    await page.answer([own(PAGE + 1)])
    assert.deepEqual(port.written, [`#${PAGE + 1}`])
    assert.equal(asked.length, 0)
  })
  test('gets the rest another time when it is slow in between', async () => {
    reader.fetchOwn()
    const page = await next()
    port.isSlow = true
    await page.answer([own(6)])
    assert.deepEqual(port.written, [])
    port.isSlow = false
    reader.drained()
    await (await next()).answer([own(6)])
    assert.deepEqual(port.written, ['#6'])
  })
  test('does not get again what it confirmed while it was read, nor what cannot be read', async () => {
    reader.fetchOwn()
    const page = await next()
    reader.took(6)
    await page.answer([own(6), { ...own(7), payload: Buffer.from('nonsense') }, own(8)])
    assert.deepEqual(port.written, ['#8'])
  })
  test('gets nothing when it is lost, or follows the log, before that was read', async () => {
    reader.fetchOwn()
    const lost = await next()
    port.isConnected = false
    await lost.answer([own(6)])
    port.isConnected = true
    reader.fetchOwn()
    const late = await next()
    reader.start(undefined)
    await late.answer([own(6)])
    assert.deepEqual(port.written, [])
    await (await next()).answer([own(6)])
    assert.deepEqual(port.written, ['#6'])
  })
  test('by a change of presence still gets its own of what it has not read', async () => {
    reader.start(undefined)
    const page = await next()
    reader.stop()
    await page.answer([entry(5), own(6)])
    assert.deepEqual(port.written, [])
    await (await next()).answer([entry(5), own(6)])
    assert.deepEqual(port.written, ['#6'])
    port.written = []
    reader.start(undefined)
    await (await next()).answer([], 6)
    reader.stop()
    await turn()
    assert.equal(asked.length, 0, 'it had read all')
  })
})
