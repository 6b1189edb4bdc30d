import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { encryptKey } from 'openpgp'
import type { HttpRequest } from '../../../src/contract/route.ts'
import keyTransfer from '../../../src/features/x-key-transfer.ts'
import { KeyTransfers } from '../../../src/keys/transfers.ts'
import { bareJid, type Domain, type FullJid } from '../../../src/xmpp/jid.ts'
import { StanzaError } from '../../../src/xmpp/stanza-error.ts'
import { type PhoneKey, phoneKey } from '../../helpers/bridge-certificate.ts'
import { handlersOf } from '../../helpers/feature-handlers.ts'
import { openMemory } from '../account/world.ts'
import { sessionOf } from '../router/world.ts'

const DOMAIN = 'example.org' as Domain
const JID = bareJid('romeo', DOMAIN)

let phone: PhoneKey
let locked: string
before(async () => {
  phone = await phoneKey(JID)
  locked = (await encryptKey({ privateKey: phone.key, passphrase: 'correct horse' })).armor()
})

/** The feature over real transfers, whose news reach the devices or not. */
async function world() {
  const stores = await openMemory()
  const { fingerprint, ring } = phone
  const account = await stores.accounts.create({ jid: JID, isNumber: true, fingerprint, secrets: [] })
  assert.ok(account)
  const hearing = { value: true }
  const keyTransfers = new KeyTransfers({
    store: stores.keyTransfers,
    accounts: stores.accounts,
    keys: { of: () => Promise.resolve({ account: account.id, fingerprint, ring }) },
    lifetimeMs: 45_000,
    tries: { count: 10, perMs: 60_000 },
    tell: async () => hearing.value,
  })
  const disco = {
    domains: new Set([DOMAIN]),
    serverFeatures: [],
    accountFeatures: [],
    services: [],
    nodes: { find: () => undefined },
    software: { name: 'test', version: '1' },
  }
  const web = { url: 'https://example.org' }
  const { commands, routes } = await handlersOf(keyTransfer, { web, disco, keyTransfers })
  const session = sessionOf(`${JID}/phone` as FullJid)
  const form = { type: 'submit' as const, formType: undefined, fields: new Map([['key', locked.split('\n')]]) }
  const leave = async () => await commands?.[0]?.run({ session, form })
  const fetchKey = async (token: string, headers: Readonly<Record<string, string>> = {}) => {
    const body = Buffer.from(`do=fetch&token=${token}`)
    const said: Readonly<Record<string, string>> = { 'content-type': 'application/x-www-form-urlencoded', ...headers }
    const request: HttpRequest = {
      method: 'POST',
      params: {},
      query: new URLSearchParams(),
      host: 'example.org',
      ip: '192.0.2.1',
      header: (name) => said[name],
      body: async function* () {
        yield body
      },
    }
    return await routes?.[0]?.post?.(request)
  }
  return { leave, fetchKey, hearing, token: async () => tokenIn(await leave()) }
}
const tokenIn = (step: unknown): string => /"(\d{40})"/.exec(JSON.stringify(step))?.[1] ?? assert.fail('no token')

test('what devices could not be told of is not done', async () => {
  const { leave, fetchKey, hearing, token } = await world()
  const left = await token()
  hearing.value = false
  await assert.rejects(leave(), (error) => error instanceof StanzaError && error.condition === 'resource-constraint')
  const answer = await fetchKey(left)
  // The key that was left in vain has replaced it.
  assert.equal(answer?.status, 403)
  hearing.value = true
  const again = await token()
  hearing.value = false
  const untold = await fetchKey(again)
  assert.equal(untold?.status, 503)
  assert.doesNotMatch(String(untold?.body), /BEGIN PGP/)
})

test('a token is said to be good for no longer than it is', async () => {
  const { leave } = await world()
  assert.match(JSON.stringify(await leave()), /within 45 s/)
})

test('a form comes from the origin of the public address, or from no browser', async () => {
  const { fetchKey, token } = await world()
  for (const origin of ['http://example.org', 'https://example.org:8443', 'https://example.org.evil.example', 'null'])
    assert.equal((await fetchKey('0'.repeat(40), { origin }))?.status, 403, origin)
  assert.equal((await fetchKey(await token(), { origin: 'https://example.org' }))?.status, 200)
  assert.equal((await fetchKey(await token()))?.status, 200)
  assert.equal((await fetchKey(await token(), { 'sec-fetch-site': 'none' }))?.status, 200)
})
