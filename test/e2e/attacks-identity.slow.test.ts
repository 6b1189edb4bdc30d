import assert from 'node:assert/strict'
import { createHash, generateKeyPairSync } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { generateKey, type PrivateKey, reformatKey } from 'openpgp'
import { splitPackets, writePacket } from '../../src/keys/packets.ts'
import { SqlKeyStore } from '../../src/storage/key-store.ts'
import type { BareJid } from '../../src/xmpp/jid.ts'
import { type BridgeOptions, type PhoneKey, phoneKey, phoneKeyOf } from '../helpers/bridge-certificate.ts'
import { registersKey, registrationForm, shown, WIDE_BUDGETS } from '../helpers/kontalk-phone.ts'
import { auth, authenticate, bind, mechanismsOf, secureStream } from '../helpers/login.ts'
import { write } from '../helpers/match-element.ts'
import { startTestServers, type TestServers } from '../helpers/test-server.ts'
import { type ConnectionSettings, XmppConnection } from '../helpers/xmpp-connection.ts'

/** Row 11 of the attacks: identities in certificates. All keys come in over the wire, as a phone brings them. */

/** Of this process alone: the gathered port is a fixed one. */
const GATHERED_HOST = `127.${1 + (process.pid % 250)}.${1 + (Math.floor(process.pid / 250) % 250)}.9`
const DAY = 86_400_000
const SETTINGS = {
  account: { registration: ['sms', 'open'] },
  sms: { provider: 'console' },
  limits: { registration: WIDE_BUDGETS },
}
const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const
const KINDS = ['rsa', 'nistP256', 'nistP384', 'nistP521', 'ed25519Legacy'] as const

let servers: TestServers
/** Another server that calls itself the same, with an OpenPGP key of its own. */
let elsewhere: TestServers
let ways: readonly (readonly [string, ConnectionSettings])[]
const opened: XmppConnection[] = []
before(async () => {
  const c2s = { starttls: ['127.0.0.1:0', `${GATHERED_HOST}:5999`], direct_tls: ['127.0.0.1:0'] }
  servers = await startTestServers(1, { ...SETTINGS, c2s })
  elsewhere = await startTestServers(1, SETTINGS)
  ways = [
    ['a port where handshakes are looked at', settingsOf(servers)],
    ['a port where all handshakes are gathered', { ...settingsOf(servers), host: GATHERED_HOST, port: 5999 }],
  ]
})
after(async () => {
  for (const c of opened) c.destroy()
  await servers.stop()
  await elsewhere.stop()
})

const settingsOf = (of: TestServers): ConnectionSettings => ({
  port: of.servers[0]?.starttlsPort ?? 0,
  domain: of.domain,
})
let numbers = 0
const number = (): string => `+49151${String(23_000_000 + numbers++)}`
const localOf = (phone: string): string => createHash('sha1').update(phone).digest('hex')
const keyFor = (phone: string, options: Parameters<typeof phoneKey>[1] = {}): Promise<PhoneKey> =>
  phoneKey(`${localOf(phone)}@localhost`, { date: new Date(Date.now() - 10 * DAY), ...options })

/** A number's key, registered and certified. @returns the key with its certified ring */
async function registered(key: PhoneKey, phone: string, of: TestServers = servers): Promise<PhoneKey> {
  return { ...key, ring: await registersKey(of, settingsOf(of), phone, key) }
}

interface Try extends BridgeOptions {
  readonly settings?: ConnectionSettings
  readonly version?: (typeof VERSIONS)[number]
  readonly authzid?: string
}
/** Tries to log in with the certificate. @returns the bound JID, or the condition of the refusal */
async function tries(key: PhoneKey, { settings, version, authzid, ...options }: Try = {}): Promise<string> {
  const tls = version === undefined ? {} : { minVersion: version, maxVersion: version }
  const c = await XmppConnection.open({ ...(settings ?? settingsOf(servers)), ...shown(key, options, tls) })
  opened.push(c)
  const features = await secureStream(c)
  const isOffered = mechanismsOf(features).includes('EXTERNAL')
  assert.equal(isOffered, !('ring' in options && options.ring === undefined), 'EXTERNAL is offered to bridges only')
  c.write(auth('EXTERNAL', authzid === undefined ? '=' : Buffer.from(authzid).toString('base64')))
  const answer = await c.element()
  if (answer.name === 'failure') {
    c.destroy()
    return answer.children.map((child) => (typeof child === 'string' ? child : child.name)).join(' ')
  }
  assert.equal(answer.name, 'success', write(answer))
  await c.openStream()
  await c.features()
  const jid = await bind(c, 'phone')
  c.destroy()
  return jid
}

/** Logs in and removes the account. */
async function unregisters(key: PhoneKey): Promise<void> {
  const c = await XmppConnection.open({ ...settingsOf(servers), ...shown(key) })
  opened.push(c)
  await secureStream(c)
  await authenticate(c, { mechanism: 'EXTERNAL', username: '', password: '' })
  await c.openStream()
  await c.features()
  await bind(c, 'last')
  c.write(`<iq type='set' id='rm'><query xmlns='jabber:iq:register'><remove/></query></iq>`)
  await c.closes()
}

describe('row 11: one good certificate logs in, after the whole story of its registration', () => {
  for (const kind of KINDS) {
    test(`with a master key ${kind}, on both kinds of port, with TLS 1.2 and 1.3`, async () => {
      const phone = number()
      const key = await registered(await keyFor(phone, { kind }), phone)
      const jid = `${localOf(phone)}@localhost`
      for (const [where, settings] of ways) {
        for (const version of VERSIONS) {
          assert.equal(await tries(key, { settings, version }), `${jid}/phone`, `${where}, ${version}`)
          assert.equal(await tries(key, { settings, version, authzid: jid }), `${jid}/phone`, `${where}, ${version}`)
          assert.match(await tries(key, { settings, version, authzid: `${jid}/r` }), /^invalid-authzid/)
          assert.match(await tries(key, { settings, version, authzid: 'romeo@localhost' }), /^invalid-authzid/)
        }
      }
    })
  }
})

describe('row 11: nobody gets in, or in as somebody else, with', () => {
  let romeo: string
  let victim: PhoneKey
  let mallory: string
  let own: PhoneKey
  before(async () => {
    const [one, two] = [number(), number()]
    victim = await registered(await keyFor(one), one)
    own = await registered(await keyFor(two), two)
    romeo = `${localOf(one)}@localhost`
    mallory = `${localOf(two)}@localhost`
  })
  const fails = async (key: PhoneKey, options: Try = {}): Promise<void> => {
    for (const version of VERSIONS) assert.match(await tries(key, { ...options, version }), /^not-authorized/)
  }

  test('embedded CN=, NUL, several names and SANs: the key alone says who it is', async () => {
    for (const names of [
      [`CN=Romeo <${romeo}>`],
      [`Romeo <${mallory}>,CN=<${romeo}>`, `<${romeo}>`],
      [`${romeo}\0.example`, romeo],
    ]) {
      for (const wellFormedSan of [false, true]) {
        for (const version of VERSIONS) {
          const options = { commonNames: names, addresses: [romeo, `${romeo}\0`], wellFormedSan, version }
          assert.equal(await tries(own, options), `${mallory}/phone`)
          assert.match(await tries(own, { ...options, authzid: romeo }), /^invalid-authzid/)
        }
      }
    }
  })
  test('names and no key: EXTERNAL is not even offered', async () => {
    for (const wellFormedSan of [true, false]) {
      const options = { ring: undefined, addresses: [romeo], commonNames: [romeo], wellFormedSan }
      for (const version of VERSIONS) assert.match(await tries(victim, { ...options, version }), /^invalid-mechanism/)
    }
  })
  test('two extensions, or one of another shape', async () => {
    await fails(victim, { copies: 2 })
    await fails(victim, { extensionValue: victim.ring })
    await fails(victim, { extensionValue: Buffer.alloc(0) })
  })
  test('two user IDs, one of them of somebody else', async () => {
    const userIDs = [mallory, romeo].map((email) => ({ name: 'Mallory', email }))
    for (const ids of [userIDs, userIDs.toReversed()])
      await fails(phoneKeyOf(await changed(own.key, { userIDs: ids }), own.kind))
  })
  test("the victim's user ID on one's own key", async () => {
    await fails(phoneKeyOf(await changed(own.key, { userIDs: [{ name: 'Romeo', email: romeo }] }), own.kind))
    await fails(await keyFor('', { name: `Romeo <${romeo}>`, kind: 'nistP256' }))
  })
  test('a user ID of another domain', async () => {
    await fails(await phoneKey(romeo.replace('localhost', 'localhost.example')))
  })
  test("the victim's public key in a wrapper of one's own key, of one algorithm or another", async () => {
    await fails(victim, { master: own.master })
    await fails(victim, { master: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey })
    await fails(victim, { master: generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey })
    await fails(own, { ring: victim.ring })
    await fails(own, { ring: Buffer.concat([own.ring, victim.ring]) })
  })
  test("a certificate of the key's own subkey", () => fails(victim, { master: subkeyOf(victim) }))
  test("another server's certification", async () => {
    const phone = number()
    const foreign = await registered(await keyFor(phone), phone, elsewhere)
    assert.equal(await tries(foreign, { settings: settingsOf(elsewhere) }), `${localOf(phone)}@localhost/phone`)
    await fails(foreign)
    // The account is there, and its key is another one.
    await registered(await keyFor(phone), phone)
    await fails(foreign)
    // The account is there with this key, and only the certification is not ours.
    const twin = number()
    const key = await keyFor(twin)
    const ours = await registered(key, twin)
    const theirs = await registered(key, twin, elsewhere)
    const { accounts, database } = servers.stores
    const { id } = (await accounts.find(`${localOf(twin)}@localhost` as BareJid)) ?? assert.fail('no account')
    await new SqlKeyStore(database).put({
      account: id,
      fingerprint: key.fingerprint,
      ring: theirs.ring,
      expiresAt: Number.POSITIVE_INFINITY,
    })
    await fails(theirs)
    await fails(key)
    assert.equal(await tries(ours), `${localOf(twin)}@localhost/phone`)
  })
  test('a certified key of an account that is gone, and of one that came after it', async () => {
    const phone = number()
    const older = await registered(await keyFor(phone), phone)
    await unregisters(older)
    await fails(older)
    const newer = await registered(await keyFor(phone, { date: new Date(Date.now() - 1_000) }), phone)
    await fails(older)
    await fails(phoneKeyOf(older.key, older.kind))
    assert.equal(await tries(newer), `${localOf(phone)}@localhost/phone`)
  })
  test('a newer key of the same name that nobody certified', async () => {
    await fails(await phoneKey(romeo, { date: new Date() }))
  })
  test('a newer key of the same name that the server has certified: only the one of the registration counts', async () => {
    const phone = number()
    const newer = await registered(await keyFor(phone, { date: new Date(Date.now() - 1_000) }), phone)
    await unregisters(newer)
    const older = await registered(await keyFor(phone), phone)
    await fails(newer)
    await fails(phoneKeyOf(newer.key, newer.kind))
    assert.equal(await tries(older), `${localOf(phone)}@localhost/phone`)
  })
  test('a key made in the future, and a certification of oneself made there', async () => {
    const soon = new Date(Date.now() + DAY)
    await fails(await phoneKey(romeo, { date: soon }))
    const phone = number()
    const key = await registered(await keyFor(phone), phone)
    const userIDs = [{ name: 'Romeo', email: `${localOf(phone)}@localhost` }]
    await fails(phoneKeyOf(await changed(key.key, { userIDs, date: soon }), key.kind))
    assert.equal(await tries(key), `${localOf(phone)}@localhost/phone`)
  })
  test('secret packets inside: the whole secret key, or one secret subkey behind the public key', async () => {
    await fails(own, { ring: Buffer.from(own.key.write()) })
    const packets = splitPackets(Buffer.from(own.key.write()), 100)
    const secret = packets.find(({ tag }) => tag === 7)
    assert.ok(secret)
    await fails(own, { ring: Buffer.concat([own.ring, writePacket(secret)]) })
  })
  test('a huge key: more packets or signatures than any has, or an RSA modulus that takes long', async () => {
    const flood = (count: number, tag: number): Buffer =>
      Buffer.concat([own.ring, ...Array.from({ length: count }, () => writePacket({ tag, body: Buffer.alloc(20) }))])
    await fails(own, { ring: flood(600, 12) })
    const signature = splitPackets(own.ring, 100).find(({ tag }) => tag === 2)
    assert.ok(signature)
    await fails(own, { ring: Buffer.concat([own.ring, ...Array.from({ length: 120 }, () => writePacket(signature))]) })
    const [head] = splitPackets(own.ring, 1_000)
    const modulus = Buffer.concat([Buffer.from('ffff', 'hex'), Buffer.alloc(8_192, 0xff)])
    const body = Buffer.concat([
      (head as { body: Uint8Array }).body.subarray(0, 5),
      Buffer.of(1),
      modulus,
      Buffer.from('0011010001', 'hex'),
    ])
    await fails(own, { ring: writePacket({ tag: 6, body }) })
  })
  test('an expired key, and one that says so after it was registered', async () => {
    await fails(await phoneKey(romeo, { date: new Date(Date.now() - 10 * DAY), lifetime: 86_400 }))
    const phone = number()
    const key = await registered(await keyFor(phone), phone)
    const email = `${localOf(phone)}@localhost`
    const expired = await changed(key.key, { userIDs: [{ name: 'Romeo', email }], keyExpirationTime: 86_400 })
    await fails(phoneKeyOf(expired, key.kind))
  })
  test('a revoked key', async () => {
    const phone = number()
    const key = await registered(await keyFor(phone), phone)
    await fails(phoneKeyOf(await key.key.revoke(), key.kind))
  })
  test('a certificate that was shown on another TLS session, which this one resumes', async () => {
    for (const [where, settings] of ways) {
      for (const version of VERSIONS) {
        const tls = { minVersion: version, maxVersion: version }
        const first = await XmppConnection.open({ ...settings, ...shown(victim, {}, tls) })
        opened.push(first)
        await secureStream(first)
        const session = first.tls?.getSession()
        assert.ok(session !== undefined)
        const again = await XmppConnection.open({ ...settings, ...shown(victim, {}, { ...tls, session }) })
        opened.push(again)
        const features = await secureStream(again)
        // Where handshakes are gathered there is nothing to resume: the certificate is shown anew.
        const isLooked = where === ways[0]?.[0]
        assert.equal(again.tls?.isSessionReused(), isLooked, `${where}, ${version}`)
        assert.equal(mechanismsOf(features).includes('EXTERNAL'), !isLooked, `${where}, ${version}`)
        again.write(auth('EXTERNAL', '='))
        assert.equal((await again.element()).name, isLooked ? 'failure' : 'success', `${where}, ${version}`)
      }
    }
  })
  test('after all of that the owners still do', async () => {
    assert.equal(await tries(victim), `${romeo}/phone`)
    assert.equal(await tries(own), `${mallory}/phone`)
  })
})

test('a bridge certificate is offered EXTERNAL first, and SCRAM beside it, which works on the same kind of stream', async () => {
  const phone = number()
  const key = await registered(await keyFor(phone), phone)
  const password = 'a password, 123'
  await servers.addAccount('benvolio', password)
  for (const version of VERSIONS) {
    const c = await XmppConnection.open({
      ...settingsOf(servers),
      ...shown(key, {}, { minVersion: version, maxVersion: version }),
    })
    opened.push(c)
    const mechanisms = mechanismsOf(await secureStream(c))
    assert.equal(mechanisms[0], 'EXTERNAL')
    assert.ok(mechanisms.includes('SCRAM-SHA-256'), mechanisms.join(' '))
    // A refused EXTERNAL leaves the others.
    c.write(auth('EXTERNAL', Buffer.from('benvolio@localhost').toString('base64')))
    assert.equal((await c.element()).name, 'failure')
    const login = { username: 'benvolio', password, mechanism: 'SCRAM-SHA-256' }
    await authenticate(c, login)
    await c.openStream()
    await c.features()
    assert.equal(await bind(c, version), `benvolio@localhost/${version}`)
  }
  const plain = await XmppConnection.open(settingsOf(servers))
  opened.push(plain)
  assert.ok(!mechanismsOf(await secureStream(plain)).includes('EXTERNAL'))
})

describe('row 11: no account is made for', () => {
  const refusedAs = async (key: PhoneKey, phone: string, options: BridgeOptions, text: RegExp): Promise<void> => {
    for (const version of VERSIONS) {
      const tls = { minVersion: version, maxVersion: version }
      await assert.rejects(registersKey(servers, settingsOf(servers), phone, key, options, tls), text, version)
    }
  }
  test('a key that the certificate does not prove, or of another number', async () => {
    const phone = number()
    const [key, other] = [await keyFor(phone), await keyFor(number())]
    await refusedAs(key, phone, { master: other.master }, /bad-request.*Invalid public key/)
    await refusedAs(key, phone, { ring: undefined }, /bad-request.*Invalid public key/)
    await refusedAs(other, phone, {}, /bad-request.*Invalid verification code/)
    await refusedAs(await phoneKey('romeo@localhost'), phone, {}, /bad-request.*Invalid verification code/)
  })
  test('a key that is expired, revoked, of the future, or comes with its secret half', async () => {
    const phone = number()
    const email = `${localOf(phone)}@localhost`
    const sound = await keyFor(phone)
    const expired = await phoneKey(email, { date: new Date(Date.now() - 10 * DAY), lifetime: 86_400 })
    const revoked = phoneKeyOf(await sound.key.revoke(), sound.kind)
    const early = await phoneKey(email, { date: new Date(Date.now() + DAY) })
    for (const [key, options] of [
      [expired, {}],
      [revoked, {}],
      [early, {}],
      [sound, { ring: Buffer.from(sound.key.write()) }],
    ] as const)
      await refusedAs(key, phone, options, /bad-request.*Invalid public key/)
    assert.ok((await registered(sound, phone)).ring.length > 0)
  })
  test('a key with two accounts in it', async () => {
    const [one, two] = [number(), number()]
    const emails = [one, two].map((phone) => ({ email: `${localOf(phone)}@localhost` }))
    const { privateKey } = await generateKey({
      type: 'ecc',
      curve: 'nistP256',
      userIDs: emails,
      date: new Date(Date.now() - DAY),
      format: 'object',
    })
    await refusedAs(phoneKeyOf(privateKey, 'nistP256'), one, {}, /bad-request.*Invalid public key/)
  })
  test('a number that has one, without force; with it: kontalk-takeover.slow.test.ts', async () => {
    const phone = number()
    await registered(await keyFor(phone), phone)
    const c = await XmppConnection.open(settingsOf(servers))
    opened.push(c)
    await secureStream(c)
    c.write(registrationForm({ FORM_TYPE: 'jabber:iq:register', phone, challenge: 'pin' }))
    assert.match(write(await c.element()), /type='error'.*<conflict/)
  })
})

/** The same key with other self-signatures. */
async function changed(
  privateKey: PrivateKey,
  options: {
    readonly userIDs: { name: string; email: string }[]
    readonly keyExpirationTime?: number
    readonly date?: Date
  },
): Promise<PrivateKey> {
  return (await reformatKey({ privateKey, date: new Date(), format: 'object', ...options })).privateKey
}

/** The signing subkey, as if it were the master key. */
function subkeyOf(phone: PhoneKey): PhoneKey['master'] {
  const subkey = phone.key.subkeys[0]?.keyPacket as unknown as { publicParams: object; privateParams: object }
  const wrapped: unknown = Object.assign(Object.create(Object.getPrototypeOf(phone.key)), {
    ...phone.key,
    keyPacket: { publicParams: subkey.publicParams, privateParams: subkey.privateParams },
    getFingerprint: () => '',
    toPublic: () => phone.key.toPublic(),
  })
  return phoneKeyOf(wrapped as PrivateKey, 'nistP256').master
}
