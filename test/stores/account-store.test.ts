import assert from 'node:assert/strict'
import { StoreError } from '../../src/storage/sql.ts'
import { createAccount, EXAMPLE, jid, secrets } from '../helpers/store-samples.ts'
import { withStores } from '../helpers/test-database.ts'

withStores(
  'an account is found with everything it was made with',
  async ({ accounts }) => {
    const made = await accounts.create({
      jid: jid('alice@example.org'),
      isNumber: true,
      fingerprint: 'A'.repeat(40),
      secrets: [secrets('SCRAM-SHA-1'), secrets('SCRAM-SHA-256', 'other')],
    })
    assert.deepEqual(made, {
      id: made?.id,
      jid: 'alice@example.org',
      isNumber: true,
      createdAt: 1_800_000_000_000,
      disabledAt: undefined,
      delivery: undefined,
      fingerprint: 'A'.repeat(40),
      epoch: 0,
    })
    assert.deepEqual(await accounts.find(jid('alice@example.org')), made)
    assert.deepEqual(await accounts.credential(jid('alice@example.org'), 'SCRAM-SHA-256'), {
      account: made,
      secrets: secrets('SCRAM-SHA-256', 'other'),
    })
    assert.deepEqual(await accounts.credential(jid('alice@example.org'), 'SCRAM-SHA-512'), {
      account: made,
      secrets: undefined,
    })
  },
  { now: () => 1_800_000_000_000 },
)

withStores('a name is given once, also when many ask at the same time', async (stores) => {
  const other = await stores.second()
  const wanted = {
    jid: jid('alice@example.org'),
    isNumber: false,
    fingerprint: undefined,
    secrets: [secrets('SCRAM-SHA-1')],
  }
  const made = await Promise.all([stores, other, stores, other].map(({ accounts }) => accounts.create(wanted)))
  assert.equal(made.filter((account) => account !== undefined).length, 1)
  assert.equal(await stores.accounts.create(wanted), undefined)
})

withStores('nobody is nobody', async ({ accounts }) => {
  assert.equal(await accounts.find(jid('nobody@example.org')), undefined)
  assert.equal(await accounts.credential(jid('nobody@example.org'), 'SCRAM-SHA-1'), undefined)
})

withStores('secrets are replaced as a whole', async (stores) => {
  const { accounts } = stores
  const { id, jid: address } = await createAccount(stores, 'alice@example.org')
  await accounts.setSecrets(id, [secrets('SCRAM-SHA-1'), secrets('SCRAM-SHA-256')])
  await accounts.setSecrets(id, [secrets('SCRAM-SHA-512', 'new')])
  assert.equal((await accounts.credential(address, 'SCRAM-SHA-1'))?.secrets, undefined)
  assert.deepEqual((await accounts.credential(address, 'SCRAM-SHA-512'))?.secrets, secrets('SCRAM-SHA-512', 'new'))
  await accounts.setSecrets(id, [])
  assert.equal((await accounts.credential(address, 'SCRAM-SHA-512'))?.secrets, undefined)
})

withStores('an account is disabled and enabled, and its key recorded', async (stores) => {
  const { accounts } = stores
  const { id, jid: address } = await createAccount(stores, 'alice@example.org')
  await accounts.setDisabled(id, 42)
  await accounts.setFingerprint(id, 'B'.repeat(40))
  const found = await accounts.find(address)
  assert.equal(found?.disabledAt, 42)
  assert.equal(found?.fingerprint, 'B'.repeat(40))
  await accounts.setDisabled(id, undefined)
  assert.equal((await accounts.find(address))?.disabledAt, undefined)
})

withStores('a domain is listed page by page', async (stores) => {
  for (const name of ['carol', 'alice', 'bob', 'ünal']) await createAccount(stores, `${name}@example.org`)
  await createAccount(stores, 'dave@example.net')
  const first = await stores.accounts.list(EXAMPLE, '', 2)
  assert.deepEqual(
    first.map((account) => account.jid),
    ['alice@example.org', 'bob@example.org'],
  )
  const second = await stores.accounts.list(EXAMPLE, first.at(-1)?.jid ?? '', 10)
  assert.deepEqual(
    second.map((account) => account.jid),
    ['carol@example.org', 'ünal@example.org'],
  )
})

withStores('an account that goes takes everything along, and its id does not come again', async (stores) => {
  const { accounts, rosters, inbox, database } = stores
  const { id } = await createAccount(stores, 'alice@example.org')
  await accounts.setSecrets(id, [secrets('SCRAM-SHA-1')])
  const friend = {
    contact: jid('bob@example.org'),
    name: undefined,
    groups: [],
    subscription: 'both' as const,
    pendingOut: false,
    pendingIn: undefined,
    approved: false,
    listed: true,
    version: 0,
  }
  await rosters.change(id, friend.contact, () => friend, 10)
  await inbox.commit({
    id: new Uint8Array(16),
    entries: [
      {
        account: id,
        direction: 'received',
        archived: true,
        wanted: true,
        peer: 'bob@example.org/x',
        payload: new Uint8Array(3),
        messageId: undefined,
        at: 1,
        stream: undefined,
        number: 0,
        floor: 0,
      },
    ],
    takes: [],
  })
  await accounts.remove(id)
  while (await inbox.clear());
  for (const table of ['account', 'credential', 'roster', 'roster_item', 'log', 'entry']) {
    const [row] = await database.query<{ rows: number }>(`select count(*) as rows from ${table}`)
    assert.equal(row?.rows, 0, table)
  }
  assert.notEqual((await createAccount(stores, 'alice@example.org')).id, id)
})

withStores('a bad value is refused, not tried again', async (stores) => {
  const { id } = await createAccount(stores, 'alice@example.org')
  await assert.rejects(
    stores.accounts.setFingerprint(id, 'too short'),
    (error) => error instanceof StoreError && error.fault === 'refused',
  )
  await assert.rejects(
    createAccount(stores, `${'x'.repeat(3000)}@example.org`),
    (error) => error instanceof StoreError && error.fault === 'refused',
  )
  assert.equal((await stores.accounts.find(jid('alice@example.org')))?.fingerprint, undefined)
})
