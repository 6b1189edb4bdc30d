import { test } from 'node:test'
import { stored, withSeed } from '../helpers/fault-stores.ts'
import { storm } from '../helpers/fault-storm.ts'
import { withPostgres } from '../helpers/test-database.ts'

const KILLS = Number(process.env.FERNRUF_TEST_KILLS ?? 40)
const MESSAGES = Number(process.env.FERNRUF_TEST_KILL_MESSAGES ?? 10_000)
const common = { isRough: false, kills: KILLS, messages: MESSAGES, stored } as const

test('nothing acknowledged is lost, doubled or out of order when the server is killed at any moment (sqlite)', async (t) => {
  await storm(t, withSeed({ ...common, databaseUrl: undefined, isArchived: true }))
})
withPostgres(
  'nothing acknowledged is lost, doubled or out of order when the server is killed at any moment, without archive',
  async (databaseUrl, t) => {
    await storm(t, withSeed({ ...common, databaseUrl, isArchived: false }))
  },
)
