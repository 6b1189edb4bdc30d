import assert from 'node:assert/strict'
import { bytes, createAccount, text } from '../helpers/store-samples.ts'
import { type TestStores, withStores } from '../helpers/test-database.ts'

const WIDE = { elements: 100, bytes: 1_000_000 }
const element = (ns: string, name: string, payload: string) => ({ ns, name, payload: bytes(payload) })
const found = async (stores: TestStores, account: number, ns: string, name: string) => {
  const payload = await stores.privateXml.find(account, ns, name)
  return payload && text(payload)
}

withStores('elements of an account, by name and namespace', async (stores) => {
  const alice = (await createAccount(stores, 'alice@example.org')).id
  const bob = (await createAccount(stores, 'bob@example.org')).id
  const odd = `'; drop table private_xml; -- %_\\`
  const elements = [element('urn:a', 'x', '<1/>'), element('urn:a', 'y', '<2/>'), element(odd, 'x', 'é🌹')]
  assert.equal(await stores.privateXml.put(alice, elements, WIDE), 'kept')
  assert.equal(await found(stores, alice, 'urn:a', 'x'), '<1/>')
  assert.equal(await found(stores, alice, 'urn:a', 'y'), '<2/>')
  assert.equal(await found(stores, alice, odd, 'x'), 'é🌹')
  for (const [account, ns, name] of [
    [bob, 'urn:a', 'x'],
    [alice, 'urn:a', 'X'],
    [alice, 'urn:b', 'x'],
    [alice, '%', '%'],
  ] as const)
    assert.equal(await stores.privateXml.find(account, ns, name), undefined)
  await stores.privateXml.put(alice, [element('urn:a', 'x', '<3/>'), element('urn:a', 'y', '')], WIDE)
  assert.equal(await found(stores, alice, 'urn:a', 'x'), '<3/>')
  assert.equal(await stores.privateXml.find(alice, 'urn:a', 'y'), undefined)
  assert.equal(await stores.privateXml.put(bob + 1, elements, WIDE), 'no-account')
})

withStores('no more elements and bytes than that, all of a request or nothing', async (stores) => {
  const { id } = await createAccount(stores, 'alice@example.org')
  const two = { elements: 2, bytes: 1_000 }
  assert.equal(await stores.privateXml.put(id, [element('a', 'x', '1'), element('b', 'x', '2')], two), 'kept')
  assert.equal(await stores.privateXml.put(id, [element('a', 'x', '3'), element('c', 'x', '4')], two), 'full')
  assert.equal(await found(stores, id, 'a', 'x'), '1')
  assert.equal(await stores.privateXml.put(id, [element('a', 'x', ''), element('c', 'x', '4')], two), 'kept')
  // 2 × (1 byte of content, of namespace and of name).
  const six = { elements: 9, bytes: 6 }
  assert.equal(await stores.privateXml.put(id, [element('b', 'x', 'é')], six), 'full')
  assert.equal(await stores.privateXml.put(id, [element('b', 'x', 'e')], six), 'kept')
  assert.equal(await stores.privateXml.put(id, [element('b', 'x', 'ee')], six), 'full')
})

withStores('the quota holds whoever writes at the same time', async (stores) => {
  const { id } = await createAccount(stores, 'alice@example.org')
  const other = await stores.second()
  // All connections are there, so that the writers really meet.
  await Promise.all(Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? stores : other).privateXml.find(id, 'n', 'x')))
  const outcomes = await Promise.all(
    Array.from({ length: 40 }, (_, i) =>
      (i % 2 === 0 ? stores : other).privateXml.put(id, [element(`n${i}`, 'x', '1')], { elements: 4, bytes: 1_000 }),
    ),
  )
  assert.equal(outcomes.filter((o) => o === 'kept').length, 4)
})

withStores('the card of an account, replaced, taken away', async (stores) => {
  const { id } = await createAccount(stores, 'alice@example.org')
  const card = async () => {
    const payload = await stores.vcards.find(id)
    return payload && text(payload)
  }
  assert.equal(await card(), undefined)
  await stores.vcards.put(id, bytes('one'))
  await stores.vcards.put(id, bytes('two'))
  assert.equal(await card(), 'two')
  await stores.vcards.put(id, undefined)
  assert.equal(await card(), undefined)
  await stores.vcards.put(id + 1, bytes('nobody’s'))
  assert.equal(await stores.vcards.find(id + 1), undefined)
})

withStores('elements and card go with the account', async (stores) => {
  const { id } = await createAccount(stores, 'alice@example.org')
  await stores.privateXml.put(id, [element('urn:a', 'x', '<1/>')], WIDE)
  await stores.vcards.put(id, bytes('one'))
  await stores.accounts.remove(id)
  for (const table of ['private_xml', 'vcard']) {
    const [row] = await stores.database.query<{ rows: number }>(`select count(*) as rows from ${table}`)
    assert.equal(row?.rows, 0, table)
  }
})
