import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import { pino } from 'pino'
import { ARCHIVE_ALL } from '../../../src/account/archiving.ts'
import type { AccountView } from '../../../src/contract/account-view.ts'
import { type Hook, on } from '../../../src/contract/hook.ts'
import { StationRunner, type Work } from '../../../src/router/stations.ts'
import { el } from '../../../src/xmpp/element.ts'
import { Stanza } from '../../../src/xmpp/stanza.ts'
import { StanzaError } from '../../../src/xmpp/stanza-error.ts'
import { accountOf, JULIET, jid, ORCHARD, sessionOf } from './world.ts'

const NS = 'test:mark'
const session = sessionOf(ORCHARD)
const message = Stanza.of({ kind: 'message', type: 'chat', from: ORCHARD, to: jid(JULIET) })
const presence = Stanza.of({ kind: 'presence', type: '', from: ORCHARD, to: jid(JULIET) })
const view: AccountView = {
  jid: JULIET,
  account: accountOf(JULIET),
  roster: new Map(),
  archiving: ARCHIVE_ALL,
  blocked: new Set(),
}
const marks = (stanza: Stanza | undefined): string | undefined => stanza?.children.map((c) => c.name).join('')

let told: string[]
/** Constant phrases of the log. */
let logged: string[]
beforeEach(() => {
  told = []
  logged = []
})
function runner(...hooks: Hook[]): StationRunner {
  const write = (line: string) => {
    const { msg, err } = JSON.parse(line) as { msg: string; err?: { message: string } }
    logged.push(`${msg}: ${err?.message}`)
  }
  return new StationRunner(hooks, pino({}, { write }))
}
const throws = (): never => {
  throw new Error('a mistake')
}

describe('toSession', () => {
  const guard = (run: () => 'pass' | 'drop') => on('toSession', 'message', 'guard', run)
  const mark = on('toSession', 'message', 'annotate', (e) => {
    told.push(`${e.direction} ${e.addressed} ${e.session.jid}`)
    return e.stanza.adding(el('a', NS))
  })

  test('without hooks: what is addressed goes as it is, nothing is made for others', () => {
    const stations = runner()
    assert.equal(stations.hasCopies, false)
    assert.equal(stations.toSession(message, session, 'received', true), message)
    assert.equal(stations.toSession(message, session, 'received', false), undefined)
  })
  test('hooks see for whom and why, and what they make of it goes', () => {
    const stations = runner(
      mark,
      guard(() => 'pass'),
    )
    assert.equal(stations.hasCopies, true)
    for (const addressed of [true, false])
      for (const direction of ['sent', 'received'] as const)
        assert.equal(marks(stations.toSession(message, session, direction, addressed)), 'a')
    assert.deepEqual(told, [
      `sent true ${ORCHARD}`,
      `received true ${ORCHARD}`,
      `sent false ${ORCHARD}`,
      `received false ${ORCHARD}`,
    ])
    assert.equal(stations.toSession(presence, session, 'received', true), presence, 'of this kind of stanza alone')
    assert.equal(stations.toSession(presence, session, 'received', false), undefined)
  })
  test('what a guard drops, or fails at, is not sent', () => {
    assert.equal(
      runner(
        mark,
        guard(() => 'drop'),
      ).toSession(message, session, 'received', true),
      undefined,
    )
    assert.equal(runner(guard(throws)).toSession(message, session, 'received', true), undefined)
    const failing = on('toSession', 'message', 'annotate', throws)
    assert.equal(runner(failing).toSession(message, session, 'received', true), undefined)
    assert.deepEqual(told, [])
    assert.deepEqual(logged, ['hook failed: a mistake', 'hook failed: a mistake'])
  })
  test('a copy hook runs at once, and its failure is only logged', () => {
    const copy = on('toSession', 'message', 'copy', throws)
    assert.equal(runner(copy).toSession(message, session, 'received', true), message)
    assert.deepEqual(logged, ['copy failed: a mistake'])
  })
})

describe('toOffline', () => {
  test('without hooks a message is kept as it is', () => {
    assert.equal(runner().offline(message, view), message)
  })
  test('hooks may change it, drop it, or refuse it to its sender', () => {
    const annotate = on('toOffline', 'message', 'annotate', ({ stanza, account }) => {
      told.push(account.jid)
      return stanza.adding(el('o', NS))
    })
    assert.equal(marks(runner(annotate).offline(message, view)), 'o')
    assert.deepEqual(told, [JULIET])
    assert.equal(runner(on('toOffline', 'message', 'guard', () => 'drop')).offline(message, view), undefined)
    const refusing = on('toOffline', 'message', 'guard', () => {
      throw new StanzaError('not-acceptable')
    })
    assert.throws(
      () => runner(refusing).offline(message, view),
      (error) => error instanceof StanzaError && error.condition === 'not-acceptable',
    )
  })
})

describe('copies', () => {
  const copy = on('fromClient', 'message', 'copy', ({ stanza }) => void told.push(`copy ${marks(stanza)}`))
  const event = { stanza: message, session }
  const ticket = () => {
    const waiting: ((s: { id: undefined }) => void)[] = []
    return { ticket: { settled: (then: (s: { id: undefined }) => void) => void waiting.push(then) }, waiting }
  }

  test('run at once when the work is done', () => {
    const result = runner(copy).run('fromClient', event, () => ({ result: 'x', after: undefined }))
    assert.equal(result, 'x')
    assert.deepEqual(told, ['copy '])
  })
  test('run when the entry is safe, and not before', () => {
    const waiting: (() => void)[] = []
    const work = (): Work<string> => ({ result: 'x', after: (then) => void waiting.push(then) })
    assert.equal(runner(copy).run('fromClient', event, work), 'x')
    assert.deepEqual(told, [])
    for (const then of waiting) then()
    assert.deepEqual(told, ['copy '])
  })
  test('never run when the entry was refused', () => {
    runner(copy).run('fromClient', event, () => ({ result: 'x', after: () => undefined }))
    assert.deepEqual(told, [])
  })
  test('wait for the tickets as well, whichever comes last', () => {
    for (const order of [
      [0, 1],
      [1, 0],
    ]) {
      told = []
      const { ticket: one, waiting } = ticket()
      const record = on('fromClient', 'message', 'record', () => one)
      let safe: () => void = () => undefined
      runner(record, copy).run('fromClient', event, () => ({
        result: 'x',
        after: (then) => {
          safe = then
        },
      }))
      const steps = [() => safe(), () => waiting[0]?.({ id: undefined })]
      steps[order[0] ?? 0]?.()
      assert.deepEqual(told, [])
      steps[order[1] ?? 0]?.()
      assert.deepEqual(told, ['copy '])
    }
  })
  test('and the work are left out when a guard drops; what the work throws comes out', () => {
    const drop = on('fromClient', 'message', 'guard', () => 'drop')
    const work = () => {
      told.push('work')
      return { result: 'x', after: undefined }
    }
    assert.equal(runner(drop, copy).run('fromClient', event, work), undefined)
    assert.deepEqual(told, [])
    assert.throws(() => runner(copy).run('fromClient', event, throws), /a mistake/)
    assert.deepEqual(told, [])
  })
})
