import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { DataKeys } from '../../../src/account/data-keys.ts'
import { type Payload, PayloadSeal, SealError } from '../../../src/account/payload-seal.ts'
import { unseal } from '../../../src/util/seal.ts'
import { MemoryDataKeyStore } from '../../helpers/memory-data-key-store.ts'
import { KeyFile } from '../../helpers/operator-keys.ts'
import { bytes, text } from '../../helpers/store-samples.ts'

const payload = (account: number, body: string, place = 'here'): Payload => ({ account, payload: bytes(body), place })
const failing =
  (fault: SealError['fault']) =>
  (error: unknown): boolean =>
    error instanceof SealError && error.fault === fault

async function sealing(t: TestContext) {
  const store = new MemoryDataKeyStore()
  const operator = await new KeyFile(t).open()
  return {
    store,
    on: new PayloadSeal(new DataKeys(store, operator), true),
    off: new PayloadSeal(new DataKeys(store, operator), false),
    absent: new PayloadSeal(undefined, true),
  }
}

test('a payload opens for its account, in its place', async (t) => {
  const { on } = await sealing(t)
  const sealed = await on.seal(payload(1, '<x/>'))
  assert.ok(!Buffer.from(sealed).includes('<x/>'))
  assert.equal(text(await on.open({ account: 1, payload: sealed, place: 'here' })), '<x/>')
  await assert.rejects(on.open({ account: 1, payload: sealed, place: 'there' }), failing('damaged'))
  await on.seal(payload(2, ''))
  await assert.rejects(on.open({ account: 2, payload: sealed, place: 'here' }), failing('damaged'))
})

test('switched off it writes in clear and still opens; in clear stays readable when it is switched on', async (t) => {
  const { on, off } = await sealing(t)
  assert.deepEqual([on.isOn, off.isOn], [true, false])
  const sealed = await on.seal(payload(1, '<x/>'))
  assert.equal(text(await off.seal(payload(1, '<y/>'))), '<y/>')
  assert.equal(text(await off.open({ ...payload(1, ''), payload: sealed })), '<x/>')
  const opened = await on.openAll([payload(1, '<old/>'), { ...payload(1, ''), payload: sealed }, payload(9, '<z/>')])
  assert.deepEqual(
    opened.map((one) => (one instanceof SealError ? one.fault : text(one))),
    ['<old/>', '<x/>', '<z/>'],
  )
})

test('without a key file nothing is sealed, and what is sealed says so', async (t) => {
  const { on, absent } = await sealing(t)
  assert.equal(absent.isOn, false)
  const sealed = await on.seal(payload(1, '<x/>'))
  assert.equal(text(await absent.seal(payload(1, '<y/>'))), '<y/>')
  await assert.rejects(absent.open({ ...payload(1, ''), payload: sealed }), failing('no-key-file'))
})

test('with the key row gone, what it sealed is gone, and nothing else', async (t) => {
  const { store, on, off } = await sealing(t)
  const [one, two] = await on.sealAll([payload(1, '<x/>'), payload(2, '<y/>')])
  assert.ok(one && two)
  store.rows.delete(1)
  const opened = await off.openAll([
    { ...payload(1, ''), payload: one },
    { ...payload(2, ''), payload: two },
    { ...payload(2, ''), payload: two.subarray(0, 20) },
  ])
  assert.deepEqual(
    opened.map((o) => (o instanceof SealError ? o.fault : text(o))),
    ['no-key', '<y/>', 'damaged'],
  )
})

test('each of many has a nonce of its own', async (t) => {
  const { on } = await sealing(t)
  const sealed = await on.sealAll(Array.from({ length: 300 }, () => payload(1, '<x/>')))
  assert.equal(new Set(sealed.map((one) => Buffer.from(one.subarray(1, 13)).toString('hex'))).size, 300)
})

test('account and place are bound in, as what is stored already has them', async (t) => {
  const store = new MemoryDataKeyStore()
  const keys = new DataKeys(store, await new KeyFile(t).open())
  const sealed = await new PayloadSeal(keys, true).seal(payload(12, '<x/>', 'entry'))
  const key = (await keys.find([12])).get(12)
  assert.ok(key)
  assert.deepEqual(unseal(key, sealed, 'fernruf payload\n12\nentry'), Buffer.from('<x/>'))
})
