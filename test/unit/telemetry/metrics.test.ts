import assert from 'node:assert/strict'
import test from 'node:test'
import { MetricRegistry } from '../../../src/telemetry/metrics.ts'

test('metrics are made from specs and shown on the page', async () => {
  const registry = new MetricRegistry({ process: false })
  const metrics = registry.build({
    logins: { type: 'counter', name: 'fernruf_logins_total', help: 'Logins.', labels: ['outcome'] },
    open: { type: 'gauge', name: 'fernruf_open', help: 'Open.' },
    wait: { type: 'histogram', name: 'fernruf_wait_seconds', help: 'Wait.', buckets: [0.1, 1] },
  })
  metrics.logins.inc({ outcome: 'ok' })
  metrics.open.set(3)
  metrics.wait.observe(0.5)
  const { type, text } = await registry.page()
  assert.match(type, /^text\/plain/)
  assert.match(text, /^fernruf_logins_total\{outcome="ok"\} 1$/m)
  assert.match(text, /^fernruf_open 3$/m)
  assert.match(text, /^fernruf_wait_seconds_bucket\{le="0.1"\} 0$/m)
  assert.match(text, /^fernruf_wait_seconds_bucket\{le="1"\} 1$/m)
})

test('a name is given once, and two registries know nothing of each other', () => {
  const spec = { a: { type: 'counter', name: 'fernruf_a_total', help: 'A.' } } as const
  const registry = new MetricRegistry({ process: false })
  registry.build(spec)
  assert.throws(() => registry.build(spec), /already been registered/)
  new MetricRegistry({ process: false }).build(spec)
})
