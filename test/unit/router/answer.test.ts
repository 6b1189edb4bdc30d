import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { pino } from 'pino'
import { ARCHIVE_ALL } from '../../../src/account/archiving.ts'
import type { AccountView } from '../../../src/contract/account-view.ts'
import type { IqHandler } from '../../../src/contract/handler.ts'
import type { Origin } from '../../../src/contract/session.ts'
import { Answers } from '../../../src/router/answer.ts'
import { type Element, el } from '../../../src/xmpp/element.ts'
import { type BareJid, type Domain, domainOf } from '../../../src/xmpp/jid.ts'
import { type Iq, Stanza } from '../../../src/xmpp/stanza.ts'
import { StanzaError } from '../../../src/xmpp/stanza-error.ts'
import { accountOf, JULIET, jid, ORCHARD, ROMEO, sessionOf } from './world.ts'

const NS = 'test:query'
const session = sessionOf(ORCHARD)
const CLIENT: Origin = { kind: 'client', session, number: 1 }
const BLOCKING = 'rosaline@example.org' as BareJid
const DISABLED = 'tybalt@example.org' as BareJid
const query = (to: string | undefined, type = 'get'): Iq =>
  Stanza.of({ kind: 'iq', type, id: 'q', from: ORCHARD, to: to === undefined ? undefined : jid(to) }, el('query', NS))

/** Says `type` and first payload of each answer, `error: condition` of an error. */
function world(handlers: readonly IqHandler[]) {
  const answered: string[] = []
  let awaited: (() => void) | undefined
  const view = (account: BareJid): AccountView => {
    const blocked = new Set(account === BLOCKING ? [ROMEO] : [])
    const rest = { jid: account, roster: new Map(), archiving: ARCHIVE_ALL, blocked }
    if (account === JULIET || account === ROMEO || account === BLOCKING) return { ...rest, account: accountOf(account) }
    return { ...rest, account: account === DISABLED ? accountOf(account, 5) : undefined }
  }
  const answers = new Answers({
    served: {
      domains: new Set([domainOf(ROMEO)]),
      services: new Set([jid('multicast@example.org'), jid('network@example.org')]),
    },
    handlers,
    log: pino({ level: 'silent' }),
    loadView: (account) => Promise.resolve(view(account)),
    reply: (iq) => {
      const error = iq.payload('error', 'jabber:client')
      const condition = error?.children.find((c): c is Element => typeof c !== 'string')?.name
      answered.push(
        error === undefined ? `${iq.type} ${iq.children.map((c) => c.name).join(' ')}`.trim() : `error: ${condition}`,
      )
      assert.equal(iq.to, ORCHARD)
      assert.equal(iq.id, 'q')
      awaited?.()
    },
  })
  return {
    answers,
    answered,
    /** What comes next, when it has come. */
    answer: async (iq: Iq, origin: Origin = CLIENT): Promise<string | undefined> => {
      const count = answered.length
      const came = new Promise<void>((resolve) => {
        awaited = resolve
      })
      answers.answer(iq, origin)
      if (answered.length === count) await came
      return answered[count]
    },
  }
}
const names = { type: 'get', name: 'query', ns: NS } as const
const server: IqHandler = { ...names, target: 'server', answer: () => el('server', NS) }
const self: IqHandler = { ...names, target: 'self', answer: () => el('self', NS) }
const account: IqHandler = { ...names, target: 'account', answer: (call) => el(call.account.replace(/@.*/, ''), NS) }

describe('who answers', () => {
  test('by target', async () => {
    const { answer } = world([server, self, account])
    const table: readonly (readonly [string | undefined, string])[] = [
      [undefined, 'result self'],
      [ROMEO, 'result self'],
      [JULIET, 'result juliet'],
      ['example.org', 'result server'],
      ['example.org/x', 'result server'],
      [DISABLED, 'error: service-unavailable'],
      ['nobody@example.org', 'error: service-unavailable'],
      [BLOCKING, 'error: service-unavailable'],
    ]
    for (const [to, expected] of table) assert.equal(await answer(query(to)), expected, to)
  })
  test('where there is no account, or it blocks the asker, the handler’s own refusal is told', async () => {
    const { answer } = world([{ ...account, refusal: 'forbidden' }])
    for (const to of [DISABLED, 'nobody@example.org', BLOCKING])
      assert.equal(await answer(query(to)), 'error: forbidden', to)
    assert.equal(await answer(query(JULIET)), 'result juliet')
  })
  test('an account answers its own sessions where nothing does so for them alone', async () => {
    const { answer } = world([account])
    assert.equal(await answer(query(undefined)), 'result romeo')
  })
  test('self is for sessions, not for the account’s name from elsewhere', async () => {
    const { answer } = world([self, account])
    const remote: Origin = { kind: 'remote', domain: 'example.net' as unknown as Domain }
    assert.equal(await answer(query(ROMEO), remote), 'result romeo')
  })
  test('nobody: by type, by name, by namespace', async () => {
    const { answer } = world([server, self, account])
    for (const to of [undefined, JULIET, 'example.org']) {
      assert.equal(await answer(query(to, 'set')), 'error: service-unavailable')
      for (const payload of [el('other', NS), el('query', 'test:other')]) {
        const fields = { kind: 'iq' as const, type: 'get', id: 'q', from: ORCHARD, to: to === undefined ? to : jid(to) }
        assert.equal(await answer(Stanza.of(fields, payload)), 'error: service-unavailable')
      }
    }
  })
  test('a service by its name, else one for all of them; never an account', async () => {
    const service: IqHandler = { ...names, target: 'service', answer: () => el('any', NS) }
    const { answer } = world([service, { ...service, local: 'network', answer: () => el('network', NS) }, account])
    assert.equal(await answer(query('network@example.org')), 'result network')
    assert.equal(await answer(query('network@example.org/x')), 'result network')
    assert.equal(await answer(query('multicast@example.org')), 'result any')
    assert.equal(await world([account]).answer(query('network@example.org')), 'error: service-unavailable')
  })
  test('two handlers for the same are a mistake at start', () => {
    assert.throws(() => world([server, { ...server }]), /two handlers for server get query test:query/)
  })
})

describe('what is answered', () => {
  const answering = (work: () => Element | undefined | Promise<Element | undefined>) =>
    world([{ ...names, target: 'server', answer: work }])
  test('an empty result, now or later', async () => {
    assert.equal(await answering(() => undefined).answer(query('example.org')), 'result')
    assert.equal(await answering(() => Promise.resolve(undefined)).answer(query('example.org')), 'result')
  })
  test('the error that was thrown, now or later; any other is ours', async () => {
    const table = [
      [new StanzaError('item-not-found'), 'error: item-not-found'],
      [new Error('secret'), 'error: internal-server-error'],
    ] as const
    for (const [error, expected] of table) {
      const now = answering(() => {
        throw error
      })
      assert.equal(await now.answer(query('example.org')), expected)
      const later = answering(() => Promise.reject(error))
      assert.equal(await later.answer(query('example.org')), expected)
    }
  })
})

describe('requests of one session', () => {
  const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  test('are answered 64 at a time, in the order they came; others are not held up', async () => {
    const works: ((e: undefined) => void)[] = []
    const wait = () => new Promise<undefined>((resolve) => works.push(resolve))
    const { answers, answered, answer } = world([{ ...names, target: 'server', answer: wait }, self])
    for (let i = 0; i < 200; i++) answers.answer(query('example.org'), CLIENT)
    assert.equal(works.length, 64)
    answers.answer(query(undefined), CLIENT)
    const other: Origin = { kind: 'client', session: sessionOf(ORCHARD), number: 1 }
    assert.equal(await answer(query(undefined), other), 'result self')
    works[3]?.(undefined)
    await settled()
    assert.equal(works.length, 65)
    for (let done = 0; done < works.length; done++) {
      works[done]?.(undefined)
      await settled()
    }
    assert.equal(works.length, 200)
    assert.equal(answered.length, 202)
    assert.equal(await answer(query(undefined)), 'result self')
  })
  test('that wait are bounded in number and bytes, and answered when they were too many', async () => {
    const work = Promise.withResolvers<Element | undefined>()
    const { answers, answered, answer } = world([{ ...names, target: 'server', answer: () => work.promise }])
    for (let i = 0; i < 64 + 2_000; i++) answers.answer(query('example.org'), CLIENT)
    assert.deepEqual(answered, [])
    assert.equal(await answer(query('example.org')), 'error: resource-constraint')
    work.resolve(undefined)
    await settled()
    assert.equal(answered.length, 2_065)
    assert.equal(await answer(query('example.org')), 'result')
  })
  test('that are large wait in smaller number', async () => {
    const work = Promise.withResolvers<Element | undefined>()
    const { answers, answered, answer } = world([{ ...names, target: 'server', answer: () => work.promise }])
    const large = (): Iq => query('example.org').adding(el('x', NS, {}, 'x'.repeat(2 ** 18 - 100)))
    for (let i = 0; i < 64 + 4; i++) answers.answer(large(), CLIENT)
    assert.deepEqual(answered, [])
    assert.equal(await answer(large()), 'error: resource-constraint')
    work.resolve(undefined)
    await settled()
    assert.equal(answered.length, 69)
  })
})

test('what a handler must be asked first is asked of whoever there is, and before', async () => {
  const asked: string[] = []
  const admit = (call: { readonly view: AccountView }): void => {
    asked.push(call.view.jid)
    if (call.view.jid === JULIET) throw new StanzaError('not-allowed')
  }
  const { answer } = world([{ ...account, admit }])
  assert.equal(await answer(query(JULIET)), 'error: not-allowed')
  for (const to of ['nobody@example.org', DISABLED, BLOCKING])
    assert.equal(await answer(query(to)), 'error: service-unavailable')
  assert.deepEqual(asked, [JULIET, 'nobody@example.org', DISABLED, BLOCKING])
})
