import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { revokeKey } from 'openpgp'
import { type PhoneKey, phoneKey } from '../helpers/bridge-certificate.ts'
import { KONTALK_CODE, registersKey, registrationForm, shown, WIDE_BUDGETS } from '../helpers/kontalk.ts'
import { auth, bind, secureStream } from '../helpers/login.ts'
import { write } from '../helpers/match-element.ts'
import { startTestServers, type TestServers } from '../helpers/test-server.ts'
import { type ConnectionSettings, XmppConnection } from '../helpers/xmpp-connection.ts'

const KEY = 'http://kontalk.org/protocol/register#key'
const DAY_MS = 86_400_000

let servers: TestServers
let nodes: readonly ConnectionSettings[]
const opened: XmppConnection[] = []
before(async () => {
  const config = {
    account: { registration: ['sms'] },
    sms: { provider: 'console' },
    limits: { registration: WIDE_BUDGETS },
  }
  servers = await startTestServers(2, config)
  nodes = servers.servers.map(({ starttlsPort }) => ({ port: starttlsPort, domain: servers.domain }))
})
after(async () => {
  for (const c of opened) c.destroy()
  await servers.stop()
})

let numbers = 0
const made = (jid: string): Promise<PhoneKey> => phoneKey(jid, { date: new Date(Date.now() - 10 * DAY_MS) })
async function newcomer() {
  const phone = `+49151${String(25_000_000 + numbers++)}`
  const jid = `${createHash('sha1').update(phone).digest('hex')}@localhost`
  const key = await made(jid)
  const ring = await registersKey(servers, nodes[0] as ConnectionSettings, phone, key)
  return { jid, key: { ...key, ring } }
}
/** @returns the connection, or the condition of the refusal */
async function logsIn(key: PhoneKey, node = 0, resource = 'phone'): Promise<XmppConnection | string> {
  const c = await XmppConnection.open({ ...(nodes[node] as ConnectionSettings), ...shown(key) })
  opened.push(c)
  await secureStream(c)
  c.write(auth('EXTERNAL', '='))
  const answer = await c.element()
  if (answer.name !== 'success') return write(answer)
  await c.openStream()
  await c.features()
  await bind(c, resource)
  return c
}
async function online(key: PhoneKey, node = 0, resource = 'phone'): Promise<XmppConnection> {
  const c = await logsIn(key, node, resource)
  if (typeof c === 'string') throw new Error(c)
  return c
}
async function revoked({ key }: PhoneKey): Promise<Buffer> {
  const { publicKey } = await revokeKey({ key, format: 'object' })
  return Buffer.from(publicKey.write())
}
async function rolls(device: XmppConnection, next: Uint8Array, old: Uint8Array): Promise<string> {
  const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')
  device.write(registrationForm({ FORM_TYPE: KEY, publickey: base64(next), revoked: base64(old) }))
  return write(await device.element())
}

describe('b.9: a key follows another one', () => {
  test('the account stays, the new key is certified and logs in, the old one does not, and its sessions end on all nodes', async () => {
    const { jid, key } = await newcomer()
    const next = await made(jid)
    const [asking, here, there] = [await online(key), await online(key, 0, 'here'), await online(key, 1, 'there')]
    const account = await servers.stores.accounts.find(jid as never)

    const answer = await rolls(asking, next.ring, await revoked(key))
    assert.ok(answer.includes(KONTALK_CODE), answer)
    const ring = Buffer.from(/var='publickey'[^>]*><value>([^<]+)</.exec(answer)?.[1] ?? '', 'base64')
    for (const device of [here, there]) await device.endsWith('not-authorized')
    asking.write(`<iq type='get' id='still' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>`)
    assert.equal((await asking.element()).attrs.id, 'still')

    assert.match(String(await logsIn(key, 1)), /not-authorized/)
    assert.match(String(await logsIn({ ...key, ring: await revoked(key) })), /not-authorized/)
    await online({ ...next, ring }, 1)
    const after = await servers.stores.accounts.find(jid as never)
    assert.deepEqual([after?.id, after?.fingerprint], [account?.id, next.fingerprint])
  })

  test('whose answer was lost logs in with the new key all the same', async () => {
    const { jid, key } = await newcomer()
    const next = await made(jid)
    await rolls(await online(key), next.ring, await revoked(key))
    await online(next)
  })

  test('without the revocation of just this key, or for another account, nothing changes', async () => {
    const { jid, key } = await newcomer()
    const other = await newcomer()
    const next = await made(jid)
    const device = await online(key)
    const forbidden = /type='error'.*<forbidden .*Invalid revocation key\./
    assert.match(await rolls(device, next.ring, key.ring), forbidden)
    assert.match(await rolls(device, next.ring, await revoked(other.key)), forbidden)
    assert.match(await rolls(device, next.ring, await revoked(next)), forbidden)
    assert.match(await rolls(device, next.ring, Buffer.alloc(100)), forbidden)
    const bad = /type='error'.*<bad-request .*Invalid public key\./
    assert.match(await rolls(device, (await made(other.jid)).ring, await revoked(key)), bad)
    assert.match(await rolls(device, await revoked(next), await revoked(key)), bad)
    assert.match(await rolls(device, key.ring, await revoked(key)), bad)
    assert.match(await rolls(device, Buffer.alloc(100), await revoked(key)), bad)
    device.destroy()
    await online(key, 1)
  })
})
