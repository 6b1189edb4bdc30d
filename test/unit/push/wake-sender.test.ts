import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PushError, type PushFault } from '../../../src/push/provider.ts'
import type { PushDevice } from '../../../src/push/store.ts'
import { type WakeOutcome, WakeSender } from '../../../src/push/wake-sender.ts'
import { HandWheel, settled } from './wheel.ts'

const device = (name: string): PushDevice => ({ account: 1, device: name, provider: 'gcm', token: name, usedAt: 0 })

function world() {
  const wheel = new HandWheel()
  const stop = new AbortController()
  const outcomes: WakeOutcome[] = []
  const asked: [string, number][] = []
  const gone: string[] = []
  const circuit: string[] = []
  const provider = { fault: undefined as PushFault | undefined, release: undefined as Promise<void> | undefined }
  const sender = new WakeSender({
    provider: {
      name: 'fake',
      wake: async ({ token }) => {
        asked.push([token, wheel.now()])
        await provider.release
        if (provider.fault !== undefined) throw new PushError(provider.fault)
      },
    },
    wheel,
    signal: stop.signal,
    report: (outcome) => void outcomes.push(outcome),
    gone: (one) => void gone.push(one.device),
    circuit: (state) => void circuit.push(state),
  })
  const wants = { still: true }
  const sends = (name = 'phone') => sender.send({ device: device(name), isStillWanted: async () => wants.still })
  return { wheel, stop, outcomes, asked, gone, circuit, provider, sends, wants }
}

test('a wake-up that is taken is sent once', async () => {
  const { wheel, outcomes, asked, sends } = world()
  sends()
  await settled()
  await wheel.pass(200_000)
  assert.deepEqual(outcomes, ['sent'])
  assert.deepEqual(asked, [['phone', 0]])
})

test('one that fails is tried again, later each time, four times in all', async () => {
  const { wheel, outcomes, asked, provider, sends } = world()
  provider.fault = 'unavailable'
  sends()
  await settled()
  await wheel.pass(1_000_000)
  assert.deepEqual(
    asked.map(([, at]) => at),
    [0, 2_000, 12_000, 52_000],
  )
  assert.deepEqual(outcomes, Array(4).fill('unavailable'))
})

test('it is not tried again when the device has come by itself', async () => {
  const { wheel, outcomes, provider, sends, wants } = world()
  provider.fault = 'throttled'
  sends()
  await settled()
  wants.still = false
  await wheel.pass(200_000)
  assert.deepEqual(outcomes, ['throttled', 'late'])
})

test('what cannot get better is not tried again; a device that is gone is told', async () => {
  for (const fault of ['gone', 'refused', 'unauthorized'] as const) {
    const { wheel, outcomes, gone, provider, sends } = world()
    provider.fault = fault
    sends()
    await settled()
    await wheel.pass(200_000)
    assert.deepEqual(outcomes, [fault])
    assert.deepEqual(gone, fault === 'gone' ? ['phone'] : [])
  }
})

test('a provider that keeps failing is left alone for a while; devices that are gone are no failures', async () => {
  const { wheel, asked, circuit, provider, sends } = world()
  provider.fault = 'gone'
  for (let i = 0; i < 9; i++) sends()
  await settled()
  assert.deepEqual(circuit, [])
  provider.fault = 'timeout'
  for (let i = 0; i < 9; i++) {
    sends()
    await settled()
  }
  assert.deepEqual(circuit, ['open'])
  assert.equal(asked.length, 14)
  provider.fault = undefined
  await wheel.pass(60_000)
  assert.equal(circuit.at(-1), 'closed')
})

test('some at a time, some wait, and the rest is dropped, until there is room again', async () => {
  const { outcomes, asked, provider, sends } = world()
  let release = (): void => undefined
  provider.release = new Promise((resolve) => {
    release = resolve
  })
  for (let i = 0; i < 20_004; i++) sends(String(i))
  await settled()
  assert.equal(asked.length, 16)
  assert.deepEqual(outcomes, Array(4).fill('dropped'))
  release()
  for (let i = 0; i < 2_000 && asked.length < 20_000; i++) await settled()
  assert.equal(asked.length, 20_000)
  await settled()
  sends('again')
  await settled()
  assert.deepEqual(asked.at(-1), ['again', 0])
})

test('those between two tries take room as well', async () => {
  const { outcomes, provider, sends } = world()
  provider.fault = 'timeout'
  for (let i = 0; i < 20_000; i++) sends(String(i))
  for (let i = 0; i < 2_000 && outcomes.length < 20_000; i++) await settled()
  assert.equal(outcomes.length, 20_000)
  assert.ok(!outcomes.includes('dropped'))
  sends('one more')
  assert.equal(outcomes.at(-1), 'dropped')
})

test('nothing is begun once the server stops', async () => {
  const { wheel, stop, outcomes, asked, provider, sends } = world()
  provider.fault = 'timeout'
  sends()
  await settled()
  stop.abort()
  sends()
  await wheel.pass(200_000)
  assert.equal(asked.length, 1)
  assert.deepEqual(outcomes, ['timeout'])
})
