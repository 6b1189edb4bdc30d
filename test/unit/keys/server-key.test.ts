import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encryptKey, generateKey, type PrivateKey, readKey } from 'openpgp'
import { RootSecret } from '../../../src/account/root-secret.ts'
import { KeyError, type KeyFault } from '../../../src/keys/key-error.ts'
import { ServerKey, ServerKeyError, type ServerKeyFault, userIdOf } from '../../../src/keys/server-key.ts'
import { DOMAIN, keyStoreInMemory, ROOT } from '../../helpers/keys-in-memory.ts'

const OPTIONS = { domain: DOMAIN, make: true, now: 0 }
const OTHER = 'o'.repeat(43)
const faulty =
  (fault: ServerKeyFault) =>
  (error: unknown): boolean =>
    error instanceof ServerKeyError && error.fault === fault

test('made once, whoever comes first', async () => {
  const store = keyStoreInMemory()
  const made = await Promise.all([ServerKey.open(store, ROOT, OPTIONS), ServerKey.open(store, ROOT, OPTIONS)])
  const again = await ServerKey.open(store, ROOT, { ...OPTIONS, make: false })
  assert.deepEqual(
    made.map((key) => key.fingerprint),
    [again.fingerprint, again.fingerprint],
  )
  assert.match(again.fingerprint, /^[0-9A-F]{40}$/)
})
test('not made unasked', () =>
  assert.rejects(ServerKey.open(keyStoreInMemory(), ROOT, { ...OPTIONS, make: false }), faulty('missing')))

test('sealed by the root secret, through its rotation', async () => {
  const store = keyStoreInMemory()
  const { fingerprint } = await ServerKey.open(store, ROOT, OPTIONS)
  await assert.rejects(ServerKey.open(store, RootSecret.parse(OTHER), OPTIONS), faulty('sealed-otherwise'))
  const rotated = RootSecret.parse(`${OTHER}\n${'r'.repeat(43)}`)
  assert.equal((await ServerKey.open(store, rotated, OPTIONS)).fingerprint, fingerprint)
})
test('a seal that was changed, cut or moved to another key', async () => {
  const store = keyStoreInMemory()
  await ServerKey.open(store, ROOT, OPTIONS)
  const [kept] = await store.serverKeys()
  assert.ok(kept)
  const changed = Buffer.from(kept.sealed)
  changed[40] = (changed[40] as number) ^ 1
  for (const sealed of [changed, kept.sealed.subarray(0, 20), kept.sealed.subarray(0, -1), Buffer.alloc(0)]) {
    const broken = { ...store, serverKeys: async () => [{ ...kept, sealed }] }
    await assert.rejects(ServerKey.open(broken, ROOT, OPTIONS), faulty('sealed-otherwise'))
  }
})

/** As GnuPG made Kontalk's: RSA, one subkey that decrypts. */
const operatorKey = async (other: Partial<Parameters<typeof generateKey>[0]> = {}): Promise<PrivateKey> => {
  const { privateKey } = await generateKey({
    type: 'rsa',
    rsaBits: 2048,
    userIDs: [{ name: 'Kontalk', email: 'kontalk-1@example.org' }],
    date: new Date(1_000),
    ...other,
    format: 'object',
  })
  return privateKey
}
const bytes = (text: string): Uint8Array => Buffer.from(text)

test('a key of the operator’s, armoured or binary, becomes the current one, and certifies', async () => {
  const store = keyStoreInMemory()
  const made = await ServerKey.open(store, ROOT, OPTIONS)
  const key = await operatorKey()
  for (const text of [bytes(key.armor()), key.write()]) await ServerKey.take(store, ROOT, text, 2_000)
  const server = await ServerKey.open(store, ROOT, OPTIONS)
  assert.equal(server.fingerprint, key.getFingerprint().toUpperCase())
  assert.deepEqual(
    server.trusted.map((one) => one.fingerprint).toSorted(),
    [server.fingerprint, made.fingerprint].toSorted(),
  )
  assert.match(userIdOf(server.ring), /kontalk-1@example\.org/)
  assert.ok(!(await readKey({ binaryKey: server.ring })).isPrivate())
  for (const { sealed } of await store.serverKeys())
    assert.ok(!Buffer.from(sealed).includes(Buffer.from(key.write()).subarray(40, 60)))
})
test('one that the config names is taken when there is none, and not asked for when there is', async () => {
  const store = keyStoreInMemory()
  const key = await operatorKey({ type: 'ecc', curve: 'ed25519Legacy' })
  const first = async () => bytes(key.armor())
  const server = await ServerKey.open(store, ROOT, { ...OPTIONS, make: false, first })
  assert.equal(server.fingerprint, key.getFingerprint().toUpperCase())
  const never = (): Promise<never> => Promise.reject(new Error('asked'))
  assert.equal((await ServerKey.open(store, ROOT, { ...OPTIONS, first: never })).fingerprint, server.fingerprint)
})
test('what cannot be the server’s key', async () => {
  const key = await operatorKey({ type: 'ecc', curve: 'ed25519Legacy' })
  const refused = async (text: Uint8Array, fault: KeyFault): Promise<void> => {
    const store = keyStoreInMemory()
    const isFault = (error: unknown): boolean => error instanceof KeyError && error.fault === fault
    await assert.rejects(ServerKey.take(store, ROOT, text, 2_000), isFault, fault)
    assert.deepEqual(await store.serverKeys(), [])
  }
  await refused(bytes('no key'), 'malformed')
  await refused(Buffer.alloc(0), 'malformed')
  await refused(bytes(key.toPublic().armor()), 'malformed')
  await refused(
    Buffer.concat([key.write(), (await operatorKey({ type: 'ecc', curve: 'nistP256' })).write()]),
    'malformed',
  )
  await refused(bytes((await encryptKey({ privateKey: key, passphrase: 'secret' })).armor()), 'locked')
  await refused((await operatorKey({ date: new Date(90_000_000) })).write(), 'future')
  await refused((await operatorKey({ keyExpirationTime: 1 })).write(), 'expired')
  await refused((await key.revoke({}, new Date(1_500))).write(), 'revoked')
  // Another's secret part below our public part.
  const [mine, theirs] = [await operatorKey({ type: 'ecc' }), await operatorKey({ type: 'ecc' })]
  Object.assign(mine.keyPacket, {
    privateParams: (theirs.keyPacket as unknown as { privateParams: object }).privateParams,
  })
  await refused(mine.write(), 'malformed')
})
