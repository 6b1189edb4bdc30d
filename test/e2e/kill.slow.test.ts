import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type TestContext, test } from 'node:test'
import { Client } from 'pg'
import { Receiver, Sender } from '../helpers/kill-devices.ts'
import { Ledger } from '../helpers/kill-ledger.ts'
import { Random } from '../helpers/random.ts'
import { register } from '../helpers/register.ts'
import { ServerProcess } from '../helpers/server-process.ts'
import { withPostgres } from '../helpers/test-database.ts'

const KILLS = Number(process.env.FERNRUF_TEST_KILLS ?? 40)
const MESSAGES = Number(process.env.FERNRUF_TEST_KILL_MESSAGES ?? 10_000)
const SEED = Number(process.env.FERNRUF_TEST_SEED ?? 20_261_123)
const PASSWORD = 'kill password'
const TIMEOUT_MS = 300_000

/** Open entries of all accounts: message id and id in the log. */
type Snapshot = () => Promise<readonly { readonly payload: Uint8Array; readonly id: number }[]>

test('no acknowledged message is lost or doubled when the server is killed at any moment (sqlite)', {
  timeout: TIMEOUT_MS,
}, async (t) => {
  const server = await ServerProcess.prepare({ config: CONFIG })
  t.after(() => server.remove())
  await survives(t, server, async () => {
    const database = new DatabaseSync(join(server.folder, 'data/fernruf.db'))
    try {
      const rows = database.prepare('select id, payload from entry where wanted = 1').all()
      return rows.map((row) => ({ id: Number(row.id), payload: row.payload as Uint8Array }))
    } finally {
      database.close()
    }
  })
})

withPostgres(
  'no acknowledged message is lost or doubled when the server is killed at any moment',
  async (databaseUrl, t) => {
    const server = await ServerProcess.prepare({ databaseUrl, config: CONFIG })
    t.after(() => server.remove())
    await survives(t, server, async () => {
      const client = new Client({ connectionString: databaseUrl })
      await client.connect()
      try {
        const { rows } = await client.query<{ id: string; payload: Buffer }>(
          'select id, payload from entry where wanted = 1',
        )
        return rows.map((row) => ({ id: Number(row.id), payload: row.payload }))
      } finally {
        await client.end()
      }
    })
  },
)

/** All devices are one address here, and the quota of what may wait is not what is tested. */
const CONFIG = {
  limits: {
    inbox: { open_entries: 100_000, open_bytes: '100MiB' },
    registration: { accounts: { hour: 100_000, day: 100_000 } },
  },
  log: { level: 'warn' },
}

async function survives(t: TestContext, server: ServerProcess, snapshot: Snapshot): Promise<void> {
  const random = new Random(SEED)
  const ledger = new Ledger()
  await server.start()
  const settings = { port: server.directTlsPort, domain: server.domain, directTls: true }
  const names = { senders: ['anna', 'bert', 'carl', 'dora'], online: ['emil', 'fritz'], offline: ['gerda', 'hans'] }
  for (const name of Object.values(names).flat()) await register(settings, name, PASSWORD)
  const device = (name: string) => ({ settings, name, password: PASSWORD, ledger })
  const receivers = [...names.online, ...names.offline]
  const senders = names.senders.map((name) => new Sender(device(name), receivers))
  const online = names.online.map((name) => new Receiver(device(name)))
  const offline = names.offline.map((name) => new Receiver(device(name)))

  let kills = 0
  let killed = false
  /** A device's life may end with the server's, in whatever way, and in no other. */
  const untilKilled = async (life: Promise<void>): Promise<void> => {
    try {
      await life
    } catch (error) {
      if (!killed) throw error
    }
    if (!killed) throw new Error('a device was disconnected by a server that lives')
  }
  while (kills < KILLS || ledger.acknowledged < MESSAGES) {
    if (kills > KILLS * 3) throw new Error(`only ${ledger.acknowledged} messages after ${kills} kills`)
    killed = false
    // One start in ten is killed while it is under way.
    if (kills > 0 && random.chance(0.1)) {
      const starting = server.start().then(
        () => true,
        () => false,
      )
      await elapsed(random.between(0, 400))
      await server.end('SIGKILL')
      await starting
      kills++
    }
    if (kills > 0) await server.start()
    const visitors = offline.filter(() => random.chance(0.25))
    const lives = [
      ...senders.map((s) => s.lives(() => true)),
      ...online.map((r) => r.lives()),
      ...visitors.map((r) => r.lives()),
    ].map(untilKilled)
    const left = Math.max(1, KILLS - kills)
    const share = Math.ceil(Math.max(MESSAGES - ledger.acknowledged, 1) / left)
    const goal = ledger.acknowledged + random.between(0, share * 2)
    await Promise.race([ledger.until(() => ledger.acknowledged >= goal, 60_000, `life ${kills}`), Promise.all(lives)])
    // Not always right after an acknowledgement.
    await elapsed(random.between(0, 15))
    killed = true
    await server.end('SIGKILL')
    kills++
    await Promise.all(lives)
    for (const entry of await snapshot()) {
      const id = /^<message[^>]* id=['"]([^'"]+)['"]/.exec(Buffer.from(entry.payload).toString())?.[1]
      if (id !== undefined) ledger.isStored(id, entry.id)
    }
    assert.deepEqual(ledger.faults.slice(0, 10), [], `seed ${SEED}, after ${kills} kills`)
  }

  killed = false
  await server.start()
  const drained = Promise.withResolvers<void>()
  const last = [...online, ...offline].map((r) => r.lives(drained.promise))
  await Promise.all(senders.map((s) => s.lives(() => false)))
  await ledger
    .until(() => ledger.lost.length === 0, 30_000, 'the last messages')
    .catch((error: unknown) => t.diagnostic(String(error)))
  drained.resolve()
  await Promise.all(last)
  t.diagnostic(
    `seed ${SEED}: ${kills} kills, ${ledger.sent} messages sent, ${ledger.acknowledged} acknowledged, ${ledger.resent} sent again by clients, ${ledger.again} came again under their id, ${ledger.lost.length} lost`,
  )
  assert.deepEqual(ledger.lost.slice(0, 10), [], `seed ${SEED}: acknowledged and lost`)
  assert.deepEqual(ledger.faults.slice(0, 10), [], `seed ${SEED}`)
}

/** Chooses the moment of a kill; nothing is expected to have happened by then. */
const elapsed = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms))
