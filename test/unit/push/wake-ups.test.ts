import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Account } from '../../../src/account/store.ts'
import type { PushDevice } from '../../../src/push/store.ts'
import { WakeUps } from '../../../src/push/wake-ups.ts'
import { jid } from '../../helpers/store-samples.ts'
import { HandWheel } from './wheel.ts'

const ROMEO: Account = {
  id: 7,
  jid: jid('romeo@example.org'),
  isNumber: false,
  createdAt: 0,
  disabledAt: undefined,
  delivery: undefined,
  epoch: 0,
  fingerprint: undefined,
}
const TIMES = { delay: 2_000, sibling: 10_000, silence: 30_000, interval: 12_000 }

function world(...names: string[]) {
  const wheel = new HandWheel()
  const state = {
    connected: [] as string[],
    isShared: true,
    /** Devices that have something to take. */
    waiting: names,
    woken: [] as [string, number][],
    looks: 0,
    failures: [] as unknown[],
  }
  const wokenAt = new Map<string, number>()
  const devices = names.map((device): PushDevice => ({ account: 7, device, provider: 'gcm', token: device, usedAt: 0 }))
  const wakeUps = new WakeUps({
    store: {
      claim: async ({ device }, at, before) => {
        const last = wokenAt.get(device)
        if (last !== undefined && last > before) return last
        wokenAt.set(device, at)
        return true
      },
    },
    wheel,
    times: TIMES,
    devicesOf: async () => {
      state.looks++
      return devices
    },
    connectedOf: async () => new Set(state.connected),
    toTake: async () => ({ isShared: state.isShared, devices: new Set(state.waiting) }),
    send: ({ device }) => void state.woken.push([device.device, wheel.now()]),
    failed: (error) => void state.failures.push(error),
    now: () => wheel.now(),
  })
  return { wheel, state, wakeUps, keeps: () => wakeUps.kept(ROMEO) }
}

describe('a message that nobody took', () => {
  test('wakes every device after a moment, where none is connected', async () => {
    const { wheel, state, keeps } = world('phone', 'tablet')
    keeps()
    await wheel.pass(1_999)
    assert.deepEqual(state.woken, [])
    await wheel.pass(100_000)
    assert.deepEqual(state.woken, [
      ['phone', 2_000],
      ['tablet', 2_000],
    ])
    assert.equal(wheel.waiting, 0)
  })
  test('wakes nobody when it was taken meanwhile', async () => {
    const { wheel, state, keeps } = world('phone')
    keeps()
    state.waiting = []
    await wheel.pass(100_000)
    assert.deepEqual(state.woken, [])
  })
  test('waits longer where a sibling is there that could take it', async () => {
    const { wheel, state, keeps } = world('phone')
    state.connected = ['laptop']
    keeps()
    await wheel.pass(9_999)
    assert.deepEqual(state.woken, [])
    await wheel.pass(100_000)
    assert.deepEqual(state.woken, [['phone', 10_000]])
  })
  test('does not, where each device gets its own', async () => {
    const { wheel, state, keeps } = world('phone')
    Object.assign(state, { connected: ['laptop'], isShared: false })
    keeps()
    await wheel.pass(100_000)
    assert.deepEqual(state.woken, [['phone', 2_000]])
  })
  test('wakes the device itself when its connection is silent', async () => {
    const { wheel, state, keeps } = world('phone')
    state.connected = ['phone']
    keeps()
    await wheel.pass(29_999)
    assert.deepEqual(state.woken, [])
    await wheel.pass(100_000)
    assert.deepEqual(state.woken, [['phone', 30_000]])
  })
  test('and not when it loses that and comes again in time', async () => {
    const { wheel, state, keeps } = world('phone')
    state.connected = ['phone']
    keeps()
    await wheel.pass(29_000)
    state.waiting = []
    await wheel.pass(100_000)
    assert.deepEqual(state.woken, [])
  })
  test('wakes each device once for it', async () => {
    const { wheel, state, keeps } = world('phone', 'tablet')
    Object.assign(state, { connected: ['tablet'], isShared: false })
    keeps()
    await wheel.pass(100_000)
    assert.deepEqual(state.woken, [
      ['phone', 2_000],
      ['tablet', 30_000],
    ])
  })
})

describe('many messages', () => {
  test('are one look and one wake-up', async () => {
    const { wheel, state, keeps } = world('phone')
    for (let i = 0; i < 50; i++) {
      keeps()
      await wheel.pass(10)
    }
    await wheel.pass(1_600)
    assert.deepEqual(state.woken, [['phone', 2_000]])
    assert.equal(state.looks, 1)
  })
  test('wake again only after the interval, and not at all if they were taken by then', async () => {
    const { wheel, state, keeps } = world('phone')
    keeps()
    await wheel.pass(3_000)
    keeps()
    await wheel.pass(10_999)
    assert.deepEqual(state.woken, [['phone', 2_000]])
    await wheel.pass(1)
    assert.deepEqual(state.woken, [
      ['phone', 2_000],
      ['phone', 14_000],
    ])
    keeps()
    await wheel.pass(3_000)
    state.waiting = []
    await wheel.pass(100_000)
    assert.equal(state.woken.length, 2)
  })
  test('one that comes while another is looked after is looked after too', async () => {
    const { wheel, state, keeps } = world('phone')
    state.waiting = []
    keeps()
    await wheel.pass(2_000)
    state.waiting = ['phone']
    keeps()
    await wheel.pass(2_000)
    assert.deepEqual(state.woken, [['phone', 4_000]])
  })
  test('for too many accounts at a time are told to the operator', async () => {
    const { state, wakeUps } = world('phone')
    for (let id = 0; id < 50_001; id++) wakeUps.kept({ ...ROMEO, id })
    assert.equal(state.failures.length, 1)
  })
})

test('an account without devices costs one look', async () => {
  const { wheel, state, keeps } = world()
  keeps()
  await wheel.pass(100_000)
  assert.equal(state.looks, 1)
  assert.deepEqual(state.failures, [])
})
