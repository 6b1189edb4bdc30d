import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pino } from 'pino'
import { Router, type RouterDeps } from '../../../src/router/line.ts'
import { MemoryNetwork } from '../../../src/storage/memory/network.ts'
import { MemoryRosterStore } from '../../helpers/memory-roster-store.ts'
import { ROMEO } from './world.ts'

test('an account whose sessions end on all nodes is not known any more as it was, whatever is told next', async () => {
  const network = new MemoryNetwork()
  const nodes = [network.join(), network.join()].map(
    (bus) =>
      new Router({
        bus,
        registry: network.registry,
        rosters: new MemoryRosterStore(),
        sessions: { of: () => [], get: () => undefined },
        log: pino({ enabled: false }),
      } as unknown as RouterDeps),
  )
  const [here, there] = nodes as [Router, Router]
  await there.views.load(ROMEO)
  assert.ok(there.views.peek(ROMEO))
  here.end(ROMEO, 'not-authorized', 'This number was registered anew.', undefined)
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(there.views.peek(ROMEO), undefined)
})
