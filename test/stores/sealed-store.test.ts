import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { pino } from 'pino'
import { DataKeyError } from '../../src/account/data-keys.ts'
import { SealError } from '../../src/account/payload-seal.ts'
import { GroupCommit } from '../../src/inbox/group-commit.ts'
import type { InboxStore, NewEntry, StoredEntry } from '../../src/inbox/store.ts'
import { openStores, type Stores } from '../../src/storage/open.ts'
import { StoreError } from '../../src/storage/sql.ts'
import { isSealed } from '../../src/util/seal.ts'
import { bury } from '../helpers/archive-samples.ts'
import { KeyFile, keyLine } from '../helpers/operator-keys.ts'
import { type SealedStores, sealedStores } from '../helpers/sealed-stores.ts'
import { batch, bytes, createAccount, entry, jid, openOf, takesOf, text } from '../helpers/store-samples.ts'
import { type TestStores, withPostgres, withStores } from '../helpers/test-database.ts'

const SECRET = 'Deny thy father and refuse thy name'
const CLEAR = 'written before it was switched on'
const PEER = 'romeo@montague.example/orchard'
const ALL = { edge: 'first', entries: 100, bytes: 2 ** 30 } as const

/** The text as it stands in a file, or as hex in a dump. */
const holds = (dump: Buffer, body: string): boolean =>
  dump.includes(body) || dump.includes(Buffer.from(body).toString('hex'))

/** Messages in clear, sealed, archived, taken and replaced; then what is left of them. */
async function story(plain: Stores, sealed: SealedStores): Promise<void> {
  const { id } = await createAccount(plain, 'alice@example.org')
  await plain.inbox.commit(batch([entry(id, CLEAR, { peer: PEER })]))
  const [waits, archived, taken] = await sealed.inbox.commit(
    batch([
      entry(id, `${SECRET} 1`, { peer: PEER }),
      entry(id, `${SECRET} 2`, { peer: PEER, archived: true, wanted: false, direction: 'sent' }),
      entry(id, `${SECRET} 3`, { peer: PEER }),
    ]),
  )
  assert.ok(waits && archived && taken)
  await sealed.inbox.commit(batch([], [takesOf(id, [taken.id])]))
  await bury(sealed, id, archived.id, bytes(`${SECRET} 4`))
  assert.deepEqual(
    (await openOf(sealed.inbox, id)).map(([, body]) => body),
    [CLEAR, `${SECRET} 1`],
  )
  const page = await sealed.archive.page(id, {}, ALL)
  assert.deepEqual(
    page.entries.map(({ payload }) => text(payload)),
    [`${SECRET} 4`],
  )
}
function checkDump(dump: Buffer): void {
  assert.ok(holds(dump, CLEAR), 'a search that finds')
  assert.ok(holds(dump, PEER), 'who is in clear')
  assert.ok(!holds(dump, SECRET), 'what is not')
}

test('the files of the embedded store hold no text of a sealed message', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'fernruf-sealed-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const stores = await openStores({ databaseUrl: undefined, dataDir: folder })
  t.after(() => stores.close())
  await stores.migrate()
  await story(stores, await sealedStores(stores, new KeyFile(t)))
  const files = readdirSync(folder)
  assert.ok(files.includes('fernruf.db-wal'))
  checkDump(Buffer.concat(files.map((file) => readFileSync(join(folder, file)))))
  await stores.close()
  checkDump(readFileSync(join(folder, 'fernruf.db')))
})

withPostgres('a dump holds no text of a sealed message', async (databaseUrl, t) => {
  const stores = await openStores({ databaseUrl, dataDir: '' })
  t.after(() => stores.close())
  await story(stores, await sealedStores(stores, new KeyFile(t)))
  const rows = await stores.database.query('select * from entry')
  checkDump(
    Buffer.concat(
      rows.flatMap((row) => Object.values(row).map((v) => Buffer.from(v instanceof Uint8Array ? v : String(v)))),
    ),
  )
  try {
    checkDump(execFileSync('pg_dump', ['--inserts', databaseUrl], { stdio: ['ignore', 'pipe', 'ignore'] }))
  } catch (error) {
    // Without the program, or with one of an older version, the rows have to do.
    if (error instanceof assert.AssertionError) throw error
    t.diagnostic('pg_dump could not be used')
  }
})

/** Sealed through the store as a node has it; `plain` is the same without. */
const withSealed = (
  name: string,
  work: (
    sealed: SealedStores,
    plain: TestStores,
    more: { readonly file: KeyFile; node(): Promise<SealedStores> },
  ) => Promise<void>,
): void =>
  withStores(name, async (plain, t) => {
    const file = new KeyFile(t)
    await work(await sealedStores(plain, file), plain, {
      file,
      node: async () => sealedStores(await plain.second(), file),
    })
  })

const payloadOf = async ({ database }: Stores, id: number): Promise<Buffer> => {
  const [row] = await database.query<{ payload: Uint8Array }>('select payload from entry where id = $1', [id])
  assert.ok(row)
  return Buffer.from(row.payload)
}
const bodiesOf = (entries: readonly StoredEntry[]): readonly string[] => entries.map(({ payload }) => text(payload))

withSealed('what was changed, cut or moved is refused, told, and keeps nothing else', async (sealed, plain) => {
  const { inbox, database } = sealed
  const alice = (await createAccount(plain, 'alice@example.org')).id
  const bob = (await createAccount(plain, 'bob@example.org')).id
  const texts = ['0', 'changed', '2', 'cut', '4', 'of bob', 'of another peer', '7', 'of another time', 'sent', '10']
  const places = await inbox.commit(
    batch([
      ...texts.map((body, i) => entry(alice, body, { peer: PEER, archived: true, at: 1000 + i })),
      entry(bob, 'for bob', { peer: PEER, at: 1005 }),
      entry(alice, 'from mallory', { peer: 'mallory@example.org/x', at: 1006 }),
      entry(alice, 'earlier', { peer: PEER, at: 1 }),
      entry(alice, 'mine', { peer: PEER, at: 1009, direction: 'sent', archived: true, wanted: false }),
    ]),
  )
  const ids = places.map(({ id }) => id)
  const write = (at: number, payload: Uint8Array) =>
    database.query('update entry set payload = $2 where id = $1 and account_id = $3', [ids[at] ?? 0, payload, alice])
  const changed = await payloadOf(plain, ids[1] ?? 0)
  changed[20] = (changed[20] ?? 0) ^ 1
  await write(1, changed)
  await write(3, (await payloadOf(plain, ids[3] ?? 0)).subarray(0, 30))
  const [ofBob] = await database.query<{ payload: Uint8Array }>('select payload from entry where account_id = $1', [
    bob,
  ])
  await write(5, ofBob?.payload ?? bytes(''))
  for (const [at, from] of [
    [6, 12],
    [8, 13],
    [9, 14],
  ] as const)
    await write(at, await payloadOf(plain, ids[from] ?? 0))

  const { entries } = await inbox.read(alice, 0, 0, 11)
  assert.deepEqual(bodiesOf(entries), ['0', '', '2', '', '4', '', '', '7', '', '', '10'])
  const told = sealed.logged.map(({ msg, accountId, id, level }) => ({ msg, accountId, id, level }))
  const faulty = [1, 3, 5, 6, 8, 9].map((at) => ids[at])
  const msg = 'sealed entry cannot be opened'
  assert.deepEqual(
    told,
    faulty.map((id) => ({ msg, accountId: alice, id, level: 50 })),
  )
  assert.ok(!JSON.stringify(sealed.logged).includes(SECRET) && !JSON.stringify(sealed.logged).includes('alice'))
  const page = await sealed.archive.page(alice, { before: (ids[10] ?? 0) + 1 }, ALL)
  assert.deepEqual(
    page.entries.map(({ payload }) => text(payload)),
    bodiesOf(entries),
    'the archive the same, each in its place',
  )
  assert.deepEqual(bodiesOf((await inbox.read(bob, 0, 0, 10)).entries), ['for bob'])
})

withSealed('the archive looks for a message among those that can be opened', async (sealed, plain) => {
  const { id } = await createAccount(plain, 'alice@example.org')
  const other = { peer: PEER, archived: true, wanted: false }
  const [one, two] = await sealed.inbox.commit(batch([entry(id, 'one', other), entry(id, 'two', other)]))
  assert.ok(one && two)
  await sealed.database.query('update entry set payload = $2 where id = $1', [
    two.id,
    (await payloadOf(plain, two.id)).fill(0, 14),
  ])
  const found = await sealed.archive.candidates(
    id,
    jid('romeo@montague.example'),
    'received',
    'm1',
    Number.MAX_SAFE_INTEGER,
  )
  assert.deepEqual(
    found.map((e) => [e.id, text(e.payload)]),
    [[one.id, 'one']],
  )
  await bury(sealed, id, 5, bytes('x'))
  await bury(sealed, id, one.id, bytes('tombstone'))
  assert.ok(isSealed(await payloadOf(plain, one.id)))
  const [first] = (await sealed.archive.page(id, {}, ALL)).entries
  assert.equal(text(first?.payload ?? bytes('')), 'tombstone')
})

withSealed('only what is stored is sealed, and only where it is switched on', async (sealed, plain, { file }) => {
  const { id } = await createAccount(plain, 'alice@example.org')
  await sealed.inbox.commit(batch([entry(id, 'not kept', { wanted: false })]))
  assert.deepEqual(await plain.dataKeys.find([id]), [], 'no key without need')
  await sealed.inbox.commit(batch([entry(id, 'not kept', { wanted: false }), entry(id, '1')]))
  const off = await sealedStores(plain, file, false)
  await off.inbox.commit(batch([entry(id, '2')]))
  await sealed.inbox.commit(batch([entry(id, '3')]))
  const rows = await plain.database.query<{ payload: Uint8Array }>('select payload from entry order by id')
  assert.deepEqual(
    rows.map(({ payload }) => isSealed(payload)),
    [true, false, true],
  )
  for (const { inbox } of [sealed, off])
    assert.deepEqual(
      (await openOf(inbox, id)).map(([, body]) => body),
      ['1', '2', '3'],
    )
})

withSealed('nodes that meet an account for the first time agree on its key', async (sealed, plain, { node }) => {
  const accounts: number[] = []
  for (let i = 0; i < 20; i++) accounts.push((await createAccount(plain, `a${i}@example.org`)).id)
  const nodes = [sealed, await node(), await node()]
  await Promise.all(
    nodes.map(({ inbox }, n) =>
      inbox.commit(batch((n % 2 === 0 ? accounts : accounts.toReversed()).map((account) => entry(account, `by ${n}`)))),
    ),
  )
  const reader = await node()
  for (const account of accounts) {
    const found = (await openOf(reader.inbox, account)).map(([, body]) => body)
    assert.deepEqual(found.toSorted(), ['by 0', 'by 1', 'by 2'])
  }
})

withSealed('with the account its key is destroyed', async (sealed, plain) => {
  const alice = (await createAccount(plain, 'alice@example.org')).id
  const bob = (await createAccount(plain, 'bob@example.org')).id
  await sealed.inbox.commit(batch([entry(alice, SECRET), entry(bob, 'for bob')]))
  assert.equal((await plain.dataKeys.find([alice, bob])).length, 2)
  await plain.accounts.remove(alice)
  assert.deepEqual(
    (await plain.dataKeys.find([alice, bob])).map(({ account }) => account),
    [bob],
  )
  assert.deepEqual(
    (await openOf(sealed.inbox, bob)).map(([, body]) => body),
    ['for bob'],
  )
  const refused = (error: unknown) => error instanceof StoreError && error.fault === 'refused'
  await assert.rejects(sealed.inbox.commit(batch([entry(alice, 'late')])), refused, 'its key is still in memory')
})

test('of a destroyed key nothing stays in the file of the embedded store', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'fernruf-sealed-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const stores = await openStores({ databaseUrl: undefined, dataDir: folder })
  await stores.migrate()
  const sealed = await sealedStores(stores, new KeyFile(t))
  const accounts: number[] = []
  for (let i = 0; i < 200; i++) accounts.push((await createAccount(stores, `a${i}@example.org`)).id)
  await sealed.inbox.commit(batch(accounts.map((account) => entry(account, SECRET))))
  const keys = (await stores.dataKeys.find(accounts)).map(({ wrapped }) => Buffer.from(wrapped))
  for (const account of accounts.slice(1)) await stores.accounts.remove(account)
  await stores.close()
  const file = readFileSync(join(folder, 'fernruf.db'))
  assert.equal(keys.filter((key) => file.includes(key.subarray(13))).length, 1)
})

/** The guilty entry of a group is found, and the others are kept. */
const committed = (inbox: InboxStore, entries: readonly NewEntry[]): Promise<readonly string[]> =>
  new Promise((resolve) => {
    const told: string[] = []
    const tell = (what: string) => {
      told.push(what)
      if (told.length === entries.length) resolve(told.toSorted())
    }
    const isUnavailable = (error: unknown) => error instanceof StoreError && error.fault === 'unavailable'
    const commit = new GroupCommit(inbox, isUnavailable, pino({ level: 'silent' }))
    for (const one of entries)
      commit.add({
        entries: [one],
        bytes: one.payload.length,
        floor: () => 0,
        kept: () => tell(`${text(one.payload)} kept`),
        refused: (error) => tell(`${text(one.payload)} ${error instanceof DataKeyError ? error.fault : String(error)}`),
      })
  })

withSealed('an account whose key cannot be had keeps nobody else’s messages', async (_, plain, { file, node }) => {
  const alice = (await createAccount(plain, 'alice@example.org')).id
  const bob = (await createAccount(plain, 'bob@example.org')).id
  const carol = (await createAccount(plain, 'carol@example.org')).id
  const first = await node()
  await first.inbox.commit(batch([entry(alice, '0'), entry(bob, '0')]))
  const [stored] = await plain.dataKeys.find([bob])
  assert.ok(stored)
  await plain.database.query('update data_key set wrapped = $2 where account_id = $1', [alice, stored.wrapped])
  const second = await node()
  const entries = [entry(carol, 'c'), entry(alice, 'a'), entry(bob, 'b')]
  assert.deepEqual(await committed(second.inbox, entries), ['a damaged', 'b kept', 'c kept'])
  await assert.rejects(second.inbox.read(alice, 0, undefined, 10), DataKeyError)

  file.write([keyLine()])
  const lost = await node()
  const again = [entry(carol, 'c'), entry(bob, 'b'), entry((await createAccount(plain, 'd@example.org')).id, 'd')]
  assert.deepEqual(await committed(lost.inbox, again), ['b unknown-operator-key', 'c unknown-operator-key', 'd kept'])
})

withSealed('a rotation while messages flow loses none', async (sealed, plain, { file, node }) => {
  const accounts: number[] = []
  for (let i = 0; i < 12; i++) accounts.push((await createAccount(plain, `a${i}@example.org`)).id)
  const [first = ''] = [file.lines[0]]
  const second = keyLine()
  const nodes = [sealed, await node()]
  let isRotating = true
  const written = new Map<number, string[]>(accounts.map((account) => [account, []]))
  const flow = nodes.map(async ({ inbox }, n) => {
    for (let i = 0; i < 40 || isRotating; i++) {
      // One more account with each batch, so that keys are made meanwhile too.
      const some = accounts.filter((_, a) => a <= i)
      await inbox.commit(batch(some.map((account) => entry(account, `${n}.${i}`))))
      for (const account of some) written.get(account)?.push(`${n}.${i}`)
      if (i === 5 && n === 0) file.write([second, first])
      if (i === 10) await nodes[n]?.keys.reload()
    }
  })
  const rotation = async () => {
    // Until every node knows the new line, keys are still made under the old one.
    try {
      for (let settled = 0; settled < 2; ) {
        const { rewrapped, left, operatorKey } = await sealed.keys.rewrap(0)
        const isNew = operatorKey !== oldId
        // The other node may know the new line before this one looks at the file.
        if (isNew) assert.equal(left, 0)
        settled = isNew && rewrapped === 0 && (written.get(accounts.at(-1) ?? 0)?.length ?? 0) > 0 ? settled + 1 : 0
      }
    } finally {
      isRotating = false
    }
  }
  const oldId = (await file.open()).current.id
  await Promise.all([...flow, rotation()])
  file.write([second])
  const reader = await node()
  for (const account of accounts) {
    const found = (await openOf(reader.inbox, account)).map(([, body]) => body)
    assert.deepEqual(found.toSorted(), written.get(account)?.toSorted())
  }
})

withSealed('private XML is sealed under its name, which stays in clear', async (sealed, plain) => {
  const alice = (await createAccount(plain, 'alice@example.org')).id
  const quota = { elements: 10, bytes: 10_000 }
  const one = { ns: 'urn:a', name: 'x', payload: bytes(SECRET) }
  const two = { ns: 'urn:b', name: 'x', payload: bytes('<x xmlns="urn:b"/>') }
  assert.equal(await sealed.privateXml.put(alice, [one, { ...two, payload: bytes('') }, two], quota), 'kept')
  assert.equal(text((await sealed.privateXml.find(alice, 'urn:a', 'x')) ?? bytes('')), SECRET)
  const stored = await plain.privateXml.find(alice, 'urn:a', 'x')
  assert.ok(stored && isSealed(stored) && !holds(Buffer.from(stored), SECRET))
  assert.equal(await sealed.privateXml.find(alice, 'urn:c', 'x'), undefined)
  await plain.privateXml.put(alice, [{ ...two, payload: stored }], quota)
  await assert.rejects(sealed.privateXml.find(alice, 'urn:b', 'x'), SealError, 'moved')
  await sealed.privateXml.put(alice, [{ ...one, payload: bytes('') }], quota)
  assert.equal(await plain.privateXml.find(alice, 'urn:a', 'x'), undefined)
})
