import assert from 'node:assert/strict'
import type { Delivery } from '../../src/account/store.ts'
import { POLICIES } from '../../src/inbox/policy.ts'
import { Waiting } from '../../src/inbox/waiting.ts'
import { batch, createAccount, entry, idsOf, takesOf } from '../helpers/store-samples.ts'
import { withStores } from '../helpers/test-database.ts'

withStores('tells which devices have something to take, by the policy', async (stores) => {
  const account = await createAccount(stores, 'romeo@example.org')
  let policy: Delivery = 'first-come'
  const flushed: number[] = []
  const waiting = new Waiting({
    store: stores.inbox,
    flushed: async (id) => void flushed.push(id),
    policyOf: () => POLICIES[policy],
  })
  const behind = async (): Promise<string> => {
    const { isShared, devices } = await waiting.toTake(account, ['phone', 'laptop', 'new'])
    assert.equal(isShared, policy !== 'every-device')
    return [...devices].join()
  }
  assert.equal(await behind(), '')
  const [first = 0, second = 0] = idsOf(
    await stores.inbox.commit(batch([entry(account.id, 'a'), entry(account.id, 'b')])),
  )
  assert.equal(await behind(), 'phone,laptop,new', 'whoever comes first')
  policy = 'every-device'
  await stores.inbox.saveDevices(
    [
      { account: account.id, device: 'phone', cursor: first },
      { account: account.id, device: 'laptop', cursor: second },
    ],
    16,
  )
  assert.equal(await behind(), 'phone,new', 'a new device has what nobody has taken')
  await stores.inbox.commit(batch([], [takesOf(account.id, [first, second], true)]))
  assert.equal(await behind(), 'phone', 'its sibling cannot take it in its place')
  policy = 'exclusive'
  assert.equal(await behind(), '')
  assert.ok(flushed.length > 0 && flushed.every((id) => id === account.id))
})
