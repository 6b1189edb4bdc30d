import { test } from 'node:test'
import { stored, withSeed } from '../helpers/fault-stores.ts'
import { storm } from '../helpers/fault-storm.ts'
import { withPostgres } from '../helpers/test-database.ts'

const KILLS = Number(process.env.FERNRUF_TEST_KILLS ?? 40)
const MESSAGES = Number(process.env.FERNRUF_TEST_ROUGH_MESSAGES ?? 4_000)
const common = { isRough: true, kills: KILLS, messages: MESSAGES, stored } as const

test('nothing acknowledged is lost, doubled or out of order on a network that delays, cuts and truncates, without archive (sqlite)', async (t) => {
  await storm(t, withSeed({ ...common, databaseUrl: undefined, isArchived: false }))
})
withPostgres(
  'nothing acknowledged is lost, doubled or out of order on a network that delays, cuts and truncates',
  async (databaseUrl, t) => {
    await storm(t, withSeed({ ...common, databaseUrl, isArchived: true }))
  },
)
