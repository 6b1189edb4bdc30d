import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import test, { type TestContext } from 'node:test'
import { formatAddress } from '../../../src/config/units.ts'
import { listenOps, type OpsOptions } from '../../../src/http/ops.ts'
import { StartError } from '../../../src/util/start-error.ts'

async function ops(t: TestContext, options: Partial<OpsOptions> = {}) {
  const listener = await listenOps({
    listen: { host: '127.0.0.1', port: 0 },
    maxHeaderBytes: 2048,
    headerTimeoutMs: 10_000,
    metrics: async () => ({ type: 'text/plain', text: 'fernruf_a 1\n' }),
    readiness: [],
    ...options,
  })
  t.after(() => listener.close())
  return { address: listener.address, url: `http://${formatAddress(listener.address)}` }
}

test('metrics, life and readiness', async (t) => {
  const { url } = await ops(t)
  assert.equal(await (await fetch(`${url}/metrics`)).text(), 'fernruf_a 1\n')
  assert.equal((await fetch(`${url}/livez?x`)).status, 200)
  assert.equal((await fetch(`${url}/readyz`)).status, 200)
  const head = await fetch(`${url}/readyz`, { method: 'HEAD' })
  assert.equal(head.headers.get('content-length'), '6')
  assert.equal(await head.text(), '')
})

test('readiness names what is missing: false, thrown or rejected', async (t) => {
  const { url } = await ops(t, {
    readiness: [
      { name: 'one', check: () => true },
      { name: 'two', check: () => false },
      { name: 'three', check: () => Promise.reject(new Error('gone')) },
      {
        name: 'four',
        check: () => {
          throw new Error('gone')
        },
      },
    ],
  })
  const answer = await fetch(`${url}/readyz`)
  assert.equal(answer.status, 503)
  assert.equal(await answer.text(), 'not ready: two, three, four\n')
})

test('nothing else is there, and nothing else may be done', async (t) => {
  const { url } = await ops(t, { metrics: () => Promise.reject(new Error('secret inside')) })
  assert.equal((await fetch(`${url}/`)).status, 404)
  assert.equal((await fetch(`${url}/metrics/../etc`)).status, 404)
  const post = await fetch(`${url}/livez`, { method: 'POST', body: 'x' })
  assert.equal(post.status, 405)
  assert.equal(post.headers.get('allow'), 'GET, HEAD')
  const failed = await fetch(`${url}/metrics`)
  assert.equal(failed.status, 500)
  assert.doesNotMatch(await failed.text(), /secret/)
})

test('a header over the limit is refused with 431', async (t) => {
  const { address } = await ops(t)
  const socket = connect(address.port, address.host)
  await once(socket, 'connect')
  socket.write(`GET /livez HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(4096)}\r\n\r\n`)
  assert.match(await text(socket), /^HTTP\/1\.1 431 /)
})

test('a taken port is told in one line', async (t) => {
  const { address } = await ops(t)
  await assert.rejects(ops(t, { listen: address }), (error) => {
    assert.ok(error instanceof StartError)
    assert.equal(error.message, `http.ops.listen: 127.0.0.1:${address.port} is taken by another program`)
    return true
  })
})
