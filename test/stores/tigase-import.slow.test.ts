import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before } from 'node:test'
import { Accounts } from '../../src/account/accounts.ts'
import type { ImportReport } from '../../src/import/import-tally.ts'
import { TigaseImport, type TigaseImportParts } from '../../src/import/tigase.ts'
import { Keys } from '../../src/keys/directory.ts'
import { KeyError } from '../../src/keys/key-error.ts'
import { ServerKey } from '../../src/keys/server-key.ts'
import { SqlKeyStore } from '../../src/storage/key-store.ts'
import type { Stores } from '../../src/storage/open.ts'
import type { BareJid, Domain } from '../../src/xmpp/jid.ts'
import { bridgeCertificate, type PhoneKey } from '../helpers/bridge-certificate.ts'
import { keysInMemory, ROOT } from '../helpers/keys-in-memory.ts'
import { openOf } from '../helpers/store-samples.ts'
import { withStores } from '../helpers/test-database.ts'
import { mysqlDump, postgresDump } from '../helpers/tigase-dump.ts'
import { numberJid, type TigaseSample, tigaseSample } from '../helpers/tigase-sample.ts'

const DOMAIN = 'example.org' as Domain
let sample: TigaseSample
let keys: string
before(async () => {
  sample = await tigaseSample(DOMAIN)
  keys = await mkdtemp(join(tmpdir(), 'fernruf-import-'))
  const { romeo, juliet, stranger, impostor } = sample.keys
  await writeFile(join(keys, 'all.gpg'), Buffer.concat([romeo.ring, stranger.ring, impostor.ring]))
  await writeFile(join(keys, 'juliet.asc'), juliet.key.toPublic().armor())
})
after(() => rm(keys, { recursive: true }))

async function partsOf(stores: Stores): Promise<TigaseImportParts & { readonly keys: Keys }> {
  const keyStore = new SqlKeyStore(stores.database)
  const server = await ServerKey.open(keyStore, ROOT, { domain: DOMAIN, make: true, now: Date.now() })
  return {
    accounts: new Accounts({
      store: stores.accounts,
      passwords: { hash: () => Promise.reject(new Error('no passwords')) },
      domains: new Set([DOMAIN]),
      onChanged: () => undefined,
    }),
    accountStore: stores.accounts,
    imports: stores.imports,
    rosters: stores.rosters,
    blocks: stores.blocks,
    inbox: stores.inbox,
    lastSeen: stores.lastSeen,
    network: stores.network,
    keys: new Keys({
      store: keyStore,
      accounts: stores.accounts,
      server,
      reopen: () => ServerKey.open(keyStore, ROOT, { domain: DOMAIN, make: false, now: Date.now() }),
    }),
    domains: new Set([DOMAIN]),
    markKey: ROOT.derive('imports'),
    limits: {
      rosterItems: 100,
      rosterGroups: 20,
      blocks: 100,
      network: 10,
      stanza: { maxBytes: 262_144, maxDepth: 64, maxElements: 4_096, maxAttributes: 64, maxNamespaces: 256 },
    },
    now: Date.now,
  }
}
async function* inParts(dump: string, size = 1_000): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(dump)
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}
const run = (parts: TigaseImportParts, dump: string): Promise<ImportReport> =>
  new TigaseImport(parts).run(() => inParts(dump), keys)

const idOf = async (stores: Stores, jid: string): Promise<number> =>
  (await stores.accounts.find(jid as BareJid))?.id ?? assert.fail(`no ${jid}`)
const waitingFor = async (stores: Stores, jid: string) =>
  (await openOf(stores.inbox, await idOf(stores, jid))).map(([, text]) => text)

const FORMS = {
  mysqldump: (s: TigaseSample) => mysqlDump(s.tables),
  'pg_dump with COPY': (s: TigaseSample) => postgresDump(s.tables),
  'pg_dump --inserts': (s: TigaseSample) => postgresDump(s.tables, 'insert'),
}
for (const [form, write] of Object.entries(FORMS))
  withStores(`accounts of Tigase from ${form}`, async (stores) => {
    const parts = await partsOf(stores)
    const { romeo, juliet } = sample
    const report = await run(parts, write(sample))
    assert.deepEqual(Object.fromEntries(report.taken), {
      accounts: 4,
      'of them disabled': 1,
      'fingerprints of keys': 3,
      rosters: 2,
      contacts: 3,
      'block lists': 1,
      'waiting messages': 3,
      'requests for subscription': 1,
      'servers of the network': 1,
      keys: 2,
    })
    assert.deepEqual(Object.fromEntries([...report.left].map(([why, { count, ids }]) => [why, [count, ...ids]])), {
      'users whose name is no address of an account': [1, '1'],
      'users of domains that are not served here': [1, '5'],
      'users whose name belongs to a service': [1, '6'],
      'waiting messages that had expired': [1, '13'],
      'waiting messages that nobody would miss': [1, '14'],
      'waiting stanzas that cannot be read': [1, '15'],
      'waiting messages of users who were not taken': [1, '16'],
      'registrations for push, which do not say for which device they are': [1, 'gcm'],
      'servers of the network that were off': [1, 'off.example'],
      'contacts with an address or subscription that is none': [1, '2'],
      'rosters that cannot be read': [1, '7'],
      'blocked addresses that are none': [1, '3'],
      'keys that no account taken over has': [2, sample.keys.stranger.fingerprint, sample.keys.impostor.fingerprint],
      'keys that were never there: these accounts have to register again': [1, '4'],
      'keys that were not brought along: these accounts have to register again': [1, 'F'.repeat(40)],
    })
    const account = await stores.accounts.find(romeo as BareJid)
    assert.deepEqual([account?.isNumber, account?.fingerprint], [true, sample.keys.romeo.fingerprint])
    assert.notEqual((await stores.accounts.find(`gone@${DOMAIN}` as BareJid))?.disabledAt, undefined)
    const view = await stores.rosters.load(romeo as BareJid)
    assert.deepEqual(
      view?.items
        .map(({ contact, name, groups, subscription, approved, listed }) => [
          contact,
          name,
          groups.join(),
          subscription,
          approved,
          listed,
        ])
        .toSorted(),
      [
        [juliet, 'Juliet & nurse', 'friends,Verona', 'both', false, true],
        ['mercutio@elsewhere.example', 'mercutio', '', 'none', true, true],
      ].toSorted(),
    )
    const hers = await stores.rosters.load(juliet as BareJid)
    assert.deepEqual(hers?.blocked, [`tybalt@${DOMAIN}`])
    const paris = hers?.items.find(({ contact }) => contact === 'paris@elsewhere.example')
    assert.deepEqual(
      [paris?.listed, Buffer.from(paris?.pendingIn ?? []).toString()],
      [false, '<status>Please!</status>'],
    )
    const waiting = await waitingFor(stores, juliet)
    assert.equal(waiting.length, 3)
    assert.match(waiting[0] ?? '', /id='m1'.*It is the east, &amp; Juliet is the sun! 🙂<\/body><\/message>$/s)
    assert.match(waiting[1] ?? '', /Arise, fair sun;\n'tis \\ time/)
    const [first] = (await stores.inbox.read(await idOf(stores, juliet), 0, undefined, 1)).entries
    assert.deepEqual(
      [first?.at, first?.peer, first?.archived],
      [Date.parse('2026-11-20T08:07:06.500Z'), `${romeo}/Kontalk`, true],
    )
    assert.equal(await stores.lastSeen.find(account?.id ?? 0), Date.parse('2026-11-01T10:00:00Z'))
    assert.deepEqual(
      (await stores.network.list()).map((server) => ({ ...server })),
      [{ domain: 'beta.example', fingerprint: 'A'.repeat(40) }],
    )
    // Each logs in with the recorded key, and with no other.
    for (const key of [sample.keys.romeo, sample.keys.juliet])
      assert.equal((await parts.keys.login(bridgeCertificate(key), DOMAIN)).fingerprint, key.fingerprint)
    for (const key of [sample.keys.stranger, sample.keys.impostor])
      await assert.rejects(parts.keys.login(bridgeCertificate(key), DOMAIN), KeyError)
  })

withStores('done again it takes nothing twice, brings nobody back, and changes nothing', async (stores) => {
  const parts = await partsOf(stores)
  const { romeo, juliet } = sample
  const dump = mysqlDump(sample.tables)
  await run(parts, dump)
  const id = await idOf(stores, juliet)
  await stores.rosters.change(await idOf(stores, romeo), juliet as BareJid, () => undefined, 100)
  await stores.blocks.remove(id, 'all')
  await stores.accounts.setFingerprint(await idOf(stores, romeo), 'D'.repeat(40))
  await stores.accounts.remove(await idOf(stores, `gone@${DOMAIN}`))
  const other = numberJid('+4915123456781', DOMAIN) as BareJid
  await stores.accounts.remove(await idOf(stores, other))
  await parts.accounts.create({ jid: other, naming: 'number' })
  const { taken, left } = await run(parts, dump)
  assert.deepEqual([...taken.keys()].toSorted(), ['accounts that were taken over before', 'servers of the network'])
  assert.equal(left.get('accounts that were taken over before and are gone, or another’s, by now')?.count, 2)
  assert.equal((await waitingFor(stores, juliet)).length, 3)
  assert.equal(await stores.accounts.find(`gone@${DOMAIN}` as BareJid), undefined)
  const view = await stores.rosters.load(romeo as BareJid)
  assert.equal(view?.items.length, 1)
  assert.equal(view?.account.fingerprint, 'D'.repeat(40))
  assert.deepEqual((await stores.rosters.load(juliet as BareJid))?.blocked, [])
  assert.equal((await stores.accounts.find(other))?.fingerprint, undefined)
})

withStores(
  'whose key was not brought along logs in by the old server’s certification, if that server’s key was',
  async (stores) => {
    const old = await keysInMemory()
    const { romeo, juliet } = sample.keys
    const candidate = await old.keys.candidate(bridgeCertificate(romeo), DOMAIN)
    const ring = await old.keys.certify(candidate)
    const parts = await partsOf(stores)
    await new TigaseImport(parts).run(() => inParts(mysqlDump(sample.tables)), undefined)
    const login = (key: PhoneKey, shown?: Buffer) =>
      parts.keys.login(bridgeCertificate(key, shown === undefined ? {} : { ring: shown }), DOMAIN)
    const refused = (work: Promise<unknown>) =>
      assert.rejects(work, (error) => error instanceof KeyError && error.fault === 'not-certified')
    await refused(login(romeo, ring))
    const [{ sealed = Buffer.alloc(0), ...key } = assert.fail('no key')] = await old.store.serverKeys()
    const keyStore = new SqlKeyStore(stores.database)
    const [own] = await keyStore.serverKeys()
    await keyStore.makeCurrent({ ...key, sealed })
    if (own !== undefined) await keyStore.makeCurrent(own)
    assert.equal((await login(romeo, ring)).jid, sample.romeo)
    assert.equal((await login(romeo)).jid, sample.romeo, 'from then on his key is known')
    await refused(login(juliet))
  },
)

withStores('an account that is here already is left alone', async (stores) => {
  const parts = await partsOf(stores)
  const { id } = await parts.accounts.create({ jid: sample.juliet as BareJid, naming: 'number' })
  const { left } = await run(parts, postgresDump(sample.tables))
  assert.equal(left.get('accounts that exist here already')?.count, 1)
  assert.equal((await stores.accounts.find(sample.juliet as BareJid))?.fingerprint, undefined)
  assert.deepEqual((await stores.rosters.load(sample.juliet as BareJid))?.items, [])
  assert.equal((await stores.inbox.waiting(id)).entries, 0)
})

withStores('after a failure at any step it goes on, and nothing comes twice', async (stores) => {
  const parts = await partsOf(stores)
  const dump = mysqlDump(sample.tables)
  let fault = { method: '', when: '' }
  const failing = <T extends object>(target: T): T =>
    new Proxy(target, {
      get: (object, key) => {
        const value: unknown = Reflect.get(object, key, object)
        if (typeof value !== 'function') return value
        return async (...args: unknown[]) => {
          const isIt = key === fault.method
          if (isIt && fault.when === 'before') throw new Error('killed')
          const result: unknown = await Reflect.apply(value, object, args)
          if (isIt && fault.when === 'after') throw new Error('killed')
          return result
        }
      },
    })
  const shaky: TigaseImportParts = {
    ...parts,
    imports: failing(parts.imports),
    rosters: failing(parts.rosters),
    blocks: failing(parts.blocks),
    inbox: failing(parts.inbox),
    accountStore: failing(parts.accountStore),
  }
  const methods = ['create', 'setDisabled', 'change', 'setFingerprint', 'done', 'add', 'commit', 'messages'] as const
  for (const method of methods)
    for (const when of ['before', 'after'] as const) {
      fault = { method, when }
      await assert.rejects(run(shaky, dump), /killed/, `${when} ${method}`)
    }
  fault = { method: '', when: '' }
  await run(shaky, dump)
  assert.equal((await waitingFor(stores, sample.juliet)).length, 3)
  assert.equal((await stores.rosters.load(sample.romeo as BareJid))?.items.length, 2)
  assert.equal((await parts.keys.login(bridgeCertificate(sample.keys.juliet), DOMAIN)).jid, sample.juliet)
})

withStores('what an account there was sent by somebody hostile brings nothing with it', async (stores) => {
  const parts = await partsOf(stores)
  const { romeo, juliet, tables } = sample
  const long = 'x'.repeat(1_024)
  const payload = [
    '<body>Hist!</body>',
    `<stanza-id xmlns="urn:xmpp:sid:0" by="${juliet}" id="forged"/>`,
    `<s:stanza-id xmlns:s="urn:xmpp:sid:0" by="${juliet.toUpperCase()}" id="forged"/>`,
    '<stanza-id xmlns="urn:xmpp:sid:0" by="elsewhere.example" id="theirs"/>',
    `<delay xmlns="urn:xmpp:delay" from="${DOMAIN}" stamp="9999-01-01T00:00:00Z"/>`,
  ]
  const rows = [
    [
      1,
      3,
      `<message xmlns="jabber:client" from="${romeo}/x">${payload.join('')}</message>`,
      '2026-11-20 09:00:00',
      null,
    ],
    [2, 3, `<message xmlns="jabber:client" from="${romeo}/x"><body>!</body></message>`, '9999-01-01 00:00:00', null],
  ]
  const { tig_pairs: pairs = assert.fail(), messages = assert.fail() } = tables
  const roster = `<contact subs="both" jid="${juliet}" name="${long}" groups="friends,${long},,${long}y"/>`
  const others = pairs.rows.filter(([, uid, key]) => uid !== 2 || key !== 'roster')
  const dump = mysqlDump({
    ...tables,
    tig_pairs: { ...pairs, rows: [...others, [20, 2, 'roster', roster]] },
    messages: { ...messages, rows },
  })
  const { left } = await run(parts, dump)
  const item = (await stores.rosters.load(romeo as BareJid))?.items[0]
  assert.deepEqual([item?.contact, item?.name, item?.groups], [juliet, undefined, ['friends']])
  assert.deepEqual(left.get('names and groups of contacts that are too long')?.ids, ['2'])
  const [first = '', ...others_] = await waitingFor(stores, juliet)
  assert.equal(others_.length, 1)
  assert.match(first, /Hist!.*id='theirs'/)
  assert.doesNotMatch(first, /forged|<delay/)
  for (const { at } of (await stores.inbox.read(await idOf(stores, juliet), 0, undefined, 10)).entries)
    assert.ok(at <= Date.now())
})

withStores(
  'messages that stand in no order, as PostgreSQL may leave them, are all taken, and none twice',
  async (stores) => {
    const parts = await partsOf(stores)
    const { romeo, juliet, tables } = sample
    const { messages = assert.fail() } = tables
    const rows = Array.from({ length: 200 }, (_, i) => {
      const stanza = `<message xmlns="jabber:client" from="${romeo}/x"><body>${i}</body></message>`
      return [i < 150 ? 1_000 + i : i, 3, stanza, '2026-11-20 09:00:00', null]
    })
    const dump = postgresDump({ ...tables, messages: { ...messages, rows } })
    let commits = 0
    const inbox: TigaseImportParts['inbox'] = {
      commit: (batch) => (++commits === 2 ? Promise.reject(new Error('killed')) : stores.inbox.commit(batch)),
    }
    await assert.rejects(run({ ...parts, inbox }, dump), /killed/)
    await run(parts, dump)
    await run(parts, dump)
    const bodies = (await waitingFor(stores, juliet)).map((xml) => Number(/<body>(\d+)</.exec(xml)?.[1]))
    assert.deepEqual(
      bodies.toSorted((a, b) => a - b),
      rows.map((_, i) => i),
    )
  },
)

withStores('what is no such dump is refused before anything is written', async (stores) => {
  const parts = await partsOf(stores)
  await assert.rejects(run(parts, '-- MySQL dump\nCREATE TABLE `x` (`a` int);'), /no table tig_users/)
  await assert.rejects(run(parts, 'PK\x03\x04 zip'), /no table tig_users/)
  assert.deepEqual(await stores.accounts.list(DOMAIN, '', 10), [])
})
