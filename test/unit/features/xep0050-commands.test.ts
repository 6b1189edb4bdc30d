import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { pino } from 'pino'
import type { Command } from '../../../src/contract/command.ts'
import commands from '../../../src/features/xep0050-commands.ts'
import { fieldValue } from '../../../src/xmpp/data-form.ts'
import type { Element } from '../../../src/xmpp/element.ts'
import { type BareJid, bareOf, type Jid } from '../../../src/xmpp/jid.ts'
import { StanzaError } from '../../../src/xmpp/stanza-error.ts'
import { ask } from '../../helpers/feature-handlers.ts'
import { parse } from '../../helpers/match-element.ts'
import { bare, FakeSession, LOCAL } from '../../helpers/presence-world.ts'

const NS = 'http://jabber.org/protocol/commands'
const ADMIN = bare('admin')
/** One of one stage, one of two, one that never has enough, one for operators. */
const OFFERED: readonly Command[] = [
  { node: 'ping', name: 'Ping', who: 'account', run: ({ session }) => ({ note: `pong ${session.account}` }) },
  {
    node: 'greet',
    name: 'Greet',
    who: 'account',
    run: ({ form }) => {
      if (form === undefined) return { form: { title: 'Greet', fields: [{ var: 'whom', type: 'text-single' }] } }
      const whom = fieldValue(form, 'whom')
      if (whom === undefined) throw new StanzaError('bad-request', { text: 'Whom?' })
      return whom === 'nobody' ? { note: 'Nobody was greeted.', level: 'warn' } : { note: `Hello ${whom}` }
    },
  },
  { node: 'more', name: 'More', who: 'account', run: () => ({ form: { fields: [] } }) },
  { node: 'stop', name: 'Stop', who: 'operator', run: () => ({ note: 'stopped' }) },
]

async function setUp() {
  const handlers = await commands.setup({
    config: { operators: [ADMIN] },
    metrics: {},
    ports: {
      commands: { all: () => OFFERED, find: (node) => OFFERED.find((c) => c.node === node) },
      disco: {
        domains: new Set([LOCAL]),
        serverFeatures: [],
        accountFeatures: [],
        services: [],
        nodes: { find: () => undefined },
        software: { name: 'Fernruf', version: '1' },
      },
    },
    log: pino({ level: 'silent' }),
    signal: new AbortController().signal,
  })
  const juliet = new FakeSession(bare('juliet'), 'phone')
  return {
    handlers,
    juliet,
    says: async (attrs: string, form = '', session: FakeSession | undefined = juliet, to?: Jid): Promise<Element> => {
      const target = to === undefined || to === bareOf(session.jid) ? 'self' : 'server'
      const xml = await ask(
        handlers,
        { target, from: session.jid, session, ...(to === undefined ? {} : { to }) },
        'set',
        `<command xmlns='${NS}' ${attrs}>${form}</command>`,
      )
      return parse(xml)
    },
  }
}
const form = (inside = ''): string => `<x xmlns='jabber:x:data' type='submit'>${inside}</x>`
const whom = (name: string): string => form(`<field var='whom'><value>${name}</value></field>`)
const note = (e: Element): string => {
  const found = e.children.find((c): c is Element => typeof c !== 'string' && c.name === 'note')
  return `${e.attrs.status} ${found?.attrs.type} ${found?.children.join('')}`
}
const fails = (condition: string, app?: string) => (error: unknown) =>
  error instanceof StanzaError && error.condition === condition && error.app?.name === app

describe('a command', () => {
  test('of one stage is completed at once, at the account and at its domain', async () => {
    const { says, juliet } = await setUp()
    for (const to of [undefined, juliet.account, LOCAL])
      for (const action of ['', `action='execute'`])
        assert.equal(
          note(await says(`node='ping' ${action}`, '', juliet, to)),
          'completed info pong juliet@example.org',
        )
  })

  test('of two stages asks with a form, then ends; its id is good once', async () => {
    const { says } = await setUp()
    for (const action of ['', `action='complete'`, `action='execute'`]) {
      const asked = await says(`node='greet'`)
      assert.equal(asked.attrs.status, 'executing')
      assert.match(asked.attrs.sessionid ?? '', /^[\w-]{22}$/)
      const [actions, x] = asked.children as readonly Element[]
      assert.deepEqual([actions?.name, actions?.attrs.execute], ['actions', 'complete'])
      assert.deepEqual([x?.name, x?.attrs.type], ['x', 'form'])
      const id = `sessionid='${asked.attrs.sessionid}'`
      const done = await says(`node='greet' ${id} ${action}`, whom('Romeo'))
      assert.equal(done.attrs.sessionid, asked.attrs.sessionid)
      assert.equal(note(done), 'completed info Hello Romeo')
      await assert.rejects(says(`node='greet' ${id}`, whom('Romeo')), fails('not-allowed', 'session-expired'))
    }
    const asked = await says(`node='greet'`)
    assert.equal(
      note(await says(`node='greet' sessionid='${asked.attrs.sessionid}'`, whom('nobody'))),
      'completed warn Nobody was greeted.',
    )
  })

  test('can be cancelled', async () => {
    const { says } = await setUp()
    const id = `sessionid='${(await says(`node='greet'`)).attrs.sessionid}'`
    assert.equal((await says(`node='greet' ${id} action='cancel'`)).attrs.status, 'canceled')
    await assert.rejects(says(`node='greet' ${id}`, whom('x')), fails('not-allowed', 'session-expired'))
  })

  test('with a form that does not fit may be filled in again', async () => {
    const { says } = await setUp()
    const id = `sessionid='${(await says(`node='greet'`)).attrs.sessionid}'`
    await assert.rejects(says(`node='greet' ${id}`, form()), fails('bad-request'))
    await assert.rejects(says(`node='greet' ${id}`), fails('bad-request', 'bad-payload'))
    await assert.rejects(says(`node='greet' ${id} action='prev'`), fails('bad-request', 'bad-action'))
    await assert.rejects(says(`node='greet' ${id} action='next'`), fails('bad-request', 'bad-action'))
    await assert.rejects(says(`node='ping' ${id}`), fails('bad-request', 'bad-sessionid'))
    assert.equal(note(await says(`node='greet' ${id}`, whom('Romeo'))), 'completed info Hello Romeo')
  })

  test('may ask more than once, under the same id', async () => {
    const { says } = await setUp()
    const first = await says(`node='more'`)
    const second = await says(`node='more' sessionid='${first.attrs.sessionid}'`, form())
    assert.deepEqual([second.attrs.status, second.attrs.sessionid], ['executing', first.attrs.sessionid])
  })

  test('that nobody knows, or an action that is none, is an error', async () => {
    const { says } = await setUp()
    await assert.rejects(says(`node='x'`), fails('item-not-found'))
    await assert.rejects(says(''), fails('item-not-found'))
    await assert.rejects(says(`node='ping' action='jump'`), fails('bad-request', 'malformed-action'))
    for (const action of ['complete', 'cancel', 'next', 'prev'])
      await assert.rejects(says(`node='ping' action='${action}'`), fails('bad-request', 'bad-action'))
    await assert.rejects(says(`node='greet' sessionid='made-up'`, form()), fails('not-allowed', 'session-expired'))
  })

  test('is bound to the session that began it', async () => {
    const { says } = await setUp()
    const laptop = new FakeSession(bare('juliet'), 'laptop')
    const id = (await says(`node='greet'`)).attrs.sessionid
    await assert.rejects(
      says(`node='greet' sessionid='${id}'`, whom('x'), laptop),
      fails('not-allowed', 'session-expired'),
    )
  })

  test('waits ten minutes for its form, and eight wait at most', async (t) => {
    t.mock.timers.enable({ apis: ['Date'] })
    const { says } = await setUp()
    const ids: (string | undefined)[] = []
    for (let i = 0; i < 9; i++) ids.push((await says(`node='greet'`)).attrs.sessionid)
    assert.equal(new Set(ids).size, 9)
    const submit = (index: number) => says(`node='greet' sessionid='${ids[index]}'`, whom('x'))
    await assert.rejects(submit(0), fails('not-allowed', 'session-expired'))
    await submit(1)
    t.mock.timers.tick(600_000)
    await submit(2)
    t.mock.timers.tick(1)
    await assert.rejects(submit(3), fails('not-allowed', 'session-expired'))
  })
})

describe('who may', () => {
  test('operators at the domain, and nobody else', async () => {
    const { says, juliet } = await setUp()
    const admin = new FakeSession(ADMIN, 'desk')
    assert.equal(note(await says(`node='stop'`, '', admin, LOCAL)), 'completed info stopped')
    await assert.rejects(says(`node='stop'`, '', juliet, LOCAL), fails('forbidden'))
    await assert.rejects(says(`node='stop'`, '', admin, ADMIN), fails('forbidden'))
  })

  test('nobody from elsewhere', async () => {
    const { handlers } = await setUp()
    const from = 'juliet@elsewhere.org/x' as Jid
    const asked = ask(handlers, { target: 'server', from, to: LOCAL }, 'set', `<command xmlns='${NS}' node='ping'/>`)
    await assert.rejects(asked, fails('forbidden'))
    assert.equal(
      handlers.iq?.some((h) => h.target === 'account'),
      false,
    )
  })

  test('sees what is there for him', async () => {
    const { handlers } = await setUp()
    const nodes = (from: string, to: Jid, node = NS) => handlers.discoNodes?.find({ node, from: from as Jid, to })
    const listed = (from: string, to: Jid) => nodes(from, to)?.items.map((item) => `${item.jid} ${item.node}`)
    const juliet = bare('juliet')
    assert.deepEqual(
      listed(`${juliet}/phone`, LOCAL),
      ['ping', 'greet', 'more'].map((n) => `${LOCAL} ${n}`),
    )
    assert.deepEqual(
      listed(`${juliet}/phone`, juliet),
      ['ping', 'greet', 'more'].map((n) => `${juliet} ${n}`),
    )
    assert.deepEqual(listed(`${juliet}/phone`, bare('romeo')), [])
    assert.deepEqual(listed('juliet@elsewhere.org/x', LOCAL), [])
    assert.equal(listed(`${ADMIN}/x`, LOCAL)?.length, 4)
    assert.deepEqual(nodes(`${juliet}/x`, juliet, 'greet'), {
      info: {
        identities: [{ category: 'automation', type: 'command-node', name: 'Greet' }],
        features: [NS, 'jabber:x:data'],
      },
      items: [],
    })
    assert.equal(nodes(`${juliet}/x`, LOCAL, 'stop'), undefined)
    assert.equal(nodes(`${juliet}/x`, bare('romeo'), 'greet'), undefined)
  })
})

test('operators are addresses', () => {
  const parsed = commands.config.parse({ operators: ['Admin@Example.org'] })
  assert.deepEqual(parsed.operators, ['admin@example.org' as BareJid])
  for (const wrong of ['', 'example.org', 'a@example.org/x', '@'])
    assert.equal(commands.config.safeParse({ operators: [wrong] }).success, false, wrong)
})
