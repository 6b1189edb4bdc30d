import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { SmsError, type SmsFault, type SmsProvider } from '../../../src/account/sms-provider.ts'
import { Breaker } from '../../../src/sms/breaker.ts'
import type { CircuitState } from '../../../src/util/circuit.ts'

const MESSAGE = { to: '+491701234567', code: '012345', text: '012345', expiresInSeconds: 600, reference: 'r1' }
const NEVER = new AbortController().signal

function circuit(options: { failures?: number; pauseMs?: number; undelivered?: number } = {}) {
  const clock = { now: 0 }
  const states: CircuitState[] = []
  const calls: string[] = []
  const inner: { act: () => Promise<unknown> } = { act: async () => undefined }
  const provider: SmsProvider = {
    name: 'fake',
    sender: 'Fake',
    codes: {
      check: async () => {
        calls.push('check')
        await inner.act()
        return 'wrong'
      },
      cancel: async () => {
        calls.push('cancel')
        await inner.act()
      },
      next: async () => {
        calls.push('next')
        await inner.act()
      },
    },
    reports: {
      read: (_header, body) => ({ status: 'other', reference: body.toString(), id: 'i', issuedAt: 0 }),
    },
    send: async () => {
      calls.push('send')
      await inner.act()
      return 'ticket'
    },
  }
  const breaker = new Breaker(provider, { ...options, now: () => clock.now, onChanged: (s) => void states.push(s) })
  return {
    breaker,
    clock,
    states,
    calls,
    inner,
    failing: (fault: SmsFault) => () => Promise.reject(new SmsError(fault)),
  }
}
const send = (c: ReturnType<typeof circuit>) => c.breaker.send(MESSAGE, NEVER)
async function fails(work: Promise<unknown> | undefined, fault: SmsFault): Promise<void> {
  await assert.rejects(Promise.resolve(work), (e) => e instanceof SmsError && e.fault === fault)
}

describe('a circuit', () => {
  test('is closed for a provider that works, and passes all on', async () => {
    const c = circuit()
    assert.equal(await send(c), 'ticket')
    assert.equal(await c.breaker.codes?.check('ticket', '1', NEVER), 'wrong')
    await c.breaker.codes?.next?.('ticket', NEVER)
    await c.breaker.codes?.cancel('ticket', NEVER)
    assert.deepEqual(c.calls, ['send', 'check', 'next', 'cancel'])
    assert.deepEqual([c.breaker.name, c.breaker.sender, c.breaker.state], ['fake', 'Fake', 'closed'])
    assert.deepEqual(c.states, [])
  })
  test('opens after five failures in a row, and asks no more', async () => {
    const c = circuit()
    for (const fault of ['timeout', 'unavailable', 'unauthorized', 'unpaid', 'bad-answer'] as const) {
      c.inner.act = c.failing(fault)
      await fails(send(c), fault)
    }
    await fails(send(c), 'paused')
    await fails(c.breaker.codes?.check('ticket', '1', NEVER), 'paused')
    await fails(c.breaker.codes?.next?.('ticket', NEVER), 'paused')
    assert.equal(c.calls.length, 5)
    assert.deepEqual(c.states, ['open'])
  })
  test('is not opened by failures with a success between, nor by refused numbers', async () => {
    const c = circuit({ failures: 2 })
    for (let i = 0; i < 4; i++) {
      c.inner.act = c.failing('timeout')
      await fails(send(c), 'timeout')
      c.inner.act = i % 2 === 0 ? async () => undefined : c.failing('refused')
      await send(c).catch(() => undefined)
    }
    c.inner.act = c.failing('refused')
    for (let i = 0; i < 20; i++) await fails(send(c), 'refused')
    assert.equal(c.breaker.state, 'closed')
  })
  test('lets one call through after its pause; one that fails opens it for as long again', async () => {
    const c = circuit({ failures: 1, pauseMs: 1000 })
    c.inner.act = c.failing('unavailable')
    await fails(send(c), 'unavailable')
    c.clock.now = 999
    await fails(send(c), 'paused')
    c.clock.now = 1000
    await fails(send(c), 'unavailable')
    c.clock.now = 1999
    await fails(send(c), 'paused')
    assert.deepEqual(c.states, ['open', 'half-open', 'open'])
    assert.equal(c.calls.length, 2)
  })
  test('lets nobody else through while that one is on its way, and closes when it comes back well', async () => {
    const c = circuit({ failures: 1, pauseMs: 1000 })
    c.inner.act = c.failing('timeout')
    await fails(send(c), 'timeout')
    c.clock.now = 1000
    const { promise, resolve } = Promise.withResolvers<undefined>()
    c.inner.act = () => promise
    const probe = send(c)
    await fails(send(c), 'paused')
    resolve(undefined)
    assert.equal(await probe, 'ticket')
    assert.equal(await send(c), 'ticket')
    assert.deepEqual(c.states, ['open', 'half-open', 'closed'])
  })
  test('opens when many messages in a row were not delivered, and closes with one that is taken', async () => {
    const c = circuit({ undelivered: 3, pauseMs: 1000 })
    const { reports } = c.breaker
    assert.equal(reports?.read(() => undefined, Buffer.from('r1'), 0).reference, 'r1')
    for (const isDelivered of [false, false, true, false, false]) reports?.settled?.(isDelivered)
    assert.equal(c.breaker.state, 'closed')
    reports?.settled?.(false)
    await fails(send(c), 'paused')
    c.clock.now = 1000
    await send(c)
    reports?.settled?.(false)
    assert.deepEqual(c.states, ['open', 'half-open', 'closed'])
  })
  test('takes twenty of them for no accident', () => {
    const c = circuit()
    for (let i = 0; i < 19; i++) c.breaker.reports?.settled?.(false)
    assert.equal(c.breaker.state, 'closed')
    c.breaker.reports?.settled?.(false)
    assert.equal(c.breaker.state, 'open')
  })
  test('counts a mistake of the provider’s own as a failure', async () => {
    const c = circuit({ failures: 1 })
    c.inner.act = () => Promise.reject(new TypeError('oops'))
    await assert.rejects(send(c), TypeError)
    await fails(send(c), 'paused')
  })
})
