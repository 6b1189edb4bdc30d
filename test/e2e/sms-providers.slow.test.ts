import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before } from 'node:test'
import { phoneKey } from '../helpers/bridge-certificate.ts'
import { KONTALK_CODE, registrationForm, shown, WIDE_BUDGETS } from '../helpers/kontalk-phone.ts'
import { secureStream } from '../helpers/login.ts'
import { write } from '../helpers/match-element.ts'
import type { ClientOptions, Story } from '../helpers/story.ts'
import { errorAnswer, startVonage } from '../helpers/vonage-stand-in.ts'

// What libraries say for whoever looks for mistakes is said on standard error, if this is set before they are loaded.
process.env.DEBUG = '*'
const { story } = await import('../helpers/story.ts')

const NS = 'jabber:iq:register'
const PASSWORD = 'pass-word-of-the-story-17'
const vonage = await startVonage()
const said: string[] = []
const writeError = process.stderr.write.bind(process.stderr)
before(() => {
  process.stderr.write = (chunk: string | Uint8Array) => said.push(String(chunk)) > 0
})
after(async () => {
  process.stderr.write = writeError
  gateway.close()
  await vonage.close()
})

const GATEWAY_SECRET = 'Secret-Of-The-Gateway-9'
/** A gateway of the operator's own, which tells all it hears. */
const gateway = await (async () => {
  const seen: { readonly code: string; readonly signature: string }[] = []
  const server = createServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      const body = Buffer.concat(parts).toString()
      const signature = String(request.headers['fernruf-signature'])
      seen.push({ code: String((JSON.parse(body) as { code: unknown }).code), signature })
      const echo = `${signature} ${GATEWAY_SECRET} ${body}`
      const { answer } = self
      if (answer === 'dead') request.socket.end(`${echo} no HTTP\r\n\r\n`)
      else if (answer === 'html') response.writeHead(200, { 'content-type': 'text/html' }).end(`<p>${echo}</p>`)
      else response.writeHead(answer, { location: `/${signature}` }).end(answer === 200 ? '' : echo)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const self = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/codes`,
    seen,
    answer: 200 as number | 'html' | 'dead',
    close: () => void server.close().closeAllConnections(),
  }
  return self
})()
const application = vonage.application()

let numbers = 23_450
/** A number that no other story has, and its localpart. */
function number(): { readonly phone: string; readonly digits: string; readonly local: string } {
  const phone = `+49151123${++numbers}`
  return { phone, digits: phone.slice(1), local: createHash('sha1').update(phone).digest('hex') }
}
const account = { api_key: vonage.apiKey, api_secret: vonage.apiSecret, api_url: vonage.url }
const verify = { provider: 'vonage-verify', brand: 'Example', ...account }
const sms = { provider: 'vonage-sms', from: 'Example', ...account }
const config = (settings: object, registration: object = {}) => ({
  account: { registration: ['sms'] },
  sms: settings,
  limits: { registration: { ...WIDE_BUDGETS, ...registration } },
  log: { level: 'trace' },
})

async function says(
  tell: Story,
  fields: Readonly<Record<string, string>>,
  options: ClientOptions = {},
): Promise<string> {
  const c = await tell.connection({ directTls: true, ...options })
  await secureStream(c)
  c.write(registrationForm({ FORM_TYPE: NS, ...fields }))
  const answer = write(await c.element())
  c.destroy()
  return answer
}
async function metrics(tell: Story): Promise<string> {
  return (await fetch(`http://127.0.0.1:${tell.servers[0]?.opsPort}/metrics`)).text()
}
const openFor = (digits: string) =>
  [...vonage.requests.values()].find((one) => one.to === digits && one.state === 'open')

story(
  'a number is proven by a code that Vonage made, and by the right one only',
  async (tell) => {
    const { phone, digits } = number()
    assert.match(await says(tell, { phone, code: '', password: PASSWORD }), /not-acceptable.*code/s)
    const code = openFor(digits)?.code ?? ''
    assert.match(await says(tell, { phone, code: '111111', password: PASSWORD }), /Invalid verification code/)
    assert.match(await says(tell, { phone, code, password: PASSWORD }), /type='result'/)
    assert.equal(openFor(digits), undefined)
    assert.deepEqual(vonage.faults, [])
  },
  { config: config(verify) },
)

story(
  'Kontalk’s other way is a call with the same code',
  async (tell) => {
    const { phone, digits, local } = number()
    const sent = await says(tell, { phone, challenge: 'pin' })
    assert.match(sent, /var='from'[^>]*><value>Example</)
    assert.match(sent, /var='can-fallback'[^>]*type='boolean'[^>]*><value>true</)
    assert.equal(openFor(digits)?.used, 1)
    assert.doesNotMatch(await says(tell, { phone, fallback: 'true' }), /can-fallback/)
    assert.equal(openFor(digits)?.used, 2)
    const key = await phoneKey(`${local}@localhost`)
    const code = openFor(digits)?.code ?? ''
    assert.match(await says(tell, { FORM_TYPE: KONTALK_CODE, code }, shown(key)), /var='publickey'/)
    assert.deepEqual(vonage.faults, [])
  },
  { config: config(verify) },
)

story(
  'a new request for a number makes the former code worthless',
  async (tell) => {
    const { phone, digits } = number()
    await says(tell, { phone, challenge: 'pin' })
    const former = openFor(digits)?.code ?? ''
    await says(tell, { phone, challenge: 'pin' })
    assert.match(await says(tell, { phone, code: former, password: PASSWORD }), /Invalid verification code/)
    const code = openFor(digits)?.code ?? ''
    assert.match(await says(tell, { phone, code, password: PASSWORD }), /type='result'/)
    assert.deepEqual(vonage.faults, [])
  },
  { config: config(verify) },
)

story(
  'the next provider of the chain brings a code when the first one does not',
  async (tell) => {
    const { phone, digits } = number()
    vonage.instead = (request, response, body) => {
      if (request.url?.startsWith('/v2/') === true) return void response.writeHead(402).end(errorAnswer(402))
      vonage.instead = undefined
      const { text } = JSON.parse(body) as { text: string }
      const messages = [{ to: digits, 'message-id': '1', status: '0' }]
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ 'message-count': '1', messages }))
      code = /^(\d{6}) is your code for localhost\.$/.exec(text)?.[1] ?? ''
    }
    let code = ''
    assert.match(await says(tell, { phone, challenge: 'pin' }), /type='result'/)
    assert.match(await says(tell, { phone, code, password: PASSWORD }), /type='result'/)
    const page = await metrics(tell)
    assert.match(page, /fernruf_sms_sent_total\{provider="vonage-verify",outcome="unpaid",country="DE"\} 1/)
    assert.match(page, /fernruf_sms_sent_total\{provider="vonage-sms",outcome="sent",country="DE"\} 1/)
  },
  { servers: 1, config: config({ ...verify, fallbacks: [sms] }) },
)

story(
  'whatever goes wrong at a provider, the client is told in time, and no credential, number or code is logged',
  async (tell) => {
    const { phone, digits, local } = number()
    const before = vonage.seen.length
    const status = (code: number, type = 'application/json'): typeof vonage.instead => {
      return (request, response, body) => {
        const echo = `${request.headers.authorization} ${vonage.apiSecret} ${body}`
        response.writeHead(code, { 'content-type': type }).end(errorAnswer(code, echo))
      }
    }
    const slow: typeof vonage.instead = () => undefined
    const dead: typeof vonage.instead = (request, _, body) => void request.socket.end(`${body} no HTTP\r\n\r\n`)
    // Numbers that are refused come between, so that no circuit opens.
    const wrongs = [401, 402, 422, 429, 500, 409, 503].map((code) => status(code))
    const cases = [...wrongs, slow, status(422), status(200, 'text/html'), dead, status(410), status(302), status(422)]
    for (const instead of cases) {
      vonage.instead = instead
      assert.match(await says(tell, { phone, challenge: 'pin' }), /Unable to verify number/)
    }
    vonage.instead = undefined
    await says(tell, { phone, challenge: 'pin' })
    const code = openFor(digits)?.code ?? ''
    for (const instead of cases) {
      vonage.instead = instead
      const answer = await says(tell, { phone, code, password: PASSWORD })
      assert.match(answer, /Unable to verify number|Invalid verification code/)
    }
    // Requests that are refused have closed no circuit; five failures do.
    vonage.instead = status(500)
    for (let i = 0; i < 7; i++) assert.match(await says(tell, { phone, challenge: 'pin' }), /Unable to verify number/)
    const asked = vonage.seen.length
    assert.match(await says(tell, { phone, challenge: 'pin' }), /Unable to verify number/)
    assert.equal(vonage.seen.length, asked)
    const page = await metrics(tell)
    for (const provider of ['vonage-verify', 'vonage-sms']) {
      assert.match(page, new RegExp(`fernruf_sms_circuit_open\\{provider="${provider}"\\} 1`))
      for (const outcome of [
        'unauthorized',
        'unpaid',
        'refused',
        'throttled',
        'unavailable',
        'bad-answer',
        'timeout',
        'paused',
      ])
        assert.match(
          page,
          new RegExp(`fernruf_sms_sent_total\\{provider="${provider}",outcome="${outcome}",country="DE"\\} \\d`),
        )
    }
    assert.match(page, /fernruf_sms_checks_total\{provider="vonage-verify",outcome="unauthorized"\} 1/)
    vonage.instead = undefined

    const own = vonage.seen.slice(before).flatMap(({ body }) => /^\d{6}/.exec(String(body?.text ?? ''))?.[0] ?? [])
    assert.ok(own.length > 10)
    const basic = Buffer.from(`${vonage.apiKey}:${vonage.apiSecret}`).toString('base64')
    const { logged } = tell
    for (const line of ['sms not sent', 'sms code not checked', 'sms provider not asked'])
      assert.ok(
        logged.some((l) => l.includes(line)),
        line,
      )
    for (const secret of [
      vonage.apiKey,
      vonage.apiSecret,
      basic,
      digits,
      digits.slice(2),
      local,
      code,
      PASSWORD,
      ...own,
    ]) {
      assert.ok(holds(`{"n":"${secret}"}`, secret))
      for (const line of [...logged, ...said]) assert.ok(!holds(line, secret), `${secret} stands in ${line}`)
    }
  },
  {
    servers: 1,
    config: config({ ...verify, timeout: '300ms', fallbacks: [{ ...sms, timeout: '300ms' }] }, { code_attempts: 100 }),
  },
)

story(
  'the secret of a gateway of the operator’s, and what it signs, are not logged either, whatever the gateway answers',
  async (tell) => {
    const { phone, digits, local } = number()
    const before = gateway.seen.length
    for (const answer of [401, 422, 500, 302, 'html', 'dead'] as const) {
      gateway.answer = answer
      assert.match(await says(tell, { phone, challenge: 'pin' }), /Unable to verify number/, String(answer))
    }
    gateway.answer = 200
    assert.match(await says(tell, { phone, challenge: 'pin' }), /type='result'/)
    const seen = gateway.seen.slice(before)
    assert.equal(seen.length, 7)
    assert.ok(tell.logged.some((line) => line.includes('sms not sent')))
    for (const { code, signature } of seen) {
      assert.match(code, /^\d{6}$/)
      for (const secret of [GATEWAY_SECRET, signature, code, digits, local])
        for (const line of [...tell.logged, ...said]) assert.ok(!holds(line, secret), `${secret} stands in ${line}`)
    }
  },
  {
    servers: 1,
    config: config({ provider: 'webhook', url: gateway.url, sender: 'Gate', secret: GATEWAY_SECRET }),
  },
)

story(
  'a login as an application of the account is not logged',
  async (tell) => {
    const { phone } = number()
    const tokens: string[] = []
    for (const code of [401, 500, 422]) {
      vonage.instead = (request, response, body) => {
        tokens.push(request.headers.authorization ?? '')
        response.writeHead(code).end(errorAnswer(code, `${tokens.at(-1)} ${body}`))
      }
      assert.match(await says(tell, { phone, challenge: 'pin' }), /Unable to verify number/)
    }
    vonage.instead = undefined
    assert.ok(
      tokens.length >= 3 && tokens.every((token) => /^Bearer [\w-]+\.[\w-]+\.[\w-]+$/.test(token)),
      tokens.join(),
    )
    const lines = application.privateKey.split('\n').filter((line) => line.length > 40)
    for (const secret of [...tokens.map((token) => token.slice(7)), ...lines, vonage.apiSecret])
      for (const line of [...tell.logged, ...said]) assert.ok(!line.includes(secret), line)
  },
  {
    servers: 1,
    config: config({ ...verify, application_id: application.id, private_key: application.privateKey }),
  },
)

/** Digits count only where they stand alone: a code of six is found within any number of milliseconds. */
function holds(line: string, secret: string): boolean {
  if (!/^\d+$/.test(secret)) return line.includes(secret)
  return new RegExp(`(?<![\\d.])${secret}(?!\\d)`).test(line)
}
