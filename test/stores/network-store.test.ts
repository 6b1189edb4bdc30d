import assert from 'node:assert/strict'
import type { Domain } from '../../src/xmpp/jid.ts'
import { withStores } from '../helpers/test-database.ts'

const A = 'A'.repeat(40)
const B = 'B'.repeat(40)

withStores('servers are added, given another key, and removed, up to a number of them', async ({ network }) => {
  const [one, two, three] = ['one.example', 'Two', 'three.example'].map((name) => name as Domain) as [
    Domain,
    Domain,
    Domain,
  ]
  assert.deepEqual(await network.list(), [])
  assert.equal(await network.put({ domain: one, fingerprint: A }, 1, 2), true)
  assert.equal(await network.put({ domain: two, fingerprint: A }, 2, 2), true)
  assert.equal(await network.put({ domain: three, fingerprint: A }, 3, 2), false)
  assert.equal(await network.put({ domain: one, fingerprint: B }, 4, 2), true, 'it is listed already')
  assert.deepEqual(
    (await network.list()).map((server) => ({ ...server })),
    [
      { domain: two, fingerprint: A },
      { domain: one, fingerprint: B },
    ],
  )
  assert.equal(await network.remove(two), true)
  assert.equal(await network.remove(two), false)
  assert.equal((await network.list()).length, 1)
})
