import assert from 'node:assert/strict'
import { ARCHIVE_ALL } from '../../src/account/archiving.ts'
import type { Views } from '../../src/contract/account-view.ts'
import archive from '../../src/features/xep0313-archive.ts'
import { type Element, el } from '../../src/xmpp/element.ts'
import type { BareJid, Jid } from '../../src/xmpp/jid.ts'
import { NS_DATA, NS_MAM, NS_RSM } from '../../src/xmpp/ns.ts'
import { Stanza } from '../../src/xmpp/stanza.ts'
import { StanzaError } from '../../src/xmpp/stanza-error.ts'
import { archiveSaid } from '../helpers/archive-samples.ts'
import { handlersOf } from '../helpers/feature-handlers.ts'
import { FakeSession } from '../helpers/presence-world.ts'
import { Random } from '../helpers/random.ts'
import { createAccount } from '../helpers/store-samples.ts'
import { withStores } from '../helpers/test-database.ts'

const ALICE = 'alice@example.org' as BareJid
const ROUNDS = 1_500
/** What has broken somebody's statements, patterns, numbers or times. */
const HOSTILE = [
  '',
  ' ',
  '0',
  '-1',
  '1',
  '00',
  '1e3',
  'NaN',
  'Infinity',
  '9007199254740992',
  '9223372036854775808',
  '18446744073709551616',
  '9'.repeat(400),
  "'",
  "' or '1'='1",
  "1' or 1=1 --",
  '1); drop table entry; --',
  '1 union select payload from entry',
  '{1,2}',
  '[1,2]',
  '$1',
  '?1',
  '%',
  '_',
  '%@example.org',
  'bob%',
  'bob@example.org',
  'bob@example.org/%',
  'bob@example.org/phone',
  "bob@example.org/'",
  "bob@example.org/' or '1'='1",
  'bob@example.org/\\',
  'mallory@example.org',
  '\\',
  '\\x00',
  '\u0085',
  '\ud83d\ude00',
  'null',
  'true',
  '__proto__',
  '2026-11-25T12:00:00Z',
  '0000-00-00T00:00:00Z',
  '9999-12-31T23:59:59.999999999Z',
  '0001-01-01T00:00:00-14:00',
  '2026-11-25T12:00:00Z; select 1',
]
const FIELDS = ['with', 'start', 'end', 'before-id', 'after-id', 'ids', 'include-groupchat']
const PARTS = ['max', 'after', 'before', 'index']
const ANSWERS = new Set([
  'bad-request',
  'jid-malformed',
  'item-not-found',
  'feature-not-implemented',
  'policy-violation',
])

withStores('row 22: whatever stands in a query, it is answered, and with nobody else’s messages', async (stores, t) => {
  const { id } = await createAccount(stores, ALICE)
  await createAccount(stores, 'mallory@example.org')
  const said = ['bob@example.org/phone', 'bob%@example.org/a', 'carol@example.org/a'].map((from) => ({
    from,
    to: ALICE,
    body: 'mine',
  }))
  const ids = await archiveSaid(stores, ALICE, said)
  const secret = await archiveSaid(stores, 'mallory@example.org', [
    { from: 'bob@example.org/phone', to: 'mallory@example.org', body: 'secret' },
  ])
  const account = await stores.accounts.find(ALICE)
  const view = { jid: ALICE, account, roster: new Map(), blocked: new Set<Jid>(), archiving: ARCHIVE_ALL }
  const views: Views = {
    peek: () => view,
    latest: () => view,
    load: () => Promise.resolve(view),
    changed: () => undefined,
  }
  const handlers = await handlersOf(archive, { archive: stores.archive, views })
  const handler = handlers.iq?.find((h) => h.target === 'self' && h.type === 'set')
  assert.ok(handler?.target === 'self')
  const session = new FakeSession(ALICE, 'phone')
  const random = new Random(4711)
  const below = (limit: number): number => random.between(0, limit - 1)
  const words = [...HOSTILE, ...ids, ...secret]
  const word = (): string => words[below(words.length)] ?? ''
  const some = <T>(make: () => T): T[] => (below(3) === 0 ? [make()] : [])

  const field = (name: string, ...values: readonly string[]): Element =>
    el('field', NS_DATA, { var: name }, ...values.map((value) => el('value', NS_DATA, {}, value)))
  const form = (...fields: readonly Element[]): Element =>
    el('x', NS_DATA, { type: 'submit' }, field('FORM_TYPE', NS_MAM), ...fields)
  const set = (...parts: readonly Element[]): Element => el('set', NS_RSM, {}, ...parts)
  /** Each word alone in each place, then many at random. */
  function* queries(): Generator<readonly Element[]> {
    for (const value of words) {
      for (const name of FIELDS) yield [form(field(name, value))]
      for (const name of PARTS) yield [set(el(name, NS_RSM, {}, value))]
    }
    for (let round = 0; round < ROUNDS; round++) {
      const values = () => Array.from({ length: 1 + below(2) }, word)
      const fields = FIELDS.flatMap((name) => some(() => field(name, ...values())))
      const parts = PARTS.flatMap((name) => some(() => el(name, NS_RSM, {}, word())))
      yield [...some(() => form(...fields)), ...some(() => set(...parts)), ...some(() => el('flip-page', NS_MAM))]
    }
  }

  const seen = new Map<string, number>()
  for (const parts of queries()) {
    const payload = el('query', NS_MAM, {}, ...parts)
    const request = Stanza.of({ kind: 'iq', type: 'set', id: 'q', from: session.jid as Jid, to: undefined }, payload)
    let answer = 'fin'
    try {
      const fin: Element | undefined = await handler.answer({ request, payload, session })
      assert.equal(fin?.name, 'fin')
    } catch (error) {
      if (!(error instanceof StanzaError)) throw new Error(`not answered: ${String(payload)}`, { cause: error })
      assert.ok(ANSWERS.has(error.condition), error.condition)
      answer = error.condition
    }
    for (const xml of session.taken()) assert.ok(xml.includes('mine') && !xml.includes('secret'), xml)
    seen.set(answer, (seen.get(answer) ?? 0) + 1)
  }
  t.diagnostic(JSON.stringify(Object.fromEntries(seen)))
  assert.ok([...ANSWERS, 'fin'].every((name) => name === 'policy-violation' || (seen.get(name) ?? 0) > 0))
  assert.equal(await stores.archive.count(id, {}, 10), 3)
})
