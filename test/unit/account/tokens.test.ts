import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { Devices } from '../../../src/account/devices.ts'
import type { LoginState } from '../../../src/account/login-store.ts'
import { type ShownToken, TokenError, type TokenFault, Tokens } from '../../../src/account/tokens.ts'
import { openStores, type Stores } from '../../../src/storage/open.ts'
import { createAccount, jid } from '../../helpers/store-samples.ts'

const ALICE = jid('alice@example.org')
const KEY = Buffer.alloc(32, 1)
const DAY = 86_400_000
const LIFETIME = 20 * DAY
const AGENT = Buffer.alloc(32, 5)
const NONE = 'HT-SHA-256-NONE'

let now = 0
let stores: Stores
let account: LoginState
const tokensWith = (...keys: readonly Uint8Array[]): Tokens =>
  new Tokens({ store: stores.logins, keys, lifetimeMs: LIFETIME, now: () => now })

beforeEach(async () => {
  now = 1_800_000_000_000
  stores = await openStores({ databaseUrl: undefined, dataDir: ':memory:', now: () => now })
  await stores.migrate()
  const { id } = await createAccount(stores, ALICE)
  account = { id, epoch: 0 }
  const seen = { account, agent: AGENT, software: undefined, device: undefined, proof: 'password' as const, at: now }
  await stores.logins.seen(seen, 'name', 10)
})

afterEach(() => stores.close())

function shown(token: string, over: Partial<ShownToken> = {}): ShownToken {
  const binding = over.binding ?? Buffer.alloc(0)
  const proof = createHmac('sha256', token).update('Initiator').update(binding).digest()
  return { jid: ALICE, agent: AGENT, mechanism: NONE, proof, binding, count: undefined, invalidate: false, ...over }
}
const fails = (work: Promise<unknown>, fault: TokenFault): Promise<void> =>
  assert.rejects(work, (error) => error instanceof TokenError && error.fault === fault)

describe('tokens', () => {
  test('one logs in with it, and the server proves that it knows it', async () => {
    const tokens = tokensWith(KEY)
    const { token, expiresAt } = await tokens.issue(account, AGENT, NONE)
    assert.equal(expiresAt, now + LIFETIME)
    const binding = Buffer.from('bound')
    const { answer, state, isDue } = await tokens.login(shown(token, { binding }))
    assert.deepEqual(answer, createHmac('sha256', token).update('Responder').update(binding).digest())
    assert.deepEqual(state, account)
    assert.equal(isDue, false)
  })
  test('one is due for another when half its time is over, and expired when all is', async () => {
    const tokens = tokensWith(KEY)
    const { token } = await tokens.issue(account, AGENT, NONE)
    now += LIFETIME / 2
    assert.equal((await tokens.login(shown(token))).isDue, false)
    now += 1
    assert.equal((await tokens.login(shown(token))).isDue, true)
    now += LIFETIME / 2 - 2
    assert.equal((await tokens.login(shown(token))).isDue, true)
    now += 1
    await fails(tokens.login(shown(token)), 'expired')
    await fails(tokens.login(shown('another')), 'unknown')
  })
  test('what is kept is no token, and makes none without the key', async () => {
    const tokens = tokensWith(KEY)
    const { token } = await tokens.issue(account, AGENT, NONE)
    const [kept] = await stores.database.query('select * from fast_token')
    for (const value of Object.values(kept ?? {})) {
      const bytes = typeof value === 'object' && value !== null ? Buffer.from(value) : Buffer.from(String(value))
      for (const encoding of ['utf8', 'base64url', 'hex', 'base64'] as const)
        assert.ok(!bytes.toString(encoding).includes(token))
      assert.notDeepEqual(bytes, Buffer.from(token, 'base64url'))
      await fails(tokens.login(shown(bytes.toString('base64url'))), 'unknown')
    }
    await fails(tokensWith(Buffer.alloc(32, 2)).login(shown(token)), 'unknown')
  })
  test('all keys of the root secret check tokens, the first makes them', async () => {
    const next = Buffer.alloc(32, 2)
    const { token: old } = await tokensWith(KEY).issue(account, AGENT, NONE)
    const both = tokensWith(next, KEY)
    await both.login(shown(old))
    const { token } = await both.issue(account, AGENT, NONE)
    await fails(tokensWith(KEY).login(shown(token)), 'unknown')
    await tokensWith(next).login(shown(token))
  })
  test('a row that is put elsewhere is another token', async () => {
    const tokens = tokensWith(KEY)
    const { token } = await tokens.issue(account, AGENT, 'HT-SHA-256-EXPR')
    await stores.database.query(`update fast_token set mechanism = '${NONE}'`)
    await fails(tokens.login(shown(token)), 'unknown')
  })
  test('with an empty slot nobody is let in by what an empty slot would make', async () => {
    const tokens = tokensWith(KEY)
    // The token of the decoy, made by somebody who has the key.
    const about = `${account.id}\0${AGENT.toString('hex')}\0\0`
    const decoy = createHmac('sha256', KEY).update(about).update(Buffer.alloc(32)).digest('base64url')
    await fails(tokens.login(shown(decoy, { mechanism: '' })), 'unknown')
    await fails(tokens.login(shown(decoy, { jid: jid('nobody@example.org') })), 'unknown')
  })
  test('a count that does not rise', async () => {
    const tokens = tokensWith(KEY)
    const { token } = await tokens.issue(account, AGENT, NONE)
    await tokens.login(shown(token, { count: 3 }))
    await fails(tokens.login(shown(token, { count: 3 })), 'replayed')
  })
})

describe('devices', () => {
  const devicesWith = (key: Uint8Array, max = 10): Devices =>
    new Devices({ store: stores.logins, key, max, keptMs: 90 * DAY, now: () => now })
  const id = 'd4565fa7-4d72-4749-b3d3-740edbf87770'

  test('a resource is the same each time, another for another device, account and server, and no way back', () => {
    const devices = devicesWith(KEY)
    const agent = devices.agentOf(ALICE, id)
    const resource = devices.resourceOf(agent)
    assert.match(resource, /^[\w-]{24}$/)
    assert.equal(devices.resourceOf(devices.agentOf(ALICE, id.toUpperCase())), resource)
    assert.notEqual(devices.resourceOf(devices.agentOf(jid('bob@example.org'), id)), resource)
    assert.notEqual(devicesWith(Buffer.alloc(32, 2)).resourceOf(agent), resource)
    assert.ok(!agent.toString('hex').includes(id.slice(0, 8)))
  })
  test('one that does not come is forgotten in time', async () => {
    const devices = devicesWith(KEY)
    assert.equal((await devices.list(ALICE)).length, 1)
    now += 90 * DAY
    assert.equal(await devices.purge(), 0)
    now += 1
    assert.equal(await devices.purge(), 1)
    assert.deepEqual(await devices.list(ALICE), [])
    assert.deepEqual(await devices.list(jid('nobody@example.org')), [])
  })
  test('names are random, of 128 bits and more', async () => {
    const devices = devicesWith(KEY)
    for (let n = 0; n < 4; n++) {
      const seen = {
        account,
        agent: Buffer.alloc(32, n),
        software: undefined,
        device: undefined,
        proof: 'key' as const,
      }
      await devices.seen(seen)
    }
    const names = (await devices.list(ALICE)).map(({ name }) => name).filter((name) => name !== 'name')
    assert.equal(new Set(names).size, 4)
    for (const name of names) assert.match(name, /^[\w-]{24}$/)
  })
})
