import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import test, { describe } from 'node:test'
import { createLogs, type LogOptions } from '../../../src/telemetry/log.ts'
import { type BareJid, parseJid } from '../../../src/xmpp/jid.ts'

const NUMBER = '+4915112345678'
const LOCALPART = createHash('sha1').update(NUMBER).digest('hex')
const ACCOUNT = parseJid(`${LOCALPART}@example.org`) as BareJid
const KEY = new Uint8Array(32).fill(7)

function collector(options: Partial<LogOptions> = {}) {
  const lines: string[] = []
  const destination = { write: (line: string) => void lines.push(line) }
  return { lines, logs: createLogs({ level: 'trace', format: 'json', tagKey: KEY, destination, ...options }) }
}

for (const format of ['json', 'pretty'] as const) {
  test(`no log holds a number, a number account's localpart, a code, a body or a secret (${format})`, () => {
    const { lines, logs } = collector({ format })
    const { root } = logs
    root.info({ jid: ACCOUNT }, 'bound')
    root.info({ jid: `${ACCOUNT}/phone`, to: { jid: ACCOUNT } }, 'routed')
    root.info({ phone: NUMBER, code: '123456' }, 'asked')
    root.info({ request: { code: '123456', token: 'hunter-token' } }, 'asked')
    root.warn({ err: new Error(`${NUMBER} has ${LOCALPART}`, { cause: new Error(`sip:${NUMBER}`) }) }, 'failed')
    root.warn(
      { err: Object.assign(new Error('refused'), { body: 'hunter-body', request: { password: 'hunter2' } }) },
      'failed',
    )
    root.info({ password: 'hunter2', secret: 'hunter-secret', key: 'hunter-key', sasl: 'aHVudGVy' }, 'login')
    root.info({ body: 'hunter-body', stanza: { body: 'hunter-body', payload: '<hunter/>' } }, 'stanza')
    root.info(`${LOCALPART}@example.org`)
    logs.part({ part: 'c2s', jid: ACCOUNT }).child({ jid: ACCOUNT }).info('closed')
    const all = lines.join('')
    assert.equal(lines.length, 10)
    assert.doesNotMatch(all, new RegExp(`${LOCALPART}|4915112345678|123456|hunter|aHVudGVy`, 'i'))
    assert.match(all, /~[0-9a-f]{12}@example.org/)
  })
}

describe('account tags', () => {
  test('are one per account and key, without a resource', () => {
    const { accountTag } = collector().logs
    assert.match(accountTag(ACCOUNT), /^~[0-9a-f]{12}@example\.org$/)
    assert.equal(accountTag(parseJid(`${ACCOUNT}/phone`) as BareJid), accountTag(ACCOUNT))
    assert.notEqual(accountTag(ACCOUNT), collector({ tagKey: new Uint8Array(32) }).logs.accountTag(ACCOUNT))
  })
  test('leave names and domains as they are', () => {
    const { accountTag } = collector().logs
    assert.equal(accountTag(parseJid('romeo@example.org/orchard') as BareJid), 'romeo@example.org')
    assert.equal(accountTag(parseJid('example.org') as BareJid), 'example.org')
  })
})

test('a line is data and a constant phrase, an OpenPGP fingerprint may stand in it', () => {
  const { lines, logs } = collector()
  logs.root.info({ fingerprint: 'A'.repeat(40) }, 'key made')
  const { time, ...line } = JSON.parse(lines[0] ?? '') as Record<string, unknown>
  assert.match(String(time), /^\d{4}-\d\d-\d\dT/)
  assert.deepEqual(line, { level: 'info', fingerprint: 'A'.repeat(40), msg: 'key made' })
})

test('the level changes for parts that exist already', () => {
  const { lines, logs } = collector({ level: 'info' })
  const part = logs.part({ part: 'c2s' })
  part.debug('unseen')
  logs.level('debug')
  part.debug('seen')
  logs.root.debug('seen')
  assert.equal(lines.length, 2)
})
