import assert from 'node:assert/strict'
import { createHmac, randomUUID } from 'node:crypto'
import { after, describe, test } from 'node:test'
import {
  type DeliveryReport,
  type DeliveryReports,
  ReportError,
  type ReportFault,
} from '../../../src/account/sms-provider.ts'
import { SmsReceipts, VerifyReports } from '../../../src/sms/vonage-reports.ts'
import { WebhookSms } from '../../../src/sms/webhook.ts'
import { type SignedReport, startVonage } from '../../helpers/vonage-stand-in.ts'

const vonage = await startVonage()
after(() => vonage.close())
const account = { apiKey: vonage.apiKey, secret: vonage.signatureSecret }
const verify = new VerifyReports(account)
const receipts = new SmsReceipts(account)
const SECRET = 'the gateway’s word, signed'
const gateway = { url: 'http://127.0.0.1/', secret: 'sent with another one', sender: 'Example' }
const webhook = new WebhookSms({ ...gateway, signatureSecret: SECRET }).reports
assert.ok(webhook !== undefined)

const now = () => Math.floor(Date.now() / 1000)
const read = (reader: DeliveryReports, { headers, body }: SignedReport, at = Date.now()): DeliveryReport =>
  reader.read((name) => headers[name], Buffer.from(body), at)
function refuses(reader: DeliveryReports, report: SignedReport, fault: ReportFault, why?: string, at?: number): void {
  assert.throws(
    () => read(reader, report, at),
    (e) => e instanceof ReportError && e.fault === fault,
    why,
  )
}
const EVENT = {
  request_id: 'c11236f4-00bf-4b89-84ba-88b25df97315',
  triggered_at: '2026-11-25T14:30:00.000Z',
  type: 'event',
  channel: 'sms',
  status: 'failed',
  client_ref: 'r1',
}
const own = (message: object, changes: { secret?: string; time?: number | string } = {}): SignedReport => {
  const { secret = SECRET, time = now() } = changes
  const body = JSON.stringify(message)
  const signature = createHmac('sha256', secret).update(`${time}.${body}`).digest('hex')
  return { headers: { 'fernruf-timestamp': String(time), 'fernruf-signature': `v1=${signature}` }, body }
}

describe('callbacks of Verify', () => {
  test('say what became of a way, and of which message', () => {
    const jti = randomUUID()
    const iat = now() - 200
    assert.deepEqual(read(verify, vonage.callback(EVENT, { claims: { jti, iat } })), {
      status: 'failed',
      reference: 'r1',
      id: jti,
      issuedAt: iat * 1000,
    })
    const statuses = { completed: 'delivered', rejected: 'rejected', user_rejected: 'other', constructor: 'other' }
    for (const [status, meaning] of Object.entries(statuses))
      assert.equal(read(verify, vonage.callback({ ...EVENT, status })).status, meaning)
    const summary = { ...EVENT, type: 'summary', status: 'failed', workflow: [{ channel: 'sms', status: 'failed' }] }
    assert.equal(read(verify, vonage.callback(summary)).status, 'other', 'about the request, not the message')
    assert.equal(read(verify, vonage.callback({ ...EVENT, client_ref: undefined })).reference, undefined)
    assert.equal(read(verify, vonage.callback({ ...EVENT, client_ref: ['r1'] })).reference, undefined)
  })
  test('that another secret signed, or none', () => {
    const good = vonage.callback(EVENT)
    const [head, claims, signature] = good.headers.authorization?.split('.') ?? []
    const signed = (authorization: string) => ({ ...good, headers: { authorization } })
    read(verify, good)
    refuses(verify, vonage.callback(EVENT, { secret: 'Another-Secret-Of-The-Account' }), 'signature')
    refuses(verify, vonage.callback(EVENT, { secret: '' }), 'signature')
    for (const wrong of ['', 'Bearer', `${head}.${claims}.`, `${head}.${claims}`, `${head}.${claims}.AAAA`])
      refuses(verify, signed(wrong), 'signature', wrong)
    const other = `${claims?.slice(0, -1)}${claims?.endsWith('A') === true ? 'B' : 'A'}`
    refuses(verify, signed(`${head}.${other}.${signature}`), 'signature')
    refuses(verify, signed(`Basic ${head}.${claims}.${signature}`.replace('Bearer ', '')), 'signature')
    refuses(verify, { headers: {}, body: good.body }, 'signature')
  })
  test('whose token names another algorithm', () => {
    const none = vonage.callback(EVENT, { head: { alg: 'none' } })
    refuses(verify, none, 'signature', 'none, and signed all the same')
    const bare = none.headers.authorization?.replace(/\.[\w-]+$/, '.') ?? ''
    refuses(verify, { ...none, headers: { authorization: bare } }, 'signature')
    for (const alg of ['None', 'RS256', 'HS512', 'hs256', undefined, ['HS256']])
      refuses(verify, vonage.callback(EVENT, { head: { alg } }), 'signature', String(alg))
  })
  test('of another account, or of nobody we know', () => {
    for (const api_key of ['abcd1235', '', undefined, ['abcd1234']])
      refuses(verify, vonage.callback(EVENT, { claims: { api_key } }), 'account')
    for (const iss of ['Nexmo', undefined]) refuses(verify, vonage.callback(EVENT, { claims: { iss } }), 'account')
  })
  test('made long ago, or in the future', () => {
    const iat = 1_800_000_000
    const report = vonage.callback(EVENT, { claims: { iat } })
    for (const seconds of [-300, 0, 300]) read(verify, report, (iat + seconds) * 1000)
    for (const seconds of [-301, 301, 86_400]) refuses(verify, report, 'time', '', (iat + seconds) * 1000)
    for (const wrong of [undefined, null, String(now()), [now()]])
      refuses(verify, vonage.callback(EVENT, { claims: { iat: wrong } }), 'time')
  })
  test('whose body was changed', () => {
    const good = vonage.callback(EVENT)
    refuses(verify, { ...good, body: good.body.replace('failed', 'completed') }, 'body')
    refuses(verify, { ...good, body: `${good.body} ` }, 'body')
    for (const payload_hash of [undefined, '', [], 0])
      refuses(verify, vonage.callback(EVENT, { claims: { payload_hash } }), 'body')
  })
  test('without a name of their own, or that are no object', () => {
    for (const jti of [undefined, '', 5]) refuses(verify, vonage.callback(EVENT, { claims: { jti } }), 'body')
    refuses(verify, vonage.callback([EVENT]), 'body')
  })
})

describe('receipts of the SMS API', () => {
  const RECEIPT = { status: 'failed', 'client-ref': 'r1' }
  test('say what became of a message', () => {
    const nonce = randomUUID()
    const timestamp = String(now() - 100)
    assert.deepEqual(read(receipts, vonage.receipt({ ...RECEIPT, nonce, timestamp, to: 'A&B=C' })), {
      status: 'failed',
      reference: 'r1',
      id: nonce,
      issuedAt: Number(timestamp) * 1000,
    })
    const statuses = {
      delivered: 'delivered',
      rejected: 'rejected',
      expired: 'expired',
      undeliverable: 'undeliverable',
      accepted: 'pending',
      buffered: 'pending',
      unknown: 'other',
      toString: 'other',
    }
    for (const [status, meaning] of Object.entries(statuses))
      assert.equal(read(receipts, vonage.receipt({ ...RECEIPT, status })).status, meaning)
  })
  test('that another secret signed, or none, or whose parameters were changed', () => {
    const good = vonage.receipt(RECEIPT)
    read(receipts, good)
    refuses(receipts, vonage.receipt(RECEIPT, 'Another-Secret-Of-The-Account'), 'signature')
    const { sig, ...params } = JSON.parse(good.body) as Record<string, string>
    const changed = (body: object) => ({ ...good, body: JSON.stringify(body) })
    for (const wrong of [undefined, '', 5, [sig], sig?.slice(2)])
      refuses(receipts, changed({ ...params, sig: wrong }), 'signature')
    refuses(receipts, changed({ ...params, status: 'delivered', sig }), 'signature')
    refuses(receipts, changed({ ...params, more: '1', sig }), 'signature')
  })
  test('whose parameters could be others with the same signature', () => {
    const good = vonage.receipt(RECEIPT)
    const { sig, price, scts, ...params } = JSON.parse(good.body) as Record<string, string>
    // «&price=…&scts=…» is the text of this one parameter too.
    refuses(receipts, { ...good, body: JSON.stringify({ ...params, [`price=${price}&scts`]: scts, sig }) }, 'body')
    refuses(receipts, { ...good, body: JSON.stringify({ ...params, price: [price], scts, sig }) }, 'body')
  })
  test('of another account, of another time, or without a name of their own', () => {
    refuses(receipts, vonage.receipt({ ...RECEIPT, 'api-key': 'abcd1235' }), 'account')
    const timestamp = 1_800_000_000
    const report = vonage.receipt({ ...RECEIPT, timestamp: String(timestamp) })
    for (const seconds of [-300, 300]) read(receipts, report, (timestamp + seconds) * 1000)
    for (const seconds of [-301, 301]) refuses(receipts, report, 'time', '', (timestamp + seconds) * 1000)
    for (const wrong of ['', '2026-11-25 12:00:00', 'Infinity'])
      refuses(receipts, vonage.receipt({ ...RECEIPT, timestamp: wrong }), 'time')
    refuses(receipts, vonage.receipt({ ...RECEIPT, nonce: '' }), 'body')
    refuses(receipts, { headers: {}, body: 'no JSON' }, 'body')
    refuses(receipts, { headers: {}, body: '[]' }, 'body')
  })
})

describe('reports of a gateway', () => {
  const REPORT = { id: 'r1', status: 'failed' }
  test('say what became of a message, each once', () => {
    const time = now()
    const { id, ...said } = read(webhook, own(REPORT, { time }))
    assert.deepEqual(said, { status: 'failed', reference: 'r1', issuedAt: time * 1000 })
    assert.equal(read(webhook, own(REPORT, { time })).id, id)
    assert.notEqual(read(webhook, own({ ...REPORT, status: 'delivered' }, { time })).id, id)
    assert.equal(read(webhook, own({ ...REPORT, status: 'pending' })).status, 'pending')
    assert.equal(read(webhook, own({ to: '+49', code: '1' })).status, 'other')
  })
  test('that another secret signed, whose body or time was changed, or made at another time', () => {
    refuses(webhook, own(REPORT, { secret: gateway.secret }), 'signature', 'what we send is signed otherwise')
    const good = own(REPORT)
    read(webhook, good)
    refuses(webhook, { ...good, body: good.body.replace('failed', 'delivered') }, 'signature')
    const later = { ...good.headers, 'fernruf-timestamp': String(now() + 1) }
    refuses(webhook, { ...good, headers: later }, 'signature')
    const upper = { ...good.headers, 'fernruf-signature': good.headers['fernruf-signature']?.toUpperCase() ?? '' }
    refuses(webhook, { ...good, headers: upper }, 'signature', 'it would be another report')
    refuses(webhook, { ...good, headers: {} }, 'signature')
    for (const time of ['', '1e9', ` ${now()}`]) refuses(webhook, own(REPORT, { time }), 'signature')
    const time = 1_800_000_000
    for (const seconds of [-300, 300]) read(webhook, own(REPORT, { time }), (time + seconds) * 1000)
    for (const seconds of [-301, 301]) refuses(webhook, own(REPORT, { time }), 'time', '', (time + seconds) * 1000)
    refuses(webhook, own([REPORT]), 'body')
  })
})
