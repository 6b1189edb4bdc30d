import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Asker } from '../../../src/account/lookups.ts'
import type { AccountView } from '../../../src/contract/account-view.ts'
import publicKeys from '../../../src/features/x-public-keys.ts'
import type { RosterItem } from '../../../src/roster/store.ts'
import { MetricRegistry } from '../../../src/telemetry/metrics.ts'
import { type Element, el } from '../../../src/xmpp/element.ts'
import { type BareJid, bareOf, domainOf, type Jid } from '../../../src/xmpp/jid.ts'
import { NS_CLIENT, NS_PUBKEY } from '../../../src/xmpp/ns.ts'
import { keyAnswer, keyNotice, publishedKey } from '../../../src/xmpp/public-key.ts'
import { serialize } from '../../../src/xmpp/serialize.ts'
import { type Presence, Stanza } from '../../../src/xmpp/stanza.ts'
import { StanzaError } from '../../../src/xmpp/stanza-error.ts'
import { handlersOf } from '../../helpers/feature-handlers.ts'
import { keysInMemory } from '../../helpers/keys-in-memory.ts'
import { accountOf, ORCHARD, sessionOf } from '../router/world.ts'

const PRINT = 'A'.repeat(40)
const ROMEO = bareOf(ORCHARD)
const JULIET = 'juliet@example.org' as BareJid
const item = (changes: Partial<RosterItem>): RosterItem => ({
  contact: ROMEO,
  name: undefined,
  groups: [],
  subscription: 'none',
  pendingOut: false,
  pendingIn: undefined,
  approved: false,
  listed: true,
  version: 1,
  ...changes,
})

/** `view`: of the account that is asked for, or whose session sends. */
async function setUp(view: Partial<AccountView> | undefined, local = 1) {
  const full =
    view && ({ jid: JULIET, account: undefined, roster: new Map(), blocked: new Set(), ...view } as AccountView)
  const metrics = new MetricRegistry({ process: false })
  const { keys } = await keysInMemory()
  const lookups = {
    askerOf: (from: Jid): Asker => (from === ORCHARD ? { account: bareOf(from) } : { domain: domainOf(from) }),
    find: () => Promise.reject(new Error('nobody asks for many')),
    spend: (asker: Asker, target: BareJid) => Promise.resolve(target === JULIET && 'account' in asker && local > 0),
  }
  const views = {
    peek: () => full,
    latest: () => full,
    load: () => Promise.reject(new Error('no query')),
    changed: () => undefined,
  }
  const handlers = await handlersOf(publicKeys, { views, keys, lookups }, { metrics })
  const asked = handlers.iq?.find((h) => h.target === 'account' && h.type === 'get')
  const [hook] = handlers.hooks ?? []
  const run = hook?.run as (event: unknown) => Presence
  return {
    admits: async (from: Jid = ORCHARD): Promise<boolean> => {
      try {
        if (asked?.target === 'account')
          await asked.admit?.({ from, view: full as AccountView, payload: el('pubkey', NS_PUBKEY) })
        return true
      } catch (error) {
        assert.ok(error instanceof StanzaError && error.condition === 'item-not-found' && error.text === undefined)
        return false
      }
    },
    refused: async () => /_refused_total (\d+)/.exec(await metrics.registry.metrics())?.[1],
    sent: (presence: Presence): string => run({ stanza: presence, session: sessionOf(ORCHARD) }).bytes.toString(),
  }
}

describe('who may ask', () => {
  const known = (...items: RosterItem[]) => ({ roster: new Map(items.map((i) => [i.contact, i])) })
  test('a stranger within his budget, whether the account exists or not; what is refused is counted', async () => {
    for (const account of [undefined, accountOf(JULIET)]) {
      assert.ok(await (await setUp({ account })).admits())
      const spent = await setUp({ account }, 0)
      assert.ok(!(await spent.admits()))
      assert.equal(await spent.refused(), '1')
    }
  })
  test('without a budget, who is on the roster by its owner’s doing', async () => {
    const request = Buffer.alloc(0)
    const table: readonly (readonly [RosterItem, boolean])[] = [
      [item({}), true],
      [item({ subscription: 'from' }), true],
      [item({ pendingIn: request }), true],
      [item({ pendingIn: request, listed: false }), false],
      [item({ contact: 'paris@example.org' as BareJid }), false],
    ]
    for (const [one, expected] of table) assert.equal(await (await setUp(known(one), 0)).admits(), expected)
    assert.ok(
      await (await setUp(known(item({ contact: 'iago@example.net' as BareJid })))).admits('iago@example.net/x' as Jid),
    )
    assert.ok(
      !(await (await setUp({})).admits('iago@example.net/x' as Jid)),
      'remote strangers have a budget of their own',
    )
  })
})

describe('what a client says of keys in its presence', () => {
  const presence = (type: string, ...payloads: Element[]): Presence =>
    Stanza.of({ kind: 'presence', type, from: ORCHARD, to: undefined }, ...payloads)
  const show = el('show', NS_CLIENT, {}, 'away')
  const forged = [keyNotice('F'.repeat(40)), show, el('anything', NS_PUBKEY), keyNotice(PRINT)]
  const keyed = { account: { ...accountOf(JULIET), fingerprint: PRINT } }
  const inner = serialize(show, NS_CLIENT)
  const notice = serialize(keyNotice(PRINT), NS_CLIENT)

  test('is replaced by what the server knows', async () => {
    const { sent } = await setUp(keyed)
    assert.equal(sent(presence('', ...forged)), `<presence from='${ORCHARD}'>${inner}${notice}</presence>`)
    assert.equal(sent(presence('')), `<presence from='${ORCHARD}'>${notice}</presence>`)
  })
  test('is taken off where the account has no key or is not known, and of all other presence', async () => {
    const bare = (type: string) =>
      `<presence from='${ORCHARD}'${type === '' ? '' : ` type='${type}'`}>${inner}</presence>`
    for (const view of [{ account: accountOf(JULIET) }, undefined])
      assert.equal((await setUp(view)).sent(presence('', ...forged)), bare(''))
    for (const type of ['unavailable', 'subscribe', 'subscribed', 'error'])
      assert.equal((await setUp(keyed)).sent(presence(type, ...forged)), bare(type))
  })
  test('costs nothing where there is nothing: the same stanza goes on', () => {
    const other = presence('', show)
    assert.equal(other.without(NS_PUBKEY), other)
    const less = presence('', ...forged).without(NS_PUBKEY)
    assert.deepEqual(
      less.children.map((c) => c.name),
      ['show'],
    )
    assert.ok(!less.has('pubkey', NS_PUBKEY))
  })
})

test('a key is base64 of its bytes alone, whatever they are a part of', () => {
  const ring = new Uint8Array(Buffer.from('xxringxx')).subarray(2, 6)
  const ns = `xmlns='${NS_PUBKEY}'`
  assert.equal(serialize(keyAnswer({ ring }), NS_CLIENT), `<pubkey ${ns}>cmluZw==</pubkey>`)
  assert.equal(
    serialize(publishedKey({ fingerprint: PRINT, ring }), NS_CLIENT),
    `<pubkey ${ns}><key>cmluZw==</key><print>${PRINT}</print></pubkey>`,
  )
})
