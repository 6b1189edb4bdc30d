import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { encryptKey, revokeKey } from 'openpgp'
import type { PhoneKey } from '../helpers/bridge-certificate.ts'
import { keyFor, People, registrationForm, WIDE_BUDGETS } from '../helpers/kontalk-phone.ts'
import { secureStream } from '../helpers/login.ts'
import { write } from '../helpers/match-element.ts'
import { startTestServers, type TestServers } from '../helpers/test-server.ts'
import { type ConnectionSettings, XmppConnection } from '../helpers/xmpp-connection.ts'

const PRIVATE_KEY = 'http://kontalk.org/protocol/register#privatekey'
const NS_ACCOUNT = 'http://kontalk.org/protocol/register#account'
const TRIES = 4

/** Two: who fetches is on another node than who left it. */
let servers: TestServers
let people: People
before(async () => {
  servers = await startTestServers(2, {
    account: { registration: ['sms'] },
    sms: { provider: 'console' },
    limits: { registration: WIDE_BUDGETS, login: { transfer_tries: `${TRIES}/1h` } },
  })
  people = new People(servers)
})
after(async () => {
  people.leave()
  await servers.stop()
})

/** Somebody with a number and a key, on the first device. */
async function newcomer() {
  const who = await people.registers()
  return { ...who, device: await people.device(who.key) }
}
const locked = async ({ key }: PhoneKey): Promise<Buffer> =>
  Buffer.from((await encryptKey({ privateKey: key, passphrase: 'correct horse' })).write())

/** @returns the server's answer */
async function leaves(device: XmppConnection, ring: Uint8Array | string): Promise<string> {
  const privatekey = typeof ring === 'string' ? ring : Buffer.from(ring).toString('base64')
  device.write(registrationForm({ FORM_TYPE: PRIVATE_KEY, privatekey }))
  return write(await device.element())
}
const tokenIn = (answer: string): string => /var='token'[^>]*><value>(\d{40})<\/value>/.exec(answer)?.[1] ?? answer

/** A new device asks before login. @returns the server's answer */
async function fetches(token: string, from: Partial<ConnectionSettings> = {}): Promise<string> {
  const c = await XmppConnection.open({ ...people.settings(1), ...from })
  await secureStream(c)
  c.write(
    `<iq type='get' id='k2' to='localhost'><query xmlns='jabber:iq:register'><account xmlns='${NS_ACCOUNT}'><privatekey><token>${token}</token></privatekey></account></query></iq>`,
  )
  const answer = write(await c.element())
  c.destroy()
  return answer
}
const half = (name: string, answer: string): Buffer =>
  Buffer.from(new RegExp(`<${name}>([^<]+)</${name}>`).exec(answer)?.[1] ?? '', 'base64')
const INVALID = /type='error'.*<not-authorized .*Invalid private key token\./

describe('b.7, b.8: a key goes to another device of its owner', () => {
  test('as the owner locked it, with the certified public half, once', async () => {
    const { key, device } = await newcomer()
    const ring = await locked(key)
    const token = tokenIn(await leaves(device, ring))
    assert.match(token, /^\d{40}$/)
    const handed = await fetches(token)
    assert.deepEqual(half('private', handed), ring)
    assert.deepEqual(half('public', handed), key.ring)
    // What it was made for: the new device logs in.
    await people.device({ ...key, ring: half('public', handed) })
    assert.match(await fetches(token), INVALID)
  })

  test('a new token ends the one before', async () => {
    const { key, device } = await newcomer()
    const [first, second] = [await locked(key), await locked(key)]
    const before = tokenIn(await leaves(device, first))
    const after = tokenIn(await leaves(device, second))
    assert.match(await fetches(before, { localAddress: '127.0.0.2' }), INVALID)
    assert.deepEqual(half('private', await fetches(after, { localAddress: '127.0.0.2' })), second)
  })

  test('a key that no passphrase locks is not taken, nor another account’s, nor anything else', async () => {
    const { key, device } = await newcomer()
    const other = await newcomer()
    const bad = /type='error'.*<bad-request .*Invalid private key\./
    assert.match(await leaves(device, key.key.write()), bad)
    assert.match(await leaves(device, key.ring), bad)
    assert.match(await leaves(device, await locked(other.key)), bad)
    assert.match(await leaves(device, Buffer.concat([await locked(key), key.key.write()])), bad)
    assert.match(await leaves(device, Buffer.alloc(40_000)), bad)
    assert.match(await leaves(device, 'not base64!'), bad)
    assert.match(await leaves(device, ''), bad)
  })

  test('a key that another one has followed, or that is revoked, is handed to nobody', async () => {
    const revoked = async ({ key }: PhoneKey): Promise<Buffer> =>
      Buffer.from((await revokeKey({ key, format: 'object' })).publicKey.write())
    const [followed, withdrawn] = [await newcomer(), await newcomer()]
    const tokens = [followed, withdrawn].map(async ({ key, device }) =>
      tokenIn(await leaves(device, await locked(key))),
    )
    const next = await keyFor(followed.jid)
    await Promise.all(tokens)
    const rolled = {
      FORM_TYPE: 'http://kontalk.org/protocol/register#key',
      publickey: next.ring.toString('base64'),
      revoked: (await revoked(followed.key)).toString('base64'),
    }
    followed.device.write(registrationForm(rolled))
    while (!/id='reg'/.test(write(await followed.device.element())));
    await people.logsIn({ ...withdrawn.key, ring: await revoked(withdrawn.key) })
    for (const token of tokens) assert.match(await fetches(await token, { localAddress: '127.0.0.5' }), INVALID)
  })

  test('whoever guesses is shut out before he guesses much, and nobody else', async () => {
    const { key, device } = await newcomer()
    const token = tokenIn(await leaves(device, await locked(key)))
    const guesser = { localAddress: '127.0.0.3' }
    for (let i = 0; i < TRIES; i++) assert.match(await fetches(String(i).repeat(40), guesser), INVALID)
    assert.match(await fetches(token, guesser), /type='error'.*<service-unavailable /)
    assert.match(await fetches(token, { localAddress: '127.0.0.4' }), /<private>/)
  })
})
