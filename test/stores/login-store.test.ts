import assert from 'node:assert/strict'
import type { DeviceLogin, LoginState, LoginStore, NewToken } from '../../src/account/login-store.ts'
import { createAccount, jid, secrets } from '../helpers/store-samples.ts'
import { type TestStores, withStores } from '../helpers/test-database.ts'

const NOW = 1_800_000_000_000
const agent = (n: number): Buffer => Buffer.alloc(32, n)
const seed = (n: number): Buffer => Buffer.alloc(32, 100 + n)

const login = (account: LoginState, over: Partial<DeviceLogin> = {}): DeviceLogin => ({
  account,
  agent: agent(1),
  software: undefined,
  device: undefined,
  proof: 'password',
  at: NOW,
  ...over,
})
const token = (account: LoginState, over: Partial<NewToken> = {}): NewToken => ({
  account,
  agent: agent(1),
  mechanism: 'HT-SHA-256-NONE',
  seed: seed(1),
  issuedAt: NOW,
  expiresAt: NOW + 1000,
  ...over,
})
const ALICE = jid('alice@example.org')

async function alice(stores: TestStores): Promise<LoginState> {
  const { id } = await createAccount(stores, ALICE)
  const state = await stores.logins.state(ALICE)
  assert.equal(state?.id, id)
  return state as LoginState
}
const uses = (logins: LoginStore, account: LoginState, over: Partial<Parameters<LoginStore['use']>[0]> = {}) =>
  logins.use({
    account: account.id,
    agent: agent(1),
    slot: 'new',
    seed: seed(1),
    now: NOW,
    count: undefined,
    invalidate: false,
    ...over,
  })
const slotsOf = async ({ logins }: TestStores, device = agent(1)): Promise<readonly (readonly [string, number])[]> =>
  ((await logins.tokens(ALICE, device))?.tokens ?? [])
    .map(({ slot, seed: bytes }) => [slot, (bytes[0] ?? 0) - 100] as const)
    .sort()

/** Its tokens are known, and expired. */
async function isOver({ logins }: TestStores, account: LoginState): Promise<void> {
  const tokens = (await logins.tokens(ALICE, agent(1)))?.tokens ?? []
  assert.ok(tokens.length > 0)
  for (const { slot, seed: own, expiresAt } of tokens) {
    assert.ok(expiresAt <= NOW - 60_000, 'also by the clock of a node that is behind')
    assert.equal(await uses(logins, account, { slot, seed: own }), false)
  }
  const devices = await logins.devices(account.id, NOW)
  assert.deepEqual(
    devices.map(({ hasToken }) => hasToken),
    [false],
  )
}

withStores('a device is remembered with what it said last', async (stores) => {
  const account = await alice(stores)
  const { logins } = stores
  assert.equal(await logins.seen(login(account, { software: 'Gajim', device: 'laptop' }), 'name-1', 10), undefined)
  await logins.bound(account.id, agent(1), 'Gajim/abc')
  const again = login(account, { at: NOW + 5, proof: 'key', device: 'new laptop' })
  assert.equal(await logins.seen(again, 'name-2', 10), 'Gajim/abc')
  assert.deepEqual(await logins.devices(account.id, NOW), [
    {
      agent: new Uint8Array(agent(1)),
      name: 'name-1',
      software: 'Gajim',
      device: 'new laptop',
      resource: 'Gajim/abc',
      firstSeen: NOW,
      lastSeen: NOW + 5,
      hasPassword: true,
      hasKey: true,
      hasToken: false,
    },
  ])
})

withStores('an account has so many devices; the ones that were away longest go, with their tokens', async (stores) => {
  const account = await alice(stores)
  const { logins } = stores
  for (let n = 1; n <= 4; n++) {
    await logins.seen(login(account, { agent: agent(n), at: NOW + n }), `name-${n}`, 3)
    await logins.issue(token(account, { agent: agent(n) }))
  }
  const names = (await logins.devices(account.id, NOW)).map(({ name }) => name)
  assert.deepEqual(names, ['name-4', 'name-3', 'name-2'])
  assert.deepEqual(await slotsOf(stores, agent(1)), [])
  assert.deepEqual(await slotsOf(stores, agent(2)), [['new', 1]])
})

withStores('a token waits in the slot new, and becomes the current when it is used', async (stores) => {
  const account = await alice(stores)
  const { logins } = stores
  await logins.seen(login(account), 'name', 10)
  await logins.issue(token(account))
  assert.deepEqual(await slotsOf(stores), [['new', 1]])
  assert.equal(await uses(logins, account, { slot: 'current' }), false)
  assert.equal(await uses(logins, account), true)
  assert.deepEqual(await slotsOf(stores), [['current', 1]])
  await logins.issue(token(account, { seed: seed(2) }))
  await logins.issue(token(account, { seed: seed(3) }))
  assert.deepEqual(await slotsOf(stores), [
    ['current', 1],
    ['new', 3],
  ])
  assert.equal(await uses(logins, account, { seed: seed(2) }), false, 'it gave way')
  assert.equal(await uses(logins, account, { slot: 'current' }), true, 'the old one is still good')
  assert.equal(await uses(logins, account, { seed: seed(3) }), true)
  assert.deepEqual(await slotsOf(stores), [['current', 3]])
  assert.equal(await uses(logins, account, { slot: 'current' }), false)
})

withStores('counts rise, also when many come at once', async (stores) => {
  const account = await alice(stores)
  const { logins } = stores
  const other = (await stores.second()).logins
  await logins.seen(login(account), 'name', 10)
  await logins.issue(token(account))
  assert.equal(await uses(logins, account, { count: 5 }), true)
  const current = { slot: 'current' as const }
  for (const count of [5, 4, 1]) assert.equal(await uses(logins, account, { ...current, count }), false)
  assert.equal(await uses(logins, account, current), true, 'without a count')
  const all = await Promise.all([logins, other, logins, other].map((s) => uses(s, account, { ...current, count: 6 })))
  assert.equal(all.filter(Boolean).length, 1)
  await logins.issue(token(account, { seed: seed(2) }))
  assert.equal(await uses(logins, account, { seed: seed(2), count: 1 }), true, 'a new token begins anew')
})

withStores('a token is of one account, one device and its time', async (stores) => {
  const account = await alice(stores)
  const { logins } = stores
  const bob = await createAccount(stores, 'bob@example.org')
  await logins.seen(login(account), 'name', 10)
  await logins.seen(login({ id: bob.id, epoch: 0 }), 'name-b', 10)
  await logins.issue(token(account))
  assert.equal(await uses(logins, { id: bob.id, epoch: 0 }), false)
  assert.equal(await uses(logins, account, { agent: agent(2) }), false)
  assert.equal(await uses(logins, account, { seed: seed(2) }), false)
  assert.equal(await uses(logins, account, { now: NOW + 1000 }), false)
  assert.equal(await logins.tokens(jid('nobody@example.org'), agent(1)), undefined)
  assert.deepEqual((await logins.tokens(jid('bob@example.org'), agent(1)))?.tokens, [])
  assert.equal(await uses(logins, account), true)
})

withStores('invalidated, both tokens have expired', async (stores) => {
  const account = await alice(stores)
  const { logins } = stores
  await logins.seen(login(account), 'name', 10)
  await logins.issue(token(account))
  await uses(logins, account)
  await logins.issue(token(account, { seed: seed(2) }))
  assert.equal(await uses(logins, account, { slot: 'current', invalidate: true }), true)
  await isOver(stores, account)
  await logins.issue(token(account, { seed: seed(3) }))
  assert.equal(await uses(logins, account, { seed: seed(3) }), true, 'there is room for the next')
})

withStores('whatever takes credentials away ends tokens, and what devices have proven', async (stores) => {
  const { logins, accounts } = stores
  const account = await alice(stores)
  const takeAway: readonly (readonly [string, () => Promise<void>])[] = [
    ['a new password', () => accounts.setSecrets(account.id, [secrets('SCRAM-SHA-1')])],
    ['disabling', () => accounts.setDisabled(account.id, NOW)],
    ['enabling', () => accounts.setDisabled(account.id, undefined)],
    ['another key', () => accounts.setFingerprint(account.id, 'B'.repeat(40))],
  ]
  for (const [what, act] of takeAway) {
    const state = (await logins.state(ALICE)) as LoginState
    await logins.seen(login(state, { proof: 'password' }), 'name', 10)
    await logins.seen(login(state, { proof: 'key' }), 'name', 10)
    await logins.issue(token(state))
    const [before] = await logins.devices(account.id, NOW)
    assert.deepEqual([before?.hasPassword, before?.hasKey, before?.hasToken], [true, true, true])
    await act()
    const [after] = await logins.devices(account.id, NOW)
    assert.deepEqual([after?.hasPassword, after?.hasKey, after?.hasToken], [false, false, false], what)
    assert.equal((await logins.tokens(ALICE, agent(1)))?.tokens.at(-1)?.isTrusted, false, what)
    assert.equal(await uses(logins, state), false, what)
    // One that was earned before and is given only now is worth nothing either.
    await logins.issue(token(state, { seed: seed(2) }))
    assert.equal(await uses(logins, state, { seed: seed(2) }), false, what)
  }
  await accounts.remove(account.id)
  assert.equal(await logins.tokens(ALICE, agent(1)), undefined)
  assert.deepEqual(await logins.devices(account.id, NOW), [])
})

withStores('a disabled account’s token is not used, whatever was read before', async (stores) => {
  const account = await alice(stores)
  await stores.logins.seen(login(account), 'name', 10)
  await stores.accounts.setDisabled(account.id, NOW)
  const state = (await stores.logins.state(ALICE)) as LoginState
  await stores.logins.issue(token(state))
  assert.equal(await uses(stores.logins, state), false)
})

withStores('secrets are added one by one, unless the password has changed', async (stores) => {
  const { accounts, logins } = stores
  const { id } = await createAccount(stores, ALICE)
  await accounts.setSecrets(id, [secrets('SCRAM-SHA-1')])
  const state = (await logins.state(ALICE)) as LoginState
  assert.deepEqual(await accounts.mechanisms(ALICE), ['SCRAM-SHA-1'])
  assert.equal(await accounts.addSecrets(state, [secrets('SCRAM-SHA-256')]), true)
  assert.equal(await accounts.addSecrets(state, [secrets('SCRAM-SHA-256', 'again')]), true)
  assert.deepEqual([...(await accounts.mechanisms(ALICE))].sort(), ['SCRAM-SHA-1', 'SCRAM-SHA-256'])
  const found = await accounts.credential(ALICE, 'SCRAM-SHA-256')
  assert.deepEqual(found?.secrets, secrets('SCRAM-SHA-256', 'again'))
  await accounts.setSecrets(id, [secrets('SCRAM-SHA-1', 'new')])
  assert.equal(await accounts.addSecrets(state, [secrets('SCRAM-SHA-512')]), false)
  assert.deepEqual(await accounts.mechanisms(ALICE), ['SCRAM-SHA-1'])
  assert.deepEqual((await accounts.credential(ALICE, 'any'))?.secrets, secrets('SCRAM-SHA-1', 'new'))
  assert.deepEqual(await accounts.mechanisms(jid('nobody@example.org')), [])
})

withStores('what is over is removed', async (stores) => {
  const account = await alice(stores)
  const { logins } = stores
  await logins.seen(login(account, { agent: agent(1), at: NOW }), 'old', 10)
  await logins.seen(login(account, { agent: agent(2), at: NOW + 100 }), 'young', 10)
  await logins.issue(token(account, { agent: agent(2), expiresAt: NOW + 50 }))
  assert.equal(await logins.purge(NOW + 1), 1)
  assert.deepEqual(await slotsOf(stores, agent(2)), [['new', 1]])
  assert.equal(await logins.purge(NOW + 51), 1)
  assert.deepEqual(
    (await logins.devices(account.id, NOW)).map(({ name }) => name),
    ['young'],
  )
  assert.deepEqual(await slotsOf(stores, agent(2)), [])
  assert.equal(await logins.purge(NOW + 51), 0)
})

withStores('a device is revoked: its tokens go, and it if it knows nothing else', async (stores) => {
  const account = await alice(stores)
  const { logins } = stores
  await logins.seen(login(account), 'name', 10)
  await logins.issue(token(account))
  await logins.revoke(account.id, agent(1), NOW, false)
  await isOver(stores, account)
  await logins.revoke(account.id, agent(1), NOW, true)
  assert.deepEqual(await logins.devices(account.id, NOW), [])
})
