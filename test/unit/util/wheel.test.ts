import assert from 'node:assert/strict'
import { describe, it, mock } from 'node:test'
import { type Timed, Wheel } from '../../../src/util/wheel.ts'

function timed(log: string[], name: string): Timed {
  return { due: Infinity, elapsed: () => void log.push(name) }
}

describe('Wheel', () => {
  it('calls those whose time has come, in slots, and those moved later when their new time comes', () => {
    mock.timers.enable({ apis: ['setTimeout'] })
    let now = 0
    const wheel = new Wheel(100, () => now)
    const log: string[] = []
    const [a, b, c] = [timed(log, 'a'), timed(log, 'b'), timed(log, 'c')]
    const step = (ms: number) => {
      for (let i = 0; i < ms; i += 100) {
        now += 100
        mock.timers.tick(100)
      }
    }
    wheel.schedule(a, 150)
    wheel.schedule(b, 150)
    wheel.schedule(c, 1_000)
    b.due = 500
    step(300)
    assert.deepEqual(log, ['a'])
    wheel.schedule(c, 400)
    step(300)
    assert.deepEqual(log, ['a', 'c', 'b'])
    wheel.schedule(a, 900)
    wheel.cancel(a)
    step(1_000)
    assert.deepEqual(log, ['a', 'c', 'b'])
    mock.timers.reset()
  })
})
