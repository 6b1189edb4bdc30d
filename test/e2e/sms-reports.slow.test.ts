import assert from 'node:assert/strict'
import { createHmac, randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request as ask, createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, test } from 'node:test'
import { registrationForm, WIDE_BUDGETS } from '../helpers/kontalk-phone.ts'
import { secureStream } from '../helpers/login.ts'
import { write } from '../helpers/match-element.ts'
import { type Story, type StoryOptions, story } from '../helpers/story.ts'
import { startTestServers, type TestServers } from '../helpers/test-server.ts'
import { type SignedReport, startVonage } from '../helpers/vonage-stand-in.ts'
import { XmppConnection } from '../helpers/xmpp-connection.ts'

const vonage = await startVonage()
const gateway = await startGateway()
after(async () => {
  await vonage.close()
  gateway.server.closeAllConnections()
  gateway.server.close()
})

const account = { api_key: vonage.apiKey, api_secret: vonage.apiSecret, api_url: vonage.url }
const signed = { signature_secret: vonage.signatureSecret }
const application = { application_id: vonage.application().id, private_key: vonage.application().privateKey }
const verify = { provider: 'vonage-verify', brand: 'Example', ...account, ...application, ...signed }
const sms = { provider: 'vonage-sms', from: 'Example', ...account, ...signed }
const webhook = {
  provider: 'webhook',
  url: gateway.url,
  sender: 'Gateway',
  secret: 'what the gateway is sent',
  signature_secret: gateway.secret,
}
const config = (settings: object) => ({
  account: { registration: ['sms'] },
  sms: settings,
  limits: { registration: WIDE_BUDGETS },
  log: { level: 'trace' },
})
const PROVIDERS = { 'vonage-verify': verify, 'vonage-sms': sms, webhook } as const
type Provider = keyof typeof PROVIDERS

/** A gateway that takes each message, and can say what became of it. */
async function startGateway() {
  const taken: { readonly id?: string; readonly code: string }[] = []
  const secret = 'what the gateway says'
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      taken.push(JSON.parse(body) as { id?: string; code: string })
      response.writeHead(204).end()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const report = (message: object, changes: { secret?: string; time?: number } = {}): SignedReport => {
    const time = changes.time ?? Math.floor(Date.now() / 1000)
    const body = JSON.stringify(message)
    const hash = createHmac('sha256', changes.secret ?? secret).update(`${time}.${body}`)
    const headers = { 'fernruf-timestamp': String(time), 'fernruf-signature': `v1=${hash.digest('hex')}` }
    return { headers: { 'content-type': 'application/json', ...headers }, body }
  }
  return { server, taken, secret, report, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` }
}

let numbers = 43_450
const number = (): string => `+49151123${++numbers}`

async function says(tell: Pick<TestServers, 'servers' | 'domain'>, fields: Readonly<Record<string, string>>, node = 0) {
  const c = await XmppConnection.open({
    port: tell.servers[node]?.directTlsPort ?? 0,
    domain: tell.domain,
    directTls: true,
    log: () => undefined,
  })
  await secureStream(c)
  c.write(registrationForm({ FORM_TYPE: 'jabber:iq:register', ...fields }))
  const answer = write(await c.element())
  c.destroy()
  return answer
}
const asks = async (tell: Pick<TestServers, 'servers' | 'domain'>, phone: string) => {
  const answer = await says(tell, { phone, challenge: 'pin' })
  assert.match(answer, /type='result'/)
  return /var='from'[^>]*><value>([^<]*)</.exec(answer)?.[1]
}
/** Status and all else that a reporter can see. */
async function post(
  tell: Pick<TestServers, 'servers'>,
  provider: Provider,
  { headers, body }: SignedReport,
  node = 0,
): Promise<string> {
  const url = `http://127.0.0.1:${tell.servers[node]?.httpPort}/sms/${provider}`
  const answer = await fetch(url, { method: 'POST', headers, body })
  return `${answer.status}${await answer.text()}`
}
async function deliveries(tell: Pick<TestServers, 'stores'>): Promise<readonly (string | null)[]> {
  const rows = await tell.stores.database.query<{ delivery: string | null }>('select delivery from verification')
  return rows.map(({ delivery }) => delivery)
}
const refOf = {
  'vonage-verify': () => [...vonage.requests.values()].at(-1)?.ref ?? '',
  'vonage-sms': () => vonage.texts.at(-1)?.ref ?? '',
  webhook: () => gateway.taken.at(-1)?.id ?? '',
} as const
interface Changes {
  readonly secret?: string
  readonly account?: string
  /** Seconds from now. */
  readonly off?: number
  readonly id?: string
}
/** A report of each provider that the last message failed, right or wrong in one way. */
const failed: Readonly<Record<Provider, (changes?: Changes, ref?: string) => SignedReport>> = {
  'vonage-verify': ({ secret, account: api_key, off = 0, id } = {}, ref = refOf['vonage-verify']()) =>
    vonage.callback(
      { request_id: randomUUID(), triggered_at: '', type: 'event', channel: 'sms', status: 'failed', client_ref: ref },
      {
        ...(secret === undefined ? {} : { secret }),
        claims: {
          iat: Math.floor(Date.now() / 1000) + off,
          ...(api_key === undefined ? {} : { api_key }),
          ...(id === undefined ? {} : { jti: id }),
        },
      },
    ),
  'vonage-sms': ({ secret, account: key, off = 0, id } = {}, ref = refOf['vonage-sms']()) =>
    vonage.receipt(
      {
        status: 'failed',
        'client-ref': ref,
        timestamp: String(Math.floor(Date.now() / 1000) + off),
        ...(key === undefined ? {} : { 'api-key': key }),
        ...(id === undefined ? {} : { nonce: id }),
      },
      secret,
    ),
  webhook: ({ secret, off = 0 } = {}, ref = refOf.webhook()) =>
    gateway.report(
      { id: ref, status: 'failed' },
      { time: Math.floor(Date.now() / 1000) + off, ...(secret === undefined ? {} : { secret }) },
    ),
}
const metrics = async (tell: Story): Promise<string> =>
  (await fetch(`http://127.0.0.1:${tell.servers[0]?.opsPort}/metrics`)).text()

story(
  'a message of Verify that did not come is followed by the call at once, and then by somebody else',
  async (tell) => {
    const phone = number()
    assert.equal(await asks(tell, phone), 'Example')
    const [one] = [...vonage.requests.values()].slice(-1)
    const called = new Promise<string>((resolve) => {
      vonage.instead = (request, response) => {
        vonage.instead = undefined
        response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
        resolve(request.url ?? '')
      }
    })
    assert.equal(await post(tell, 'vonage-verify', failed['vonage-verify']()), '204')
    assert.match(await called, /\/next_workflow$/)
    assert.deepEqual(await deliveries(tell), ['undelivered'])
    assert.match(await says(tell, { phone, code: one?.code ?? '', password: 'pass-word-17' }), /type='result'/)
    const another = number()
    await asks(tell, another)
    vonage.instead = (_, response) => void response.writeHead(409).end()
    await post(tell, 'vonage-verify', failed['vonage-verify']())
    vonage.instead = undefined
    assert.equal(await asks(tell, another), 'Gateway')
    const { code } = gateway.taken.at(-1) ?? {}
    assert.match(await says(tell, { phone: another, code: code ?? '', password: 'pass-word-17' }), /type='result'/)
    assert.deepEqual(vonage.faults, [])
    assert.match(await metrics(tell), /fernruf_sms_reports_total\{provider="vonage-verify",status="failed"\} 2/)
  },
  { servers: 1, config: config({ ...verify, fallbacks: [webhook] }) },
)

for (const provider of ['vonage-sms', 'webhook'] as const) {
  story(
    `${provider}: who did not get the message asks again, and somebody else brings it; the first code is good until then`,
    async (tell) => {
      const phone = number()
      const [first, second] = provider === 'webhook' ? ['Gateway', 'Example'] : ['Example', 'Gateway']
      assert.equal(await asks(tell, phone), first)
      const old = codeOf(provider)
      assert.equal(await post(tell, provider, failed[provider](), tell.servers.length - 1), '204')
      assert.equal(await asks(tell, phone), second)
      assert.match(await says(tell, { phone, code: old, password: 'pass-word-17' }), /Invalid verification code/)
      const code = codeOf(provider === 'webhook' ? 'vonage-sms' : 'webhook')
      assert.match(await says(tell, { phone, code, password: 'pass-word-17' }), /type='result'/)
      assert.deepEqual(vonage.faults, [])
    },
    { config: config({ ...PROVIDERS[provider], fallbacks: [provider === 'webhook' ? sms : webhook] }) },
  )
}
const codeOf = (provider: 'vonage-sms' | 'webhook'): string =>
  provider === 'webhook'
    ? (gateway.taken.at(-1)?.code ?? '')
    : (/^\d{6}/.exec(vonage.texts.at(-1)?.text ?? '')?.[0] ?? '')

for (const provider of ['vonage-verify', 'vonage-sms', 'webhook'] as const) {
  const options: StoryOptions = { servers: 2, config: config(PROVIDERS[provider]) }
  const report = failed[provider]

  story(
    `row 32: ${provider}: a report that its provider did not make, or not now, says nothing`,
    async (tell) => {
      const phone = number()
      await asks(tell, phone)
      const good = report()
      const attacks: Readonly<Record<string, SignedReport>> = {
        'another secret': report({ secret: 'Another-Secret-Of-The-Account' }),
        'no secret': report({ secret: '' }),
        'no signature': { headers: { 'content-type': 'application/json' }, body: '{"status":"failed"}' },
        'stale by a second': report({ off: -301 }),
        'stale by a day': report({ off: -86_400 }),
        'from the future': report({ off: 302 }),
        'another body': { ...good, body: good.body.replace('failed', 'rejected') },
        'no body': { ...good, body: '' },
        'another type': { ...good, headers: { ...good.headers, 'content-type': 'text/plain' } },
        ...(provider === 'webhook' ? {} : { 'another account': report({ account: 'abcd1235' }) }),
        ...(provider === 'vonage-verify' ? algorithms() : {}),
        ...(provider === 'webhook'
          ? { 'what we sent it': gateway.report({ id: refOf.webhook(), status: 'failed' }, { secret: webhook.secret }) }
          : {}),
      }
      for (const [what, attack] of Object.entries(attacks))
        for (const node of [0, 1]) assert.equal(await post(tell, provider, attack, node), '401', what)
      assert.deepEqual(await deliveries(tell), [null])
      assert.equal((await tell.stores.database.query('select id from sms_report')).length, 0)
      // Of a message that nobody knows: well signed, so it is told nothing.
      for (const ref of ['', 'unknown', randomUUID()]) assert.equal(await post(tell, provider, report({}, ref)), '204')
      assert.deepEqual(await deliveries(tell), [null])
      assert.equal(await post(tell, provider, good), '204')
      assert.deepEqual(await deliveries(tell), ['undelivered'])
      const logged = tell.logged.join('')
      for (const secret of [phone.slice(1), refOf[provider](), 'Another-Secret'])
        assert.ok(!logged.includes(secret), `${secret} is logged`)
    },
    options,
  )

  story(
    `row 32: ${provider}: a report is taken once, on whichever node, also when its message is asked for anew`,
    async (tell) => {
      await asks(tell, number())
      const id = randomUUID()
      const good = report({ id })
      const answers = await Promise.all([0, 1, 0, 1].map((node) => post(tell, provider, good, node)))
      assert.deepEqual(answers.sort(), ['204', '401', '401', '401'])
      // The same name with another message.
      await asks(tell, number())
      if (provider !== 'webhook') assert.equal(await post(tell, provider, report({ id }), 1), '401')
      assert.deepEqual((await deliveries(tell)).filter((d) => d !== null).length, 1)
    },
    options,
  )

  test(`row 32: ${provider}: a report is not taken again after a restart`, { timeout: 60_000 }, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'fernruf-reports-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const file = join(folder, 'secret')
    writeFileSync(file, randomBytes(32).toString('base64url'))
    const settings = { ...config(PROVIDERS[provider]), secret_file: file }
    const first = await startTestServers(1, settings)
    t.after(() => first.stop())
    await asks(first, number())
    const good = report()
    assert.equal(await post(first, provider, good), '204')
    await first.servers[0]?.running.close()
    const second = await startTestServers(1, settings, first.stores)
    t.after(() => second.stop())
    assert.equal(await post(second, provider, good), '401')
    assert.equal(await post(second, provider, report({ off: -100 })), '204')
  })

  story(
    `${provider}: a report is of at most 16 KiB, and only posted`,
    async (tell) => {
      await asks(tell, number())
      const good = report()
      const large = (bytes: number) => {
        const padding = { padding: 'x'.repeat(bytes) }
        if (provider === 'vonage-verify') return vonage.callback({ type: 'event', status: 'failed', ...padding })
        if (provider === 'vonage-sms') return vonage.receipt({ status: 'failed', ...padding })
        return gateway.report({ status: 'failed', ...padding })
      }
      assert.equal(await post(tell, provider, large(15_000)), '204')
      assert.equal(await post(tell, provider, large(16_384)), '401')
      assert.equal(await endless(tell, provider, good), 401)
      const url = `http://127.0.0.1:${tell.servers[0]?.httpPort}/sms`
      for (const method of ['GET', 'PUT'])
        assert.equal((await fetch(`${url}/${provider}`, { method, headers: good.headers })).status, 405)
      for (const path of ['', '/', '/console', `/${provider}/`])
        assert.equal((await fetch(url + path, { method: 'POST', ...good })).status, 404, path)
      assert.deepEqual(await deliveries(tell), [null])
    },
    { servers: 1, config: config(PROVIDERS[provider]) },
  )

  story(
    `${provider}: without a signature secret nothing is reported, nor asked to be`,
    async (tell) => {
      await asks(tell, number())
      assert.equal(refOf[provider](), '')
      assert.match(await post(tell, provider, report()), /^404/)
    },
    { servers: 1, config: config({ ...PROVIDERS[provider], signature_secret: undefined }) },
  )
}

/** Tokens of other algorithms, or of none. */
function algorithms(): Readonly<Record<string, SignedReport>> {
  const event = { type: 'event', status: 'failed', client_ref: refOf['vonage-verify']() }
  const none = vonage.callback(event, { head: { alg: 'none' } })
  const bare = none.headers.authorization?.replace(/\.[\w-]+$/, '.') ?? ''
  return {
    'alg none, signed': none,
    'alg none, bare': { ...none, headers: { ...none.headers, authorization: bare } },
    'alg HS512': vonage.callback(event, { head: { alg: 'HS512' } }),
    'another issuer': vonage.callback(event, { claims: { iss: 'Somebody' } }),
    'no hash': vonage.callback(event, { claims: { payload_hash: undefined } }),
  }
}
/** The status in answer to a body that does not end. */
async function endless(tell: Story, provider: Provider, { headers }: SignedReport): Promise<number | undefined> {
  const port = tell.servers[0]?.httpPort
  const request = ask({ port, host: '127.0.0.1', path: `/sms/${provider}`, method: 'POST', headers })
  const go = (): void => {
    if (!request.destroyed) request.write('x'.repeat(8_192), go)
  }
  request.on('error', () => undefined)
  go()
  const [answer] = (await once(request, 'response')) as [{ readonly statusCode?: number }]
  request.destroy()
  return answer.statusCode
}
