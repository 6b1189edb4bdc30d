import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import { type Hook, on } from '../../../src/contract/hook.ts'
import { HookTable, runStation } from '../../../src/router/run-hooks.ts'
import type { Ticket } from '../../../src/util/ticket.ts'
import { el } from '../../../src/xmpp/element.ts'
import { Stanza } from '../../../src/xmpp/stanza.ts'
import { StanzaError } from '../../../src/xmpp/stanza-error.ts'
import { jid, ORCHARD, sessionOf } from './world.ts'

const NS = 'test:mark'
const session = sessionOf(ORCHARD)
const message = Stanza.of({ kind: 'message', type: 'chat', from: ORCHARD, to: jid('juliet@example.org') })
const marks = (stanza: Stanza): string => stanza.children.map((c) => c.name).join('')

let log: string[]
let errors: unknown[]
beforeEach(() => {
  log = []
  errors = []
})
const ticket: Ticket = { settled: () => undefined }
/** One hook of each phase that says what it saw. */
const feature = (name: string): Hook[] => [
  on('fromClient', 'message', 'copy', ({ stanza }) => void log.push(`copy ${name} ${marks(stanza)}`)),
  on('fromClient', 'message', 'record', ({ stanza }) => {
    log.push(`record ${name} ${marks(stanza)}`)
    return name === 'a' ? ticket : undefined
  }),
  on('fromClient', 'message', 'annotate', ({ stanza }) => {
    log.push(`annotate ${name} ${marks(stanza)}`)
    return stanza.adding(el(name, NS))
  }),
  on('fromClient', 'message', 'guard', ({ stanza }) => {
    log.push(`guard ${name} ${marks(stanza)}`)
    return 'pass'
  }),
]
const run = (hooks: readonly Hook[], work?: (tickets: readonly Ticket[], copy: () => void) => void): boolean =>
  runStation(
    new HookTable(hooks),
    'fromClient',
    { stanza: message, session },
    (event, tickets, copy) => {
      log.push(`work ${marks(event.stanza)} ${tickets.length}`)
      if (work === undefined) copy()
      else work(tickets, copy)
    },
    (error) => errors.push(error),
  )

describe('a station', () => {
  test('runs guard, annotate, record, its work, copy; features in order, each with what the last made of it', () => {
    assert.equal(run([...feature('a'), ...feature('b')]), true)
    assert.deepEqual(log, [
      'guard a ',
      'guard b ',
      'annotate a ',
      'annotate b a',
      'record a ab',
      'record b ab',
      'work ab 1',
      'copy a ab',
      'copy b ab',
    ])
    assert.equal(marks(message), '')
  })

  test('copies wait for the work to say so', () => {
    let later: (() => void) | undefined
    run(feature('a'), (_tickets, copy) => {
      later = copy
    })
    assert.deepEqual(log.at(-1), 'work a 1')
    later?.()
    assert.deepEqual(log.at(-1), 'copy a a')
  })

  test('a guard that drops ends it in silence', () => {
    const drops = on('fromClient', 'message', 'guard', () => 'drop')
    assert.equal(run([drops, ...feature('a')]), false)
    assert.deepEqual(log, [])
  })

  test('what a guard, an annotation, a record or the work throws ends it, and is told', () => {
    const fault = new StanzaError('forbidden')
    const throws = () => {
      throw fault
    }
    for (const phase of ['guard', 'annotate', 'record'] as const) {
      log = []
      const failing = on('fromClient', 'message', phase, throws)
      assert.throws(() => run([failing, ...feature('a')]), fault)
      assert.equal(
        log.some((l) => l.startsWith(phase) || l.startsWith('work')),
        false,
        phase,
      )
    }
    assert.throws(() => run(feature('a'), throws), fault)
    assert.deepEqual(errors, [])
  })

  test('a copy that fails is told, and stops no other', () => {
    const fault = new Error('a mistake')
    const failing = on('fromClient', 'message', 'copy', () => {
      throw fault
    })
    assert.equal(run([failing, ...feature('a')]), true)
    assert.deepEqual(errors, [fault])
    assert.equal(log.at(-1), 'copy a a')
  })

  test('hooks of other stations and kinds have no part in it', () => {
    const others = [on('fromClient', 'iq', 'guard', () => 'drop'), on('toSession', 'message', 'guard', () => 'drop')]
    const table = new HookTable(others)
    assert.equal(run(others), true)
    assert.deepEqual(log, ['work  0'])
    assert.equal(table.has('fromClient', 'message'), false)
    assert.equal(table.isEmpty('fromClient', message), true)
    assert.equal(table.has('fromClient', 'iq'), true)
    assert.equal(table.isEmpty('toSession', message), false)
    assert.equal(new HookTable([]).isEmpty('toServer', message), true)
  })

  test('a hook that is about a payload is asked for stanzas that have it, and only for those', () => {
    const marked = message.adding(el('mark', NS))
    const about = { name: 'mark', ns: NS }
    const hooks = [
      on('fromClient', 'message', 'guard', () => 'drop', about),
      on('toAccount', 'message', 'annotate', ({ stanza }) => stanza.adding(el('seen', NS)), about),
    ]
    const table = new HookTable(hooks)
    assert.equal(table.isEmpty('fromClient', message), true)
    assert.equal(table.isEmpty('fromClient', marked), false)
    assert.equal(table.isEmpty('fromClient', message.adding(el('mark', 'test:other'))), true)
    // Beside a hook for all, each is asked for its own.
    const both = [...hooks, on('fromClient', 'message', 'copy', ({ stanza }) => void log.push(marks(stanza)))]
    assert.equal(run(both), true)
    assert.deepEqual(log, ['work  0', ''])
  })
})
