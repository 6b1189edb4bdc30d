import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { type AccountSummary, type Admin, AdminError } from '../../../src/contract/admin.ts'
import { connectAdmin } from '../../../src/http/admin-client.ts'
import { MAX_BODY, serveAdmin, socketPath } from '../../../src/http/admin-socket.ts'
import { StartError } from '../../../src/util/start-error.ts'

const ROMEO: AccountSummary = {
  jid: 'romeo@example.org',
  isNumber: false,
  createdAt: 1,
  isDisabled: false,
  delivery: undefined,
  fingerprint: undefined,
  sessions: 2,
}

const KEY = { fingerprint: 'AB', userId: 'example.org', createdAt: 5, isCurrent: true }
const PEER = { domain: 'prime.example', fingerprint: 'B'.repeat(40) }
/** An Admin that writes down what it is asked. */
function recorder() {
  const calls: unknown[][] = []
  const note = (...call: unknown[]): Promise<void> => Promise.resolve(void calls.push(call))
  const admin: Admin = {
    addAccount: (...args) => note('addAccount', ...args),
    listAccounts: (...args) => note('listAccounts', ...args).then(() => [ROMEO]),
    showAccount: (jid) =>
      jid === ROMEO.jid ? Promise.resolve(ROMEO) : Promise.reject(new AdminError('not-found', `${jid} does not exist`)),
    setDisabled: (...args) => note('setDisabled', ...args),
    setPassword: () => Promise.reject(new Error('inside')),
    setDelivery: (...args) => note('setDelivery', ...args),
    isKeyListed: (...args) => note('isKeyListed', ...args).then(() => true),
    setKeyListed: (...args) => note('setKeyListed', ...args),
    deleteAccount: (...args) => note('deleteAccount', ...args),
    showHistory: (...args) => note('showHistory', ...args).then(() => ({ messages: 1, oldest: 5, newest: undefined })),
    deleteHistory: (...args) => note('deleteHistory', ...args).then(() => 17),
    serverKeys: () => Promise.resolve([KEY, { ...KEY, isCurrent: false }]),
    initServerKey: () => Promise.resolve(KEY),
    rotateServerKey: () => note('rotateServerKey').then(() => KEY),
    importServerKey: (...args) => note('importServerKey', ...args).then(() => KEY),
    forgetServerKey: (...args) => note('forgetServerKey', ...args),
    addNetworkServer: (...args) => note('addNetworkServer', ...args),
    removeNetworkServer: (...args) => note('removeNetworkServer', ...args),
    networkServers: () => Promise.resolve([PEER]),
    rotateInboxKeys: (after) =>
      note('rotateInboxKeys', after).then(() => ({ operatorKey: 'k', rewrapped: 3, left: 1, last: undefined })),
    forgetInboxKeys: (...args) => note('forgetInboxKeys', ...args).then(() => 7),
  }
  return { admin, calls }
}

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'fernruf-admin-'))
  t.after(() => rmSync(path, { recursive: true }))
  return path
}

async function served(t: TestContext) {
  const { admin, calls } = recorder()
  const dataDir = folder(t)
  const server = await serveAdmin(dataDir, admin)
  t.after(() => server.close())
  const client = await connectAdmin(dataDir)
  assert.ok(client !== undefined)
  return { client, calls, dataDir }
}

test('every call arrives with its arguments and comes back with its result', async (t) => {
  const { client, calls } = await served(t)
  await client.addAccount('romeo@example.org', 'pässword')
  await client.setDisabled('romeo@example.org', true)
  await client.setDelivery('romeo@example.org', 'every-device')
  await client.setDelivery('romeo@example.org', undefined)
  await client.setKeyListed('romeo@example.org', false)
  assert.equal(await client.isKeyListed('romeo@example.org'), true)
  await client.deleteAccount('romeo@example.org')
  assert.deepEqual(await client.listAccounts(undefined, 10), [ROMEO])
  assert.deepEqual(await client.showAccount('romeo@example.org'), ROMEO)
  assert.deepEqual(await client.serverKeys(), [KEY, { ...KEY, isCurrent: false }])
  assert.deepEqual(await client.initServerKey(), KEY)
  assert.deepEqual(await client.rotateServerKey(), KEY)
  assert.deepEqual(await client.importServerKey('QUFB'), KEY)
  await client.forgetServerKey('A'.repeat(40))
  await client.addNetworkServer(PEER.domain, PEER.fingerprint)
  await client.removeNetworkServer(PEER.domain)
  assert.deepEqual(await client.networkServers(), [PEER])
  await assert.rejects(client.addNetworkServer(PEER.domain, 'AB'), AdminError)
  assert.deepEqual(await client.showHistory('romeo@example.org'), { messages: 1, oldest: 5, newest: undefined })
  assert.equal(await client.deleteHistory('romeo@example.org', undefined), 17)
  assert.equal(await client.deleteHistory('romeo@example.org', 5), 17)
  assert.deepEqual(await client.rotateInboxKeys(5), { operatorKey: 'k', rewrapped: 3, left: 1, last: undefined })
  assert.equal(await client.forgetInboxKeys('0123456789abcdef'), 7)
  await assert.rejects(client.forgetInboxKeys('no id'), AdminError)
  assert.deepEqual(calls, [
    ['addAccount', 'romeo@example.org', 'pässword'],
    ['setDisabled', 'romeo@example.org', true],
    ['setDelivery', 'romeo@example.org', 'every-device'],
    ['setDelivery', 'romeo@example.org', undefined],
    ['setKeyListed', 'romeo@example.org', false],
    ['isKeyListed', 'romeo@example.org'],
    ['deleteAccount', 'romeo@example.org'],
    ['listAccounts', undefined, 10],
    ['rotateServerKey'],
    ['importServerKey', 'QUFB'],
    ['forgetServerKey', 'A'.repeat(40)],
    ['addNetworkServer', PEER.domain, PEER.fingerprint],
    ['removeNetworkServer', PEER.domain],
    ['showHistory', 'romeo@example.org'],
    ['deleteHistory', 'romeo@example.org', undefined],
    ['deleteHistory', 'romeo@example.org', 5],
    ['rotateInboxKeys', 5],
    ['forgetInboxKeys', '0123456789abcdef'],
  ])
})

test('faults keep their kind and text; what nobody foresaw tells nothing', async (t) => {
  const { client } = await served(t)
  const fails = (fault: string, message: RegExp) => (error: unknown) =>
    error instanceof AdminError && error.fault === fault && message.test(error.message)
  await assert.rejects(
    client.showAccount('juliet@example.org'),
    fails('not-found', /^juliet@example.org does not exist$/),
  )
  await assert.rejects(client.setPassword('romeo@example.org', 'p'), fails('unavailable', /^the server failed/))
  await assert.rejects(client.addAccount('romeo@example.org', ''), fails('invalid', /do not fit/))
  await assert.rejects(client.addAccount('romeo@example.org', 'x'.repeat(MAX_BODY)), AdminError)
})

test('only this user may connect', async (t) => {
  const { dataDir } = await served(t)
  assert.equal(statSync(socketPath(dataDir)).mode & 0o777, 0o600)
})

test('a second server on the folder is refused, a socket left behind is not in the way', async (t) => {
  const { dataDir } = await served(t)
  await assert.rejects(serveAdmin(dataDir, recorder().admin), StartError)
  const other = folder(t)
  writeFileSync(socketPath(other), '')
  assert.equal(await connectAdmin(other), undefined)
  const server = await serveAdmin(other, recorder().admin)
  await server.close()
  assert.equal(await connectAdmin(other), undefined)
})

test('a path that no socket may have is told', async () => {
  await assert.rejects(serveAdmin(`/${'x'.repeat(120)}`, recorder().admin), /too long for a socket/)
})

test('a data folder that is not there yet is made', async (t) => {
  const dataDir = join(folder(t), 'new', 'data')
  const server = await serveAdmin(dataDir, recorder().admin)
  t.after(() => server.close())
  assert.equal(statSync(dataDir).mode & 0o777, 0o700)
  assert.ok(await connectAdmin(dataDir))
})

test('unknown calls, other methods and broken arguments', async (t) => {
  const { dataDir } = await served(t)
  const status = (method: string, path: string, body = ''): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const call = request({ socketPath: socketPath(dataDir), method, path }, (response) => {
        response.resume()
        resolve(response.statusCode)
      })
      call.on('error', reject)
      call.end(body)
    })
  assert.equal(await status('POST', '/toString', '[]'), 404)
  assert.equal(await status('GET', '/serverKeys'), 404)
  assert.equal(await status('POST', '/serverKeys', '{'), 400)
  assert.equal(await status('POST', '/serverKeys', '{"a":1}'), 400)
})
