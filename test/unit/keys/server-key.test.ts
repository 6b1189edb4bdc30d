import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RootSecret } from '../../../src/account/root-secret.ts'
import { ServerKey, ServerKeyError, type ServerKeyFault } from '../../../src/keys/server-key.ts'
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
