/**
 * A secret key on its way to another device of its owner, where one of the two has no Kontalk app: a command leaves the key, and a page
 * shows the token as Kontalk's QR code, or hands out the key. In-band it is done by XEP-0077 (kontalk-protocol b.7, b.8); the
 * store, the tokens and the budget are the same.
 */
import { createHash } from 'node:crypto'
import { encode } from 'uqr'
import { z } from 'zod'
import { parsePhone } from '../account/phone-number.ts'
import type { CommandStep } from '../contract/command.ts'
import { defineFeature } from '../contract/feature.ts'
import type { HttpAnswer, HttpRequest } from '../contract/route.ts'
import type { Session } from '../contract/session.ts'
import { armored, dearmored } from '../keys/armor.ts'
import { TransferError, type TransferFault } from '../keys/transfers.ts'
import { bounded } from '../util/bounded.ts'
import type { DataForm } from '../xmpp/data-form.ts'
import { el } from '../xmpp/element.ts'
import { type Domain, prepareDomain } from '../xmpp/jid.ts'
import { NS_COMMANDS } from '../xmpp/ns.ts'
import { type Condition, StanzaError } from '../xmpp/stanza-error.ts'

const TITLE = 'Move my key to another device'
const FORM_TYPE = 'fernruf:key-transfer'
const PATH = '/key-transfer'
const TOKEN = /^\d{40}$/
/** Of the page's form: a token, a number and the name of a domain. */
const MAX_BODY = 1_024

type LeftFault = Exclude<TransferFault, 'bad-token' | 'throttled'>
type FetchedFault = Exclude<TransferFault, 'no-key' | 'bad-secret-key'>
/** What the command is refused with. */
const REFUSALS: Readonly<Record<LeftFault, readonly [Condition, string]>> = {
  'no-key': ['not-allowed', 'This account has no key.'],
  'bad-secret-key': [
    'bad-request',
    'This is not the OpenPGP secret key of this account, or a part of it is not locked with a passphrase.',
  ],
  untold: ['resource-constraint', 'Your devices could not be told; try again later.'],
}
/** What the page is refused with; of a token that is not good nobody is told why. */
const STATUS: Readonly<Record<FetchedFault, readonly [number, string]>> = {
  'bad-token': [403, 'This token is not known, was used, or its time is over. Leave the key again on the old device.'],
  throttled: [429, 'Too many tokens were tried from your address. Come again in an hour.'],
  untold: [503, 'The devices of this account could not be told, so the key was not handed out. Leave it again later.'],
}

export default defineFeature({
  name: 'key_transfer',
  xeps: [],
  requires: ['commands'],
  config: z.strictObject({}).prefault({}),
  metrics: {
    steps: {
      type: 'counter',
      name: 'fernruf_key_transfer_steps_total',
      help: 'Secret keys left by command, and tokens shown as a code or spent on the page, by outcome.',
      labels: ['step', 'outcome'],
    },
  },
  uses: ['web', 'disco', 'keyTransfers'],
  setup: ({ metrics, ports: { web, disco, keyTransfers } }) => {
    if (web === undefined) return {}

    const leave = async (session: Session, form: DataForm | undefined): Promise<CommandStep> => {
      if (form === undefined) return { form: FORM }
      const ring = dearmored('PRIVATE KEY BLOCK', (form.fields.get('key') ?? []).join('\n'))
      const count = (outcome: string): void => metrics.steps.inc({ step: 'leave', outcome })
      if (ring === undefined) {
        count('malformed')
        throw badForm('This is no OpenPGP secret key: neither its block of text nor base64.')
      }
      try {
        const token = await keyTransfers.put(session.account, ring)
        count('done')
        return leftUnder(token, web.url + PATH, keyTransfers.lifetimeMs)
      } catch (error) {
        const fault = faultOf(error, REFUSALS)
        if (fault === undefined) throw error
        count(fault)
        const [condition, text] = REFUSALS[fault]
        throw condition === 'bad-request' ? badForm(text, error) : new StanzaError(condition, { text, cause: error })
      }
    }

    /** The key by its token. A page reloaded, prefetched or looked at by a scanner of links spends nothing: only a POST does. */
    const fetchKey = async (token: string, ip: string): Promise<HttpAnswer> => {
      const count = (outcome: string): void => metrics.steps.inc({ step: 'fetch', outcome })
      try {
        const keys = await keyTransfers.take(token, ip)
        count('done')
        const headers = {
          'content-type': 'application/pgp-keys',
          'content-disposition': 'attachment; filename="secret-key.asc"',
        }
        // Both halves, as in-band: only the public one has our certification.
        const body = armored('PRIVATE KEY BLOCK', keys.secret) + armored('PUBLIC KEY BLOCK', keys.public)
        return { status: 200, headers, body }
      } catch (error) {
        const fault = faultOf(error, STATUS)
        if (fault === undefined) throw error
        count(fault)
        const [status, why] = STATUS[fault]
        return page(status, asking(disco.domains, why))
      }
    }
    /** The store is not asked: the code tells nothing of the token, and does not spend it. */
    const showCode = (token: string, form: URLSearchParams): HttpAnswer => {
      const [only, ...others] = disco.domains
      const named = others.length === 0 ? only : prepareDomain(form.get('domain') ?? '')
      const number = parsePhone(form.get('number') ?? '')?.e164
      const isReady = named !== undefined && disco.domains.has(named) && number !== undefined
      metrics.steps.inc({ step: 'code', outcome: isReady ? 'done' : 'malformed' })
      return isReady
        ? page(200, shownCode({ token, number, domain: named }))
        : page(
            400,
            asking(disco.domains, 'The code needs the phone number of the account, with + and the country code.'),
          )
    }
    const post = async (request: HttpRequest): Promise<HttpAnswer> => {
      const refused = (status: number, why: string): HttpAnswer => page(status, asking(disco.domains, why))
      if (!isOwn(request, new URL(web.url).origin)) return refused(403, 'This form belongs to another site.')
      if (!isForm(request)) return refused(415, 'Send the form of this page.')
      const body = await bounded(request.body(), MAX_BODY)
      if (body === undefined) return refused(413, 'This is more than the form holds.')
      const form = new URLSearchParams(body.toString())
      const token = (form.get('token') ?? '').replaceAll(/\s/g, '')
      // Before it is tried: who mistyped its length need not pay for it.
      if (!TOKEN.test(token)) return refused(400, 'A token has 40 digits.')
      const wanted = form.get('do')
      if (wanted === 'fetch') return fetchKey(token, request.ip)
      return wanted === 'code' ? showCode(token, form) : refused(400, 'Choose one of the two buttons.')
    }

    return {
      routes: [{ name: 'key_transfer', path: PATH, get: () => page(200, asking(disco.domains)), post }],
      commands: [
        { node: 'key-transfer', name: TITLE, who: 'account', run: ({ session, form }) => leave(session, form) },
      ],
    }
  },
})

const FORM = {
  title: TITLE,
  instructions:
    'The server keeps your secret key for a short time and gives you a token, with which the other device fetches it, once. Give the key as your OpenPGP program exports it (gpg --armor --export-secret-keys). It must be locked with a passphrase, which the server does not learn.',
  formType: FORM_TYPE,
  fields: [{ var: 'key', type: 'text-multi', label: 'Secret key, locked with its passphrase', required: true }],
} as const

function leftUnder(token: string, url: string, lifetimeMs: number): CommandStep {
  const lasts = lifetimeMs < 60_000 ? `${lifetimeMs / 1000} s` : `${Math.floor(lifetimeMs / 60_000)} min`
  const how = `On the other device type this token into Kontalk’s app, or open ${url}`
  return {
    note: `${how}\nToken: ${halves(token)}\nIt works once, within ${lasts}. Show it to nobody else.`,
    result: {
      title: TITLE,
      formType: FORM_TYPE,
      fields: [
        { var: 'token', type: 'text-single', label: 'Token', values: [token] },
        { var: 'url', type: 'text-single', label: 'Page', values: [url] },
      ],
    },
  }
}
/** As Kontalk's app shows it. */
const halves = (token: string): string => `${token.slice(0, token.length / 2)} ${token.slice(token.length / 2)}`

/** Undefined for what the table does not have. */
function faultOf<Fault extends TransferFault>(
  error: unknown,
  table: Readonly<Record<Fault, unknown>>,
): Fault | undefined {
  return error instanceof TransferError && Object.hasOwn(table, error.fault) ? (error.fault as Fault) : undefined
}
const badForm = (text: string, cause?: unknown): StanzaError =>
  new StanzaError('bad-request', { text, app: el('bad-payload', NS_COMMANDS), cause })

/**
 * Whether our own page sent the form, or no browser at all. There is no login that another site could abuse, but its visitors: it
 * would spend the tries of their addresses on guesses of its own, and have them download a key, or scan a code, that is somebody
 * else's, who then reads along.
 *
 * The browser says where a request comes from, which no page can change; older ones, and all without TLS, name only the page's origin.
 */
function isOwn(request: HttpRequest, own: string): boolean {
  const site = request.header('sec-fetch-site')
  // `none`: by the user's own hand, as when an answer is loaded again.
  if (site !== undefined) return site === 'same-origin' || site === 'none'
  const origin = request.header('origin')
  return origin === undefined || origin === own
}
const isForm = (request: HttpRequest): boolean =>
  request.header('content-encoding') === undefined &&
  /^application\/x-www-form-urlencoded\s*(?:;|$)/i.test(request.header('content-type') ?? '')

/**
 * What the code of Kontalk's app holds (its RegisterDeviceActivity, since 2017): the number, since the app compares it with the key's
 * user ID, the domain and the token, with semicolons between them.
 */
const codeText = ({ token, number, domain }: Code): string => `${number};${domain};${token}`
interface Code {
  readonly token: string
  /** E.164. */
  readonly number: string
  readonly domain: Domain
}

/** Some 2 ms of CPU; what one address may ask for is bounded by the server (`requests_per_address`). */
function qrCode(text: string): string {
  const { data, size } = encode(text, { ecc: 'M', border: 4 })
  const dark = data.flatMap((row, y) => row.flatMap((isDark, x) => (isDark ? [`M${x} ${y}h1v1h-1z`] : [])))
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size} ${size}" role="img" aria-label="QR code" shape-rendering="crispEdges"><rect width="${size}" height="${size}" fill="#fff"/><path d="${dark.join('')}" fill="#000"/></svg>`
}

const STYLE =
  ':root{color-scheme:light dark}body{font:1.1rem/1.5 system-ui,sans-serif;margin:0 auto;max-width:34rem;padding:1rem}label,input,select,button{display:block;font:inherit;box-sizing:border-box;max-width:100%}input,select{width:100%}input,select,button{margin:.25rem 0;min-height:3rem;padding:.5rem}dd{overflow-wrap:anywhere}svg{display:block;margin:auto;max-width:24rem}[role=alert]{border:.2rem solid;padding:.5rem 1rem}'
/**
 * Over the safe headers of each answer. The page has one style and one form, which may be sent here and answered with a file; no script.
 * It stays of its own origin, and says it to nobody but us: with an opaque origin, or no referrer at all, browsers would not tell
 * its form from that of another site (Fetch, "append a request Origin header"). Its address holds no secret.
 */
const PAGE_HEADERS: Readonly<Record<string, string>> = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': [
    "default-src 'none'",
    `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
    'sandbox allow-forms allow-downloads allow-same-origin',
  ].join('; '),
  'referrer-policy': 'same-origin',
}
const page = (status: number, content: string): HttpAnswer => ({
  status,
  headers: PAGE_HEADERS,
  body: `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${TITLE}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>${TITLE}</h1>
${content}
</main>
</body>
</html>
`,
})
/** Enter presses the first button, which spends nothing. What was typed is not shown again. */
function asking(domains: ReadonlySet<Domain>, fault?: string): string {
  const options = [...domains].map((domain) => `<option>${escaped(domain)}</option>`)
  const choice =
    domains.size > 1
      ? `<label for="domain">Server of the account</label>\n<select id="domain" name="domain">${options.join('')}</select>\n`
      : ''
  return `${fault === undefined ? '' : `<p role="alert">${escaped(fault)}</p>\n`}<p>The device that has your key left it here, still locked with its passphrase, and gave you a token. The token works once, and not for long.</p>
<form method="post" action="${PATH}" autocomplete="off">
<label for="token">Token (40 digits)</label>
<input id="token" name="token" inputmode="numeric" autocomplete="off" required pattern="(\\s*[0-9]){40}\\s*" maxlength="60" title="40 digits">
<h2>The other device has Kontalk’s app</h2>
<p>Show the token as a QR code here, and scan it there: “Register from another device”.</p>
<label for="number">Phone number of the account, with + and the country code</label>
<input id="number" name="number" type="tel" inputmode="tel" autocomplete="tel" maxlength="40">
${choice}<button name="do" value="code">Show as QR code</button>
<h2>This device is to have the key</h2>
<p>It comes as a file for your OpenPGP program, which asks you for the passphrase. The token is used up then.</p>
<button name="do" value="fetch">Fetch the key</button>
</form>`
}
function shownCode(code: Code): string {
  return `<p>Scan this with Kontalk’s app on the other device, or type what stands below. Show it to nobody else.</p>
${qrCode(codeText(code))}
<dl>
<dt>Phone number</dt><dd>${escaped(code.number)}</dd>
<dt>Server</dt><dd>${escaped(code.domain)}</dd>
<dt>Token</dt><dd>${halves(code.token)}</dd>
</dl>
<p><a href="${PATH}">Another token</a></p>`
}
const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
const escaped = (text: string): string => text.replaceAll(/[&<>"]/g, (char) => ENTITIES[char] ?? char)
