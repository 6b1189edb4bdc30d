import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Client } from 'pg'
import { slixmppIsMissing } from '../interop/helpers/missing.ts'
import type { Storm } from './fault-storm.ts'
import type { ServerProcess } from './server-process.ts'

const SEED = Number(process.env.FERNRUF_TEST_SEED ?? 20_261_123)

/** A storm of this run's seed, with the clients that the machine has. */
export const withSeed = (storm: Omit<Storm, 'seed' | 'hasSlixmpp'>): Storm => ({
  ...storm,
  seed: SEED,
  hasSlixmpp: slixmppIsMissing() === false,
})

/** See `Storm.stored`; ids are times, so what is above an id was committed later. */
export async function stored(
  server: ServerProcess,
  above: number,
): Promise<readonly { readonly xml: string; readonly id: number }[]> {
  const { databaseUrl } = server
  const text = 'select id, payload from entry where wanted = 1 and id > $1'
  if (databaseUrl === undefined) {
    const database = new DatabaseSync(join(server.folder, 'data/fernruf.db'))
    try {
      return database.prepare(text).all({ $1: above }).map(rowOf)
    } finally {
      database.close()
    }
  }
  const client = new Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    const { rows } = await client.query<Record<string, unknown>>(text, [above])
    return rows.map(rowOf)
  } finally {
    await client.end()
  }
}
const rowOf = (row: Record<string, unknown>) => ({
  id: Number(row.id),
  xml: Buffer.from(row.payload as Uint8Array).toString(),
})
