import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  codeIn,
  jidOf,
  KONTALK_CODE,
  keyFor,
  NUMBERS,
  registrationForm,
  settingsOf,
  shown,
  WIDE_BUDGETS,
} from '../helpers/kontalk-phone.ts'
import { secureStream } from '../helpers/login.ts'
import { difference, parse, write } from '../helpers/match-element.ts'
import { type Story, story } from '../helpers/story.ts'
import { XmppConnection } from '../helpers/xmpp-connection.ts'

/** Flows b.1 to b.3 of Kontalk's protocol: what its app asks before it shows a key. Each step has a connection of its own. */

const NS = 'jabber:iq:register'
const TERMS = 'https://example.org/terms'
const config = (over: Readonly<Record<string, unknown>> = {}) => ({
  servers: 1 as const,
  config: {
    account: { registration: ['sms'] },
    sms: { provider: 'console' },
    limits: { registration: WIDE_BUDGETS },
    ...over,
  },
})
async function asks(tell: Story, request: string, key?: Parameters<typeof shown>[0]) {
  const c = await XmppConnection.open({ ...settingsOf(tell), ...(key === undefined ? {} : shown(key)) })
  try {
    await secureStream(c)
    c.write(request)
    return await c.element()
  } finally {
    c.destroy()
  }
}
const submits = (tell: Story, fields: Readonly<Record<string, string>>) =>
  asks(tell, registrationForm({ FORM_TYPE: NS, phone: NUMBERS.romeo, challenge: 'pin', ...fields }))
const field = (name: string, type: string, value: string): string =>
  `<field var='${name}' type='${type}'><value>${value}</value></field>`

story(
  'b.1, b.2: terms are shown and must be accepted; the answer to a number names the sender and shows the brand',
  async (tell) => {
    const described = await asks(tell, `<iq type='get' id='r1' to='${tell.domain}'><query xmlns='${NS}'/></iq>`)
    const form = write(described)
    assert.ok(form.includes(`<field var='accept-terms' type='boolean'`), form)
    assert.ok(form.includes(field('terms', 'hidden', TERMS)), form)
    const refused = write(await submits(tell, {}))
    assert.match(refused, /<error type='modify'><bad-request .*Service terms were not accepted\./)
    assert.equal(tell.codes.length, 0)
    const answer = await submits(tell, { 'accept-terms': 'true' })
    const labelled = (name: string, type: string, value: string): string =>
      `<field var='${name}' type='${type}' label='{any}'><value>${value}</value></field>`
    assert.equal(
      difference(
        parse(`<iq type='result' id='reg' from='${tell.domain}'><query xmlns='${NS}'><instructions>A text message with a code is on its way.</instructions>
          <x xmlns='jabber:x:data' type='form'>
            ${field('FORM_TYPE', 'hidden', NS)}
            ${labelled('from', 'text-single', 'the server console')}
            ${labelled('challenge', 'text-single', 'pin')}
            ${field('brand-image-vector', 'text-single', 'https://example.org/logo.svg')}
            ${field('brand-image-small', 'text-single', 'https://example.org/small.png')}
            ${field('brand-link', 'text-single', 'https://example.org/')}
          </x></query></iq>`),
        answer,
      ),
      undefined,
    )
  },
  config({
    features: {
      register: {
        terms: TERMS,
        brand: {
          vector: 'https://example.org/logo.svg',
          small: 'https://example.org/small.png',
          link: 'https://example.org/',
        },
      },
    },
  }),
)

story(
  'b.3: asked again, with or without another challenge, a new code comes and the one before is worth nothing',
  async (tell) => {
    const key = await keyFor(jidOf(tell, 'romeo'))
    const answers = async (code: string): Promise<string> =>
      write(await asks(tell, registrationForm({ FORM_TYPE: KONTALK_CODE, code }), key))
    const codes: string[] = []
    for (const challenge of ['pin', 'missedcall', '']) {
      const answer = write(await submits(tell, { challenge }))
      assert.match(answer, /var='challenge'[^>]*><value>pin</, 'the only kind there is')
      codes.push(codeIn(tell.codes))
    }
    const last = codes.pop() ?? ''
    for (const code of codes) if (code !== last) assert.match(await answers(code), /Invalid verification code\./)
    assert.match(await answers(last), /var='publickey'/)
  },
  config(),
)

const taken: string[] = []
const gateway = createServer((request) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  // It takes the message, and says nothing.
  request.on('end', () => taken.push((JSON.parse(Buffer.concat(chunks).toString()) as { readonly code: string }).code))
})
await new Promise<void>((resolve) => gateway.listen(0, '127.0.0.1', resolve))
gateway.unref()

story(
  'b.2: the answer comes within 15 seconds, whatever the provider does, and the code is good all the same',
  async (tell) => {
    const begun = performance.now()
    assert.match(write(await submits(tell, {})), /type='result'.*var='from'[^>]*><value>Silent</)
    assert.ok(performance.now() - begun < 15_000)
    const key = await keyFor(jidOf(tell, 'romeo'))
    const form = registrationForm({ FORM_TYPE: KONTALK_CODE, code: taken[0] ?? '' })
    assert.match(write(await asks(tell, form, key)), /var='publickey'/)
    gateway.closeAllConnections()
  },
  config({
    sms: {
      provider: 'webhook',
      url: `http://127.0.0.1:${(gateway.address() as AddressInfo).port}/`,
      sender: 'Silent',
      secret: 'sixteen bytes and more',
    },
  }),
)
