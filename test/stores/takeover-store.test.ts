import assert from 'node:assert/strict'
import type { NewRequest, Taking } from '../../src/account/verification-store.ts'
import { SqlVerificationStore } from '../../src/storage/verification-store.ts'
import { archived } from '../helpers/archive-samples.ts'
import { batch, bytes, createAccount, entry, jid, secrets, takesOf } from '../helpers/store-samples.ts'
import { type TestStores, withStores } from '../helpers/test-database.ts'

const NOW = 1_800_000_000_000
const HOUR = 3_600_000
const DAY = 24 * HOUR
const ALICE = jid('alice@example.org')
const BOB = jid('bob@example.org')
const SUBJECT = bytes('subject')
const RULES = { activeMs: 7 * DAY, delayMs: DAY, lockKeptMs: 30 * DAY }
const CODE = bytes('code'.padEnd(32))
const taking = (over: Partial<Taking> = {}): Taking => ({
  rules: RULES,
  isUnlocked: false,
  isConnected: false,
  claimant: undefined,
  ...over,
})
const request = (expiresAt = NOW + 600_000): NewRequest => ({ subject: SUBJECT, codeHash: CODE, expiresAt })
const newcomer = {
  jid: ALICE,
  isNumber: true,
  fingerprint: 'B'.repeat(40),
  secrets: [secrets('SCRAM-SHA-256', 'new')],
}

/** Alice's account, used an hour ago, and somebody who means to replace it. */
async function asked(stores: TestStores, lastActive: number | 'never' = NOW - HOUR) {
  const store = new SqlVerificationStore(stores.database)
  const { id } = await createAccount(stores, ALICE)
  if (lastActive !== 'never') await stores.activity.put(new Map([[id, lastActive]]))
  assert.equal((await store.request({ ...request(), isForced: true }, ALICE, [], NOW)).outcome, 'requested')
  return { store, id }
}
const rowOf = async ({ database }: TestStores) =>
  (
    await database.query<{ state: string; tries: number; expires_at: number; claimant: Uint8Array | null }>(
      'select state, tries, expires_at, claimant from verification',
    )
  )[0]

/** Of these only ids of accounts that are gone, which are nobody's again; what was imported is remembered without its address. */
const MARKS: ReadonlySet<string> = new Set(['removed_log', 'import_mark'])
/** Tables that hold something of accounts. */
async function tablesOf({ database }: TestStores): Promise<readonly string[]> {
  const text =
    database.dialect === 'postgres'
      ? `select table_name as name from information_schema.columns where column_name = 'account_id' and table_schema = current_schema()`
      : `select m.name from sqlite_master m, pragma_table_info(m.name) c where m.type = 'table' and c.name = 'account_id'`
  return (await database.query<{ name: string }>(`${text} order by 1`)).map(({ name }) => name)
}

withStores('nothing of an account reaches whoever takes its place: not a row of any table', async (stores) => {
  const { database } = stores
  const { store, id } = await asked(stores)
  const at = NOW - DAY
  const state = (await stores.logins.state(ALICE)) as { id: number; epoch: number }
  const agent = Buffer.alloc(32, 1)
  const token = { mechanism: 'HT-SHA-256-NONE', seed: Buffer.alloc(32, 2), issuedAt: at, expiresAt: NOW + DAY }
  await stores.accounts.addSecrets(state, [secrets('SCRAM-SHA-256', 'old')])
  await stores.logins.seen(
    { account: state, agent, software: undefined, device: undefined, proof: 'key', at },
    'name',
    9,
  )
  await stores.logins.issue({ account: state, agent, ...token })
  await stores.inbox.commit(batch([entry(id, 'waits'), archived(id, 'was said')], [takesOf(id, [])]))
  await stores.keyTransfers.put({
    account: id,
    tokenHash: Buffer.alloc(32, 3),
    ring: bytes('ring'),
    expiresAt: NOW + DAY,
  })
  await stores.takeovers.setLock(id, { salt: bytes('salt'), iterations: 1, storedKey: bytes('key') })
  await stores.lastSeen.put(new Map([[id, at]]))
  await stores.rosters.change(
    id,
    BOB,
    () => ({
      contact: BOB,
      name: undefined,
      groups: [],
      subscription: 'both',
      pendingOut: false,
      pendingIn: undefined,
      approved: false,
      listed: true,
      version: 0,
    }),
    9,
  )
  // The rest by hand: what matters is that it is there.
  const rows: Readonly<Record<string, readonly [string, string]>> = {
    public_key: ['fingerprint, ring', `'${'A'.repeat(40)}', $2`],
    device_cursor: ['device, cursor, seen_at', `'phone', 1, 1`],
    block: ['jid', `'evil@example.org'`],
    report: ['at, reported, reason, text, messages, to_origin, to_third_party', `1, 'x@y', 'spam', '', '[]', 0, 0`],
    private_xml: ['ns, name, payload', `'urn:x', 'x', $2`],
    vcard: ['payload', '$2'],
    archive_preference: ['rule, lists', `'always', '{}'`],
    retraction: ['id, wish', `1, '{}'`],
    archive_usage: ['counted_to, entries, bytes', '1, 1, 1'],
    data_key: ['operator_key, wrapped', `'k', $3`],
    lookup: ['target, at', `'t', 1`],
    upload: ['id, name, type, size, requested_at', `'${'a'.repeat(32)}', 'a.jpg', 'image/jpeg', 1, 1`],
    push_device: ['device, provider, token, used_at', `'phone', 'gcm', 'token', 1`],
    key_listing: ['domain, hash', `'example.org', 'h'`],
    takeover: ['state, asked_at, ripe_at, expires_at', `'waiting', 1, 1, ${NOW + DAY}`],
  }
  for (const [table, [columns, values]] of Object.entries(rows)) {
    const params = [
      id,
      ...(values.includes('$2') ? [bytes('payload')] : []),
      ...(values.includes('$3') ? [Buffer.alloc(61)] : []),
    ]
    await database.query(
      `insert into ${table} (account_id, ${columns}) values ($1, ${values.replace('$3', '$2')}) on conflict do nothing`,
      params,
    )
  }
  const count = async (table: string, account: number) =>
    (await database.query<{ n: number }>(`select count(*) as n from ${table} where account_id = $1`, [account]))[0]?.n
  const tables = (await tablesOf(stores)).filter((table) => !MARKS.has(table))
  assert.ok(tables.length >= 22, tables.join())
  for (const table of tables) assert.ok(((await count(table, id)) ?? 0) > 0, `${table} holds nothing before`)

  const made = await store.confirm(request(), newcomer, taking({ isUnlocked: true }), NOW)
  assert.ok(made.outcome === 'made')
  assert.equal(made.reason, 'unlocked')
  assert.notEqual(made.account.id, id)
  // What the log held is nobody's any more, and goes by and by; its key went at once.
  assert.ok(((await count('entry', id)) ?? 0) > 0 && (await count('data_key', id)) === 0)
  while (await stores.inbox.clear());
  for (const table of tables) {
    assert.equal(await count(table, id), 0, `${table} is left`)
    assert.equal(await count(table, made.account.id), table === 'credential' ? 1 : 0, table)
  }
  const { secrets: own } = (await stores.accounts.credential(ALICE, 'SCRAM-SHA-256')) ?? {}
  assert.deepEqual(own, newcomer.secrets[0])
  assert.deepEqual(await stores.accounts.find(ALICE), made.account)
  assert.deepEqual([made.account.fingerprint, made.account.delivery], [newcomer.fingerprint, undefined])
})

withStores('an account in use stays: the claim is noted once, and the try is given back', async (stores) => {
  const { store, id } = await asked(stores)
  await store.attempt(SUBJECT, [], 5, NOW)
  const first = await store.confirm(request(), newcomer, taking(), NOW)
  assert.deepEqual(first, { outcome: 'waiting', until: NOW + DAY, isNew: true })
  const again = await store.weigh(request(), newcomer, taking(), NOW + HOUR)
  assert.deepEqual(again, { outcome: 'gone' }, 'a code without a key is good for its time only')
  assert.deepEqual(await rowOf(stores), { state: 'requested', tries: 0, expires_at: NOW + 600_000, claimant: null })
  assert.equal((await stores.accounts.find(ALICE))?.id, id)
  assert.equal((await stores.takeovers.claim(id, NOW))?.ripeAt, NOW + DAY)
  await stores.takeovers.told(id)
  // After the delay a new code is enough.
  const later = NOW + DAY
  await store.request({ ...request(later + 600_000), isForced: true }, ALICE, [], later)
  assert.equal((await store.confirm(request(), newcomer, taking(), later)).outcome, 'made')
})

withStores('with a key the code is good for it alone, as long as the claim', async (stores) => {
  const { store, id } = await asked(stores)
  await store.attempt(SUBJECT, [], 5, NOW)
  await store.attempt(SUBJECT, [], 5, NOW)
  const claimant = bytes('claimant'.padEnd(32))
  assert.deepEqual(await store.weigh(request(), newcomer, taking({ claimant }), NOW), {
    outcome: 'waiting',
    until: NOW + DAY,
    isNew: true,
  })
  await stores.takeovers.told(id)
  const { claimant: kept, ...row } = (await rowOf(stores)) ?? {}
  assert.deepEqual(row, { state: 'requested', tries: 1, expires_at: NOW + 8 * DAY })
  assert.deepEqual(Buffer.from(kept ?? []), Buffer.from(claimant))
  assert.equal(await store.purge(NOW + DAY), 0)
  const found = await store.attempt(SUBJECT, [], 5, NOW + DAY)
  assert.ok(found.outcome === 'open')
  assert.deepEqual(Buffer.from(found.claimant ?? []), Buffer.from(claimant))
  assert.equal((await store.confirm(request(), newcomer, taking({ claimant }), NOW + DAY)).outcome, 'made')
  // A new request is nobody's.
  await store.request({ ...request(NOW + 2 * DAY), isForced: true }, ALICE, [], NOW + DAY)
  assert.equal((await rowOf(stores))?.claimant, null)
})

withStores(
  'a code with a key opens one claim: not another after a refusal, nor an account that is free',
  async (stores) => {
    const { store, id } = await asked(stores)
    const claimant = bytes('claimant'.padEnd(32))
    const comes = (now: number) => store.confirm(request(), newcomer, taking({ claimant, isConnected: true }), now)
    assert.equal((await comes(NOW)).outcome, 'waiting')
    await stores.takeovers.answer(id, 'refused', NOW, NOW + 7 * DAY)
    assert.equal((await comes(NOW + 7 * DAY - 1)).outcome, 'refused')
    assert.deepEqual(await comes(NOW + 7 * DAY), { outcome: 'gone' })
    assert.equal(await stores.takeovers.claim(id, NOW + 7 * DAY), undefined)
    await stores.accounts.remove(id)
    assert.deepEqual(await comes(NOW + 7 * DAY), { outcome: 'gone' })
  },
)

withStores('a device’s word counts, and a connected one is in use whatever the store says', async (stores) => {
  const { store, id } = await asked(stores, 'never')
  assert.equal(await stores.takeovers.answer(id, 'agreed', NOW, NOW + DAY), false, 'there is no claim')
  assert.equal((await store.weigh(request(), newcomer, taking(), NOW)).outcome, 'ripe')
  assert.equal((await store.weigh(request(), newcomer, taking({ isConnected: true }), NOW)).outcome, 'waiting')
  assert.equal(await stores.takeovers.answer(id, 'refused', NOW, NOW + DAY), true)
  assert.deepEqual(await store.confirm(request(), newcomer, taking(), NOW), {
    outcome: 'refused',
    until: NOW + DAY,
    isNew: false,
  })
  assert.equal(await stores.takeovers.answer(id, 'agreed', NOW, NOW + DAY), true)
  const made = await store.confirm(request(), newcomer, taking({ isConnected: true }), NOW)
  assert.deepEqual(made.outcome === 'made' && made.reason, 'agreed')
})

withStores('who did not ask for it replaces nothing, nor what the operator has shut', async (stores) => {
  const { store, id } = await asked(stores, 'never')
  await stores.accounts.setDisabled(id, NOW)
  assert.deepEqual(await store.confirm(request(), newcomer, taking({ isUnlocked: true }), NOW), { outcome: 'disabled' })
  const own = { ...newcomer, fingerprint: 'A'.repeat(40) }
  await stores.accounts.setFingerprint(id, own.fingerprint)
  assert.deepEqual(await store.confirm(request(), own, taking(), NOW), { outcome: 'disabled' }, 'its own key as little')
  await stores.accounts.setDisabled(id, undefined)
  await stores.database.query('update verification set forced = 0')
  assert.deepEqual(await store.confirm(request(), newcomer, taking({ isUnlocked: true }), NOW), { outcome: 'taken' })
  const kept = await store.confirm(request(), own, taking(), NOW)
  assert.ok(kept.outcome === 'own')
  assert.equal(kept.account.id, id)
  assert.deepEqual(await store.confirm(request(), own, taking(), NOW), { outcome: 'gone' }, 'once')
})

withStores('two who have proven it at once: one account, and one of them has it', async (stores) => {
  const { store } = await asked(stores, 'never')
  const other = new SqlVerificationStore((await stores.second()).database)
  const made = await Promise.all([store, other].map((s) => s.confirm(request(), newcomer, taking(), NOW)))
  assert.deepEqual(made.map(({ outcome }) => outcome).sort(), ['gone', 'made'])
})

withStores('a registration lock is tried so often in a day, however many try at once', async (stores) => {
  const { id } = await createAccount(stores, ALICE)
  const { takeovers } = stores
  const lock = { salt: bytes('salt'), iterations: 7, storedKey: bytes('key') }
  assert.deepEqual(await takeovers.tryLock(id, 3, DAY, NOW), { outcome: 'none' })
  assert.equal(await takeovers.hasLock(id), false)
  await takeovers.setLock(id, lock)
  assert.equal(await takeovers.hasLock(id), true)
  const other = (await stores.second()).takeovers
  const tries = await Promise.all(
    Array.from({ length: 6 }, (_, i) => (i % 2 ? takeovers : other).tryLock(id, 3, DAY, NOW)),
  )
  assert.equal(tries.filter(({ outcome }) => outcome === 'open').length, 3)
  assert.deepEqual(await takeovers.tryLock(id, 3, DAY, NOW + DAY - 1), { outcome: 'refused', until: NOW + DAY })
  const open = await takeovers.tryLock(id, 3, DAY, NOW + DAY)
  assert.ok(open.outcome === 'open')
  assert.deepEqual([open.secrets.iterations, Buffer.from(open.secrets.storedKey).toString()], [7, 'key'])
  for (let i = 0; i < 3; i++) await takeovers.tryLock(id, 3, DAY, NOW + DAY)
  await takeovers.setLock(id, lock)
  assert.equal((await takeovers.tryLock(id, 3, DAY, NOW + DAY)).outcome, 'open', 'a new lock has its own tries')
  await takeovers.setLock(id, undefined)
  assert.equal(await takeovers.hasLock(id), false)
})

withStores('a claim is over at its time', async (stores) => {
  const { store, id } = await asked(stores)
  await store.weigh(request(), newcomer, taking(), NOW)
  assert.equal(await stores.takeovers.claim(id, NOW + 8 * DAY), undefined)
  assert.equal(await stores.takeovers.answer(id, 'agreed', NOW + 8 * DAY, NOW + 9 * DAY), false)
})

withStores('a claim of which the devices do not know begins anew, and what was said to one counts', async (stores) => {
  const { store, id } = await asked(stores)
  const claimant = bytes('claimant'.padEnd(32))
  const comes = (now: number) => store.weigh(request(), newcomer, taking({ claimant, isConnected: true }), now)
  await comes(NOW)
  const later = NOW + 2 * DAY
  assert.deepEqual(await comes(later), { outcome: 'waiting', until: later + DAY, isNew: true })
  await stores.takeovers.told(id)
  assert.deepEqual(await comes(later + HOUR), { outcome: 'waiting', until: later + DAY, isNew: false })
  assert.equal((await comes(later + DAY)).outcome, 'ripe')
  // The next claim is another one.
  await stores.takeovers.answer(id, 'refused', later, later + 1)
  await store.request({ ...request(later + DAY), isForced: true }, ALICE, [], later)
  await comes(later + 1)
  await stores.takeovers.answer(id, 'agreed', later + 1, later + DAY)
  assert.equal((await comes(later + 2)).outcome, 'ripe')
  await stores.database.query("update takeover set state = 'waiting'")
  assert.equal((await comes(later + 3 * HOUR)).outcome, 'waiting')
})
