import assert from 'node:assert/strict'
import type { DeliveryStatus } from '../../src/account/sms-provider.ts'
import type { NewRequest, Spending, Taking } from '../../src/account/verification-store.ts'
import type { Database } from '../../src/storage/sql.ts'
import { SqlVerificationStore } from '../../src/storage/verification-store.ts'
import { bytes, createAccount, jid, secrets } from '../helpers/store-samples.ts'
import { withStores } from '../helpers/test-database.ts'

const NOW = 1_800_000_000_000
const HOUR = 3_600_000
const ALICE = jid('alice@example.org')
const SUBJECT = bytes('subject')
const request = (code: string, isForced = false): NewRequest & { readonly isForced: boolean } => ({
  isForced,
  subject: SUBJECT,
  codeHash: bytes(code.padEnd(32)),
  expiresAt: NOW + 600_000,
})
const budget = (kind: string, limit: number, key = 'key', windowMs = HOUR): Spending => ({
  kind,
  key: bytes(key),
  windowMs,
  limit,
})
const TAKING: Taking = {
  rules: { activeMs: 168 * HOUR, delayMs: 24 * HOUR, lockKeptMs: 720 * HOUR },
  isUnlocked: false,
  isConnected: false,
  claimant: undefined,
}
const account = { jid: ALICE, isNumber: true, fingerprint: 'A'.repeat(40), secrets: [secrets('SCRAM-SHA-1')] }

withStores('a request is sent, tried, confirmed, and makes the account', async ({ database, accounts }) => {
  const store = new SqlVerificationStore(database)
  assert.deepEqual(await store.request(request('1'), ALICE, [], NOW), {
    outcome: 'requested',
    former: undefined,
    undelivered: undefined,
  })
  await store.settle(request('1'), 'sent')
  const open = await store.attempt(SUBJECT, [], 5, NOW)
  assert.ok(open.outcome === 'open')
  assert.deepEqual(Buffer.from(open.codeHash), Buffer.from(request('1').codeHash))
  assert.equal(open.expiresAt, NOW + 600_000)
  const made = await store.confirm(request('1'), account, TAKING, NOW)
  assert.ok(made.outcome === 'made')
  assert.deepEqual(await accounts.find(ALICE), made.account)
  assert.equal(made.account.createdAt, NOW)
  assert.deepEqual((await accounts.credential(ALICE, 'SCRAM-SHA-1'))?.secrets, secrets('SCRAM-SHA-1'))
  assert.equal((await store.attempt(SUBJECT, [], 5, NOW)).outcome, 'confirmed')
  assert.equal((await store.confirm(request('1'), account, TAKING, NOW)).outcome, 'gone')
  assert.deepEqual(await store.request(request('2'), ALICE, [], NOW), { outcome: 'taken' })
})

withStores('a new request replaces the former one with all that happened to it', async ({ database }) => {
  const store = new SqlVerificationStore(database)
  await store.request(request('1'), ALICE, [], NOW)
  await store.attempt(SUBJECT, [], 1, NOW)
  await store.lock(SUBJECT, request('1').codeHash, 1)
  assert.equal((await store.attempt(SUBJECT, [], 1, NOW)).outcome, 'locked')
  await store.request(request('2'), ALICE, [], NOW)
  await store.settle(request('1'), 'expired')
  await store.lock(SUBJECT, request('1').codeHash, 0)
  assert.equal((await store.confirm(request('1'), account, TAKING, NOW)).outcome, 'gone')
  assert.equal((await store.attempt(SUBJECT, [], 1, NOW)).outcome, 'open')
})

withStores('tries end at their number, however many come at once', async (stores) => {
  const other = await stores.second()
  const all = [stores, other].map(({ database }) => new SqlVerificationStore(database))
  await all[0]?.request(request('1'), ALICE, [], NOW)
  const tries = await Promise.all([...all, ...all, ...all, ...all].map((store) => store.attempt(SUBJECT, [], 5, NOW)))
  assert.equal(tries.filter((t) => t.outcome === 'open').length, 5)
  assert.equal(tries.filter((t) => t.outcome === 'locked').length, 3)
})

withStores('what is over, was never there or failed is not open', async ({ database }) => {
  const store = new SqlVerificationStore(database)
  assert.deepEqual(await store.attempt(SUBJECT, [], 5, NOW), { outcome: 'none' })
  await store.request(request('1'), ALICE, [], NOW)
  assert.deepEqual(await store.attempt(SUBJECT, [], 5, NOW + 600_000), { outcome: 'expired' })
  assert.equal((await store.confirm(request('1'), account, TAKING, NOW)).outcome, 'gone')
  await store.request(request('2'), ALICE, [], NOW)
  await store.settle(request('2'), 'expired')
  assert.deepEqual(await store.attempt(SUBJECT, [], 5, NOW), { outcome: 'expired' })
})

withStores('a taken name leaves the request as it was', async (stores) => {
  const store = new SqlVerificationStore(stores.database)
  await store.request(request('1'), ALICE, [], NOW)
  await createAccount(stores, ALICE)
  assert.equal((await store.confirm(request('1'), account, TAKING, NOW)).outcome, 'taken')
  assert.equal((await store.attempt(SUBJECT, [], 5, NOW)).outcome, 'open')
})

withStores('one code makes one account, also when it comes twice at once', async (stores) => {
  const other = await stores.second()
  const both = [stores, other].map(({ database }) => new SqlVerificationStore(database))
  await both[0]?.request(request('1'), ALICE, [], NOW)
  const made = await Promise.all(both.map((store) => store.confirm(request('1'), account, TAKING, NOW)))
  assert.equal(made.filter((m) => m.outcome === 'made').length, 1)
  assert.equal(made.filter((m) => m.outcome === 'gone').length, 1)
})

withStores('budgets are spent all or none, and a full one tells its end', async ({ database }) => {
  const store = new SqlVerificationStore(database)
  const roomy = budget('roomy', 100)
  const tight = budget('tight', 1)
  const spentOf = async (kind: string) =>
    (await database.query<{ spent: number }>('select spent from budget where kind = $1', [kind]))[0]?.spent
  assert.deepEqual(await store.spend([roomy, tight], NOW), { outcome: 'spent' })
  for (let i = 1; i < 5; i++)
    assert.deepEqual(await store.spend([roomy, tight], NOW + i), {
      outcome: 'refused',
      kind: 'tight',
      until: NOW + HOUR,
    })
  assert.equal(await spentOf('roomy'), 1)
  assert.deepEqual(await store.request(request('1'), ALICE, [tight], NOW), {
    outcome: 'refused',
    kind: 'tight',
    until: NOW + HOUR,
  })
  assert.equal((await store.attempt(SUBJECT, [tight], 5, NOW)).outcome, 'refused')
  assert.equal((await store.attempt(SUBJECT, [], 5, NOW)).outcome, 'none')
  assert.deepEqual(await store.spend([roomy, tight], NOW + HOUR), { outcome: 'spent' })
  assert.equal(await spentOf('tight'), 1)
})

withStores('budgets are spent for taken names too', async (stores) => {
  const store = new SqlVerificationStore(stores.database)
  await createAccount(stores, ALICE)
  assert.equal((await store.request(request('1'), ALICE, [budget('number', 1)], NOW)).outcome, 'taken')
  assert.equal((await store.request(request('1'), ALICE, [budget('number', 1)], NOW)).outcome, 'refused')
})

withStores('windows and keys are budgets of their own', async ({ database }) => {
  const store = new SqlVerificationStore(database)
  await store.spend([budget('number', 1)], NOW)
  for (const other of [budget('number', 1, 'other'), budget('number', 1, 'key', 24 * HOUR), budget('total', 1)])
    assert.equal((await store.spend([other], NOW)).outcome, 'spent')
  assert.equal((await store.spend([budget('none', 0)], NOW)).outcome, 'refused')
})

withStores('a budget gives what it has, however many ask at once', async (stores) => {
  const other = await stores.second()
  const all = [stores, other].map(({ database }) => new SqlVerificationStore(database))
  const shared = [budget('a', 7), budget('b', 100)]
  const asked = await Promise.all(Array.from({ length: 20 }, (_, i) => all[i % 2]?.spend(shared, NOW)))
  assert.equal(asked.filter((a) => a?.outcome === 'spent').length, 7)
})

withStores('what is over is removed, and nothing else', async ({ database }) => {
  const store = new SqlVerificationStore(database)
  await store.request(request('1'), ALICE, [budget('hour', 5), budget('day', 5, 'key', 24 * HOUR)], NOW)
  assert.equal(await store.purge(NOW + 599_999), 0)
  assert.equal(await store.purge(NOW + 600_000), 1)
  assert.equal(await store.purge(NOW + HOUR), 1)
  assert.equal((await store.spend([budget('day', 1, 'key', 24 * HOUR)], NOW + HOUR)).outcome, 'refused')
})

withStores('a code that a provider holds is kept with its ticket until it is learnt', async ({ database }) => {
  const store = new SqlVerificationStore(database)
  const held = { provider: 'vonage-verify', ticket: 't1' }
  await store.request(request('1'), ALICE, [], NOW)
  assert.equal(await store.settle(request('1'), 'sent', held), true)
  assert.equal(await store.settle(request('1'), 'sent', { ...held, ticket: 't2' }), false)
  const open = await store.attempt(SUBJECT, [], 5, NOW)
  assert.deepEqual(open.outcome === 'open' && open.held, held)
  assert.equal(await store.learn(request('2'), bytes('3'.padEnd(32))), false)
  assert.equal(await store.learn(request('1'), request('2').codeHash), true)
  assert.equal(await store.learn(request('1'), request('2').codeHash), false)
  const learnt = await store.attempt(SUBJECT, [], 5, NOW)
  assert.ok(learnt.outcome === 'open')
  assert.equal(learnt.held, undefined)
  assert.deepEqual(Buffer.from(learnt.codeHash), Buffer.from(request('2').codeHash))
  assert.equal((await store.confirm(request('1'), account, TAKING, NOW)).outcome, 'gone')
  assert.equal((await store.confirm(request('2'), account, TAKING, NOW)).outcome, 'made')
})

withStores('a new request is told what the former one had at a provider, while that was open', async ({ database }) => {
  const store = new SqlVerificationStore(database)
  const held = { provider: 'vonage-verify', ticket: 't1' }
  await store.request(request('1'), ALICE, [], NOW)
  await store.settle(request('1'), 'sent', held)
  assert.deepEqual(await store.request(request('2'), ALICE, [], NOW), {
    outcome: 'requested',
    former: held,
    undelivered: undefined,
  })
  const open = await store.attempt(SUBJECT, [], 5, NOW)
  assert.deepEqual(open.outcome === 'open' && open.held, undefined)
  assert.equal(await store.settle(request('1'), 'sent', held), false)
  await store.settle(request('2'), 'sent', held)
  const late = { ...request('3'), expiresAt: NOW + 1_200_000 }
  assert.deepEqual(await store.request(late, ALICE, [], NOW + 600_000), {
    outcome: 'requested',
    former: undefined,
    undelivered: undefined,
  })
})

const PREFIX = { kind: 'prefix', key: 'p' } as const
const COUNTRY = { kind: 'country', key: 'DE' } as const
const known = (database: Database) =>
  database.query<{ kind: string; sent: number; confirmed: number }>(
    'select kind, sent, confirmed from reputation order by kind',
  )

withStores('sources are counted with requests and their accounts, and told with the code', async (stores) => {
  const { database } = stores
  const store = new SqlVerificationStore(database)
  await store.request({ ...request('1'), sources: [PREFIX, COUNTRY] }, ALICE, [], NOW)
  await store.request({ ...request('2'), sources: [COUNTRY] }, ALICE, [], NOW)
  const open = await store.attempt(SUBJECT, [], 5, NOW)
  assert.deepEqual(open.outcome === 'open' && open.sources, [COUNTRY])
  assert.equal((await store.confirm(request('2'), account, TAKING, NOW)).outcome, 'made')
  const both = [
    { kind: 'country', sent: 2, confirmed: 1 },
    { kind: 'prefix', sent: 1, confirmed: 0 },
  ]
  assert.deepEqual(await known(database), both)
  // Neither who is refused nor who has an account is a code sent.
  await store.request({ ...request('3'), sources: [COUNTRY] }, ALICE, [], NOW)
  await store.request({ ...request('4'), sources: [COUNTRY] }, jid('bob@example.org'), [budget('none', 0)], NOW)
  assert.equal((await store.confirm(request('2'), account, TAKING, NOW)).outcome, 'gone')
  assert.deepEqual(await known(database), both)
})

withStores('who has proved himself does not spend what is for the others; what was long ago counts less', async (s) => {
  const store = new SqlVerificationStore(s.database)
  const one = { ...budget('unproved', 1), unless: [PREFIX, COUNTRY] }
  const spends = async () => (await store.spend([one], NOW)).outcome
  await s.database.query(`insert into reputation values ('prefix', 'p', 5, 1, $1), ('country', 'DE', 4, 1, $1)`, [
    NOW + 7 * 24 * HOUR,
  ])
  for (const _ of [1, 2, 3]) assert.equal(await spends(), 'spent')
  const sends = (name: string, at: number) =>
    store.request({ ...request(name), subject: bytes(name), sources: [COUNTRY] }, jid(`${name}@example.org`), [], at)
  await sends('a', NOW)
  assert.deepEqual([await spends(), await spends()], ['spent', 'refused'], 'five sent, one confirmed')
  await s.database.query(`update reputation set sent = 20, confirmed = 4 where kind = 'country'`)
  await sends('b', NOW + 7 * 24 * HOUR)
  assert.deepEqual((await known(s.database))[0], { kind: 'country', sent: 11, confirmed: 2 })
  assert.equal(await store.purge(NOW + 13 * 7 * 24 * HOUR - 1), 3)
  assert.equal(await store.purge(NOW + 13 * 7 * 24 * HOUR), 1)
  assert.equal((await known(s.database)).length, 1)
})

const report = (
  id: string,
  status: DeliveryStatus,
  more: { at?: number; reference?: string; provider?: string } = {},
) => ({
  provider: more.provider ?? 'vonage-sms',
  id,
  status,
  reference: more.reference ?? 'r1',
  issuedAt: more.at ?? NOW,
})
const deliveryOf = async (database: Database) =>
  (await database.query<{ delivery: string | null }>('select delivery from verification'))[0]?.delivery
withStores('what is said of a message is noted at its request, each report once', async ({ database }) => {
  const store = new SqlVerificationStore(database)
  const says = async (...args: Parameters<typeof report>) => (await store.report(report(...args), NOW)).outcome
  await store.request({ ...request('1'), sources: [COUNTRY] }, ALICE, [], NOW)
  assert.equal(await store.handOver(request('2'), 'vonage-sms', 'r1'), false)
  assert.equal(await says('0', 'failed'), 'ignored')
  assert.equal(await store.handOver(request('1'), 'vonage-sms', 'r1'), true)
  // A report may come before the provider's answer has been noted.
  for (const status of ['pending', 'other'] as const) assert.equal(await says(status, status), 'ignored')
  assert.equal(await says('1', 'failed', { reference: 'r2' }), 'ignored')
  assert.equal(await says('1', 'failed', { provider: 'vonage-verify' }), 'ignored')
  assert.equal(await says('1', 'failed'), 'replayed', 'it was said of another message')
  assert.equal(await deliveryOf(database), null)
  assert.deepEqual(await store.report(report('2', 'failed'), NOW), {
    outcome: 'undelivered',
    held: undefined,
    sources: [COUNTRY],
  })
  assert.equal(await says('3', 'rejected'), 'ignored', 'that is nothing new')
  assert.equal(await says('4', 'delivered'), 'delivered')
  assert.equal(await says('5', 'failed'), 'ignored', 'it has arrived')
  assert.equal(await deliveryOf(database), 'delivered')
  await store.settle(request('1'), 'sent')
  assert.equal(await store.handOver(request('1'), 'webhook', 'r3'), false, 'it is on its way already')
})

withStores('a new request is told who could not deliver the former one', async ({ database }) => {
  const store = new SqlVerificationStore(database)
  const held = { provider: 'vonage-verify', ticket: 't1' }
  await store.request(request('1'), ALICE, [], NOW)
  await store.handOver(request('1'), 'vonage-verify', 'r1')
  await store.settle(request('1'), 'sent', held)
  assert.deepEqual(await store.report(report('1', 'expired', { provider: 'vonage-verify' }), NOW), {
    outcome: 'undelivered',
    held,
    sources: [],
  })
  const again = { outcome: 'requested', former: held, undelivered: 'vonage-verify' }
  assert.deepEqual(await store.request(request('2'), ALICE, [], NOW), again)
  const former = { outcome: 'requested', former: undefined, undelivered: undefined }
  assert.deepEqual(await store.request(request('3'), ALICE, [], NOW), former)
})

withStores('what is over, locked or confirmed waits for no report', async ({ database }) => {
  const store = new SqlVerificationStore(database)
  const says = async (id: string, at = NOW) => (await store.report(report(id, 'failed'), at)).outcome
  await store.request(request('1'), ALICE, [], NOW)
  await store.handOver(request('1'), 'vonage-sms', 'r1')
  assert.equal(await says('1', NOW + 600_000), 'ignored')
  await store.attempt(SUBJECT, [], 1, NOW)
  await store.lock(SUBJECT, request('1').codeHash, 1)
  assert.equal(await says('2'), 'ignored')
})

withStores('a report is taken by one node only, and known for as long as it could come again', async (stores) => {
  const { database } = stores
  const other = await stores.second()
  const nodes = [stores, other, stores, other].map((s) => new SqlVerificationStore(s.database))
  const outcomes = await Promise.all(nodes.map((store) => store.report(report('1', 'failed'), NOW)))
  assert.deepEqual(outcomes.map(({ outcome }) => outcome).sort(), ['ignored', 'replayed', 'replayed', 'replayed'])
  const store = new SqlVerificationStore(database)
  // Its time may be five minutes ahead of ours, and is looked at for five more.
  assert.equal(await store.purge(NOW + 599_999), 0)
  assert.equal((await store.report(report('1', 'failed'), NOW)).outcome, 'replayed')
  assert.equal(await store.purge(NOW + 600_000), 1)
})
