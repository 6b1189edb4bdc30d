import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { METRICS_PAGE, metricsPage } from '../generate-metrics-docs.ts'

test('docs/metrics.md lists what a server tells', async () => {
  assert.equal(readFileSync(METRICS_PAGE, 'utf8'), await metricsPage(), 'run: node test/generate-metrics-docs.ts')
})
