import { z } from 'zod'
import { AccountError, type AccountFault } from '../account/accounts.ts'
import { PasswordError, type PasswordFault } from '../account/password.ts'
import { type Registration, RegistrationError, type RegistrationFault } from '../account/registration.ts'
import { TakeoverError, type TakeoverFault } from '../account/takeovers.ts'
import { VerificationError, type VerificationFault } from '../account/verification.ts'
import type { CommandStep } from '../contract/command.ts'
import { defineFeature } from '../contract/feature.ts'
import type { OfferedStream } from '../contract/handler.ts'
import type { Session } from '../contract/session.ts'
import { TransferError, type TransferFault } from '../keys/transfers.ts'
import { booleanOf, type DataForm, fieldValue } from '../xmpp/data-form.ts'
import { formatDateTime } from '../xmpp/date-time.ts'
import { child, children, type Element, el, textOf } from '../xmpp/element.ts'
import { type BareJid, domainOf, localOf, prepareLocal } from '../xmpp/jid.ts'
import { NS_DATA, NS_REGISTER } from '../xmpp/ns.ts'
import type { Iq } from '../xmpp/stanza.ts'
import { type Condition, StanzaError, type StanzaErrorOptions } from '../xmpp/stanza-error.ts'

/** XEP-0077 §8. */
const NS_REGISTER_FEATURE = 'http://jabber.org/features/iq-register'
/** FORM_TYPE of Kontalk's second step: the code, and the key in the stream's certificate. */
const KONTALK_CODE = 'http://kontalk.org/protocol/register#code'
/** FORM_TYPE under which a device leaves its secret key for another one of its owner's, and gets a token. */
const KONTALK_PRIVATE_KEY = 'http://kontalk.org/protocol/register#privatekey'
/** Wherein the other device asks for it. */
const NS_KONTALK_ACCOUNT = 'http://kontalk.org/protocol/register#account'
/** FORM_TYPE of a new key in the place of one that is revoked. */
const KONTALK_KEY = 'http://kontalk.org/protocol/register#key'
/** Our own field: the registration lock of the account to be replaced. */
const LOCK = 'registration-lock'
/** FORM_TYPE of a change of password by form (XEP-0077 §3.3). */
const CHANGE_PASSWORD = 'jabber:iq:register:changepassword'

type Fault = RegistrationFault | VerificationFault | AccountFault | PasswordFault | TransferFault | TakeoverFault
type Answer = readonly [Condition, StanzaErrorOptions]

const BAD_CODE: Answer = ['bad-request', { text: 'Invalid verification code.' }]
const BAD_NAME: Answer = ['not-acceptable', { text: 'This name cannot be registered.' }]
/** Conditions, types and texts that Kontalk's clients were made for, where they have one. Why a code is wrong is told to nobody. */
const ANSWERS = {
  closed: ['not-allowed', { text: 'Registration is closed.' }],
  'bad-number': ['bad-request', { text: 'Bad phone number.' }],
  'number-refused': ['not-acceptable', { text: 'Codes are not sent to this number.' }],
  'bad-key': ['bad-request', { text: 'Invalid public key.' }],
  'bad-revocation': ['forbidden', { text: 'Invalid revocation key.' }],
  'not-certified': [
    'internal-server-error',
    { text: 'Internal PGP error. Please contact administrator.', type: 'wait' },
  ],
  'bad-name': BAD_NAME,
  throttled: ['service-unavailable', { text: 'Too many attempts.', type: 'wait' }],
  taken: ['conflict', { text: 'Another user is registered with the same id.', type: 'modify' }],
  unable: ['not-acceptable', { text: 'Unable to verify number.' }],
  'wrong-code': BAD_CODE,
  expired: BAD_CODE,
  locked: BAD_CODE,
  malformed: BAD_NAME,
  foreign: BAD_NAME,
  reserved: BAD_NAME,
  unknown: ['registration-required', {}],
  'too-short': ['not-acceptable', { text: 'The password is too short.' }],
  'too-long': ['not-acceptable', { text: 'The password is too long.' }],
  'not-allowed': ['not-acceptable', { text: 'The password holds characters that are not allowed.' }],
  'no-key': ['not-allowed', { text: 'This account has no key.' }],
  'bad-secret-key': ['bad-request', { text: 'Invalid private key.' }],
  'bad-token': ['not-authorized', { text: 'Invalid private key token.' }],
  untold: ['resource-constraint', { text: 'Too busy; try again later.' }],
  waiting: [
    'service-unavailable',
    {
      text: 'This number has an account that is in use. Its devices were told; unless one of them refuses, come again after',
      type: 'wait',
    },
  ],
  'needs-lock': [
    'service-unavailable',
    { text: 'The account of this number is locked. Give its registration lock, or come again after', type: 'wait' },
  ],
  refused: [
    'service-unavailable',
    { text: 'A device of this number’s account has refused. You may ask again after', type: 'wait' },
  ],
  disabled: ['forbidden', { text: 'The account of this number was shut by the operator.' }],
  'wrong-lock': ['not-authorized', { text: 'This is not the registration lock of the account.' }],
  'lock-tried': ['service-unavailable', { text: 'Too many attempts.', type: 'wait' }],
  busy: ['resource-constraint', { text: 'Too many requests at once.' }],
} satisfies Record<Fault, Answer>

type Step = 'phone' | 'code' | 'open' | 'password' | 'remove' | 'leave-key' | 'fetch-key' | 'roll-key'

const webPage = () => z.url({ protocol: /^https?$/, error: 'expected an http address' })
/** Kontalk's apps show an image of the size that fits their screen, or the next best one, and lead to the page. */
const brand = z.strictObject({
  vector: webPage().describe('SVG.'),
  small: webPage().optional(),
  medium: webPage().optional(),
  large: webPage().optional(),
  hd: webPage().optional(),
  link: webPage().optional().describe('The page of whoever runs this server.'),
})
type Brand = z.output<typeof brand>

/** XEP-0077: In-Band Registration. */
export default defineFeature({
  name: 'register',
  xeps: [{ number: 77, version: '2.4', status: 'complete' }],
  config: z
    .strictObject({
      /** Page with the terms of service; who registers a number must accept them. */
      terms: webPage().optional(),
      brand: brand.optional(),
    })
    .prefault({}),
  disco: { server: [NS_REGISTER] },
  metrics: {
    steps: {
      type: 'counter',
      name: 'fernruf_register_steps_total',
      help: 'Steps of registration and changes of accounts by their owners, by outcome.',
      labels: ['step', 'outcome'],
    },
  },
  uses: ['accounts', 'keyTransfers', 'registration', 'sessions'],
  setup: ({ config, metrics, ports, log }) => {
    /** Counts how a step ends and turns the domain's faults into answers. */
    async function step<T>(name: Step, work: () => Promise<T>): Promise<T> {
      try {
        const result = await work()
        metrics.steps.inc({ step: name, outcome: 'done' })
        log.info({ step: name }, 'registration step done')
        return result
      } catch (error) {
        const fault = faultOf(error)
        metrics.steps.inc({ step: name, outcome: fault ?? 'failed' })
        if (fault === undefined) throw error
        if (fault === 'not-certified')
          log.error({ step: name, err: (error as Error).cause }, 'openpgp key could not be certified')
        else log.info({ step: name, fault }, 'registration step refused')
        const [condition, options]: Answer = ANSWERS[fault]
        throw new StanzaError(condition, { ...options, ...untilText(error, options.text), cause: error })
      }
    }

    async function register(query: Element, stream: OfferedStream): Promise<Element | undefined> {
      const { instructions } = ports.registration
      const { domain, ip } = stream
      const fields = fieldsOf(query)
      const given = (name: string): string | undefined => fields.get(name)?.trim() || undefined
      if (fields.get('FORM_TYPE') === KONTALK_CODE) {
        const { certificate } = stream
        const code = given('code') ?? ''
        if (certificate === undefined) throw new StanzaError('bad-request', { text: 'Invalid public key.' })
        const call = { code, certificate, domain, ip, lock: given(LOCK) }
        return certified((await step('code', () => ports.registration.submitCodeWithKey(call))).key)
      }
      const phone = given('phone')
      if (phone === undefined) {
        const [username, password] = [given('username'), fields.get('password')]
        if (username === undefined || !password) throw incomplete(instructions)
        await step('open', () => ports.registration.open({ username, password, domain, ip }))
        return undefined
      }
      if (config.terms !== undefined && !isTrue(given('accept-terms')))
        throw new StanzaError('bad-request', { text: 'Service terms were not accepted.' })
      const call = { phone, domain, ip, fallback: isTrue(given('fallback')), force: isTrue(given('force')) }
      // Only the form of standard clients has these; Kontalk proves itself by its key, and asks for the code alone.
      if (!fields.has('password') && !fields.has('code'))
        return onItsWay(await step('phone', () => ports.registration.submitPhone(call)), config.brand)

      const [code, password] = [given('code'), fields.get('password')]
      if (!password) throw new StanzaError('not-acceptable', { text: 'Choose a password.' })
      if (code === undefined) {
        const { jid } = await step('phone', () => ports.registration.submitPhone(call))
        // The one place where users learn their address before they are asked for it. Not for any log.
        const text = `A code was sent to this number. Enter it and submit the form again. Your address will be ${jid}`
        throw new StanzaError('not-acceptable', { text, app: formOf(instructions, config.terms) })
      }
      const account = await step('code', () =>
        ports.registration.submitCodeWithPassword({ phone, code, password, domain, ip, lock: given(LOCK) }),
      )
      return registered(localOf(account.jid))
    }

    async function change(query: Element, session: Session): Promise<Element | undefined> {
      if (child(query, 'remove', NS_REGISTER) !== undefined) {
        if (query.children.filter((c) => typeof c !== 'string').length > 1) throw new StanzaError('bad-request')
        await step('remove', () => ports.accounts.remove(session.account, session))
        // After the answer, which leaves in this turn (XEP-0077 §3.2).
        setImmediate(() => ports.sessions.end(session.account, 'not-authorized', 'The account was removed.'))
        return
      }
      const fields = fieldsOf(query)
      const type = fields.get('FORM_TYPE')
      if (type === KONTALK_PRIVATE_KEY) {
        const ring = decoded(fields, 'privatekey', 'Invalid private key.')
        return leftUnder(await step('leave-key', () => ports.keyTransfers.put(session.account, ring)))
      }
      if (type === KONTALK_KEY) {
        const { account: jid } = session
        const revoked = decoded(fields, 'revoked', 'Invalid revocation key.')
        const call = { jid, by: session, revoked, ring: decoded(fields, 'publickey', 'Invalid public key.') }
        return certified(await step('roll-key', () => ports.registration.rollOver(call)))
      }
      if (type !== undefined && type !== CHANGE_PASSWORD && type !== NS_REGISTER)
        throw new StanzaError('feature-not-implemented')
      const [username, password] = [fields.get('username'), fields.get('password')]
      if (!username || !password)
        throw new StanzaError('bad-request', { text: 'A username and a password are needed.' })
      if (!isOwnName(username, session))
        throw new StanzaError('not-allowed', { text: 'Only your own password can be changed.' })
      await step('password', () => ports.accounts.setPassword(session.account, password, session))
      endOthers(session)
      return
    }

    /** For clients that change no passwords by themselves (XEP-0050). */
    async function newPassword(session: Session, form: DataForm | undefined): Promise<CommandStep> {
      const { account, accountId, jid } = session
      if (form === undefined) return { form: passwordForm(account) }
      const [password, again] = [fieldValue(form, 'password'), fieldValue(form, 'again')]
      if (!password) throw new StanzaError('not-acceptable', { text: 'Choose a password.' })
      if (password !== again) throw new StanzaError('not-acceptable', { text: 'The two passwords differ.' })
      const keepsSessions = booleanOf(form, 'end-sessions') === false
      const by = { account, accountId, jid, keepsSessions }
      await step('password', () => ports.accounts.setPassword(account, password, by))
      return { note: 'The password was changed.' }
    }
    const endOthers = ({ account, jid }: Session): void =>
      ports.sessions.end(account, 'not-authorized', 'The password was changed.', jid)

    async function fetchKey(wanted: Element, { ip }: OfferedStream): Promise<Element> {
      const token = child(wanted, 'token', NS_KONTALK_ACCOUNT)
      if (token === undefined) throw new StanzaError('bad-request')
      return handed(await step('fetch-key', () => ports.keyTransfers.take(textOf(token).trim(), ip)))
    }

    const about = ({ account }: Session): Element => registered(localOf(account))
    const names = { name: 'query', ns: NS_REGISTER } as const

    return {
      streamFeatures: [
        {
          name: 'register',
          ns: NS_REGISTER_FEATURE,
          needs: ['secure'],
          until: ['authenticated'],
          advertise: () => (isOpen(ports.registration.instructions) ? el('register', NS_REGISTER_FEATURE) : undefined),
          chosenBy: {
            name: 'query',
            ns: NS_REGISTER,
            choose: async (query, stream, type) => {
              const { instructions } = ports.registration
              if (!stream.flags.has('secure')) throw new StanzaError('not-allowed', { text: 'Use TLS.' })
              const wanted = type === 'get' ? wantedKey(query) : undefined
              if (wanted !== undefined) return { reply: await fetchKey(wanted, stream) }
              if (!isOpen(instructions)) throw new StanzaError('not-allowed', { text: 'Registration is closed.' })
              if (type === 'set') return { reply: await register(query, stream) }
              // A get with content asks for something else.
              if (query.children.some((c) => typeof c !== 'string')) throw new StanzaError('feature-not-implemented')
              return { reply: questions(instructions, config.terms) }
            },
          },
        },
      ],
      iq: [
        { ...names, target: 'self', type: 'get', answer: ({ session }) => about(session) },
        { ...names, target: 'self', type: 'set', answer: ({ payload, session }) => change(payload, session) },
        { ...names, target: 'server', type: 'get', answer: (call) => about(atHome(call)) },
        { ...names, target: 'server', type: 'set', answer: (call) => change(call.payload, atHome(call)) },
      ],
      commands: [
        {
          node: 'change-password',
          name: 'Change my password',
          who: 'account',
          run: ({ session, form }) => newPassword(session, form),
        },
      ],
    }
  },
})

function faultOf(error: unknown): Fault | undefined {
  const known =
    error instanceof RegistrationError ||
    error instanceof VerificationError ||
    error instanceof AccountError ||
    error instanceof PasswordError ||
    error instanceof TransferError ||
    error instanceof TakeoverError
  return known ? error.fault : undefined
}

/** From when on it may be tried again, where the text asks for it. */
function untilText(error: unknown, text: string | undefined): { readonly text?: string } {
  if (!(error instanceof TakeoverError) || error.until === undefined || text?.endsWith(' after') !== true) return {}
  return { text: `${text} ${formatDateTime(new Date(Math.ceil(error.until / 1000) * 1000))}.` }
}

type Instructions = Registration['instructions']
const isOpen = ({ sms, open }: Instructions): boolean => sms || open

function incomplete({ sms, open }: Instructions): StanzaError {
  if (!sms) return new StanzaError('not-acceptable', { text: 'A username and a password are needed.' })
  if (open)
    return new StanzaError('not-acceptable', { text: 'A phone number, or a username and a password, is needed.' })
  const text = 'Please provide either a phone number or a public key and a verification code.'
  return new StanzaError('bad-request', { text })
}

/** What a stranger is asked: the plain fields where names may be chosen, and the form where codes are sent (XEP-0077 §3.1, §4). */
function questions(instructions: Instructions, terms: string | undefined): Element {
  const { sms, open } = instructions
  const parts: Element[] = []
  if (open) {
    const text = sms ? 'Choose a username and a password, or fill in the form.' : 'Choose a username and a password.'
    const agreed = terms === undefined ? text : `${text} By registering you accept the terms: ${terms}`
    parts.push(el('instructions', NS_REGISTER, {}, agreed), el('username', NS_REGISTER), el('password', NS_REGISTER))
  } else {
    const text = 'Registration needs a phone number and a client that shows forms.'
    parts.push(el('instructions', NS_REGISTER, {}, text))
  }
  if (sms) parts.push(formOf(instructions, terms))
  return el('query', NS_REGISTER, {}, ...parts)
}

/** One form for Kontalk's two steps and for standard clients, which fill it in twice: without the code, and with it. */
function formOf({ open, canFallback }: Instructions, terms: string | undefined): Element {
  const text =
    'Enter your phone number with + and the country code, and a password; submit the form and wait for the code.'
  const required = el('required', NS_DATA)
  const fields = [
    field('FORM_TYPE', 'hidden', undefined, NS_REGISTER),
    field('phone', 'text-single', 'Phone number', undefined, ...(open ? [] : [required])),
    field('code', 'text-single', 'Code, once you have it'),
    ...(open ? [field('username', 'text-single', 'Username, instead of a phone number')] : []),
    field('password', 'text-private', 'Password', undefined, required),
    field('force', 'boolean', 'Replace the account that this number has; all of it is lost', '0'),
    field(LOCK, 'text-private', 'Registration lock of that account, if it has one'),
    ...(canFallback ? [field('fallback', 'boolean', 'Send the code the other way', '0')] : []),
    field('challenge', 'hidden', 'Challenge type', 'pin'),
  ]
  if (terms !== undefined) {
    fields.push(field('accept-terms', 'boolean', `Accept terms of service? ${terms}`, undefined, required))
    fields.push(field('terms', 'hidden', undefined, terms))
  }
  const head = [el('title', NS_DATA, {}, 'Registration'), el('instructions', NS_DATA, {}, text)]
  return el('x', NS_DATA, { type: 'form' }, ...head, ...fields)
}

/** Kontalk's answer to a number. `from` must be there. */
function onItsWay(
  { sender, canFallback }: { readonly sender: string; readonly canFallback: boolean },
  shown: Brand | undefined,
): Element {
  const fields = [
    field('FORM_TYPE', 'hidden', undefined, NS_REGISTER),
    field('from', 'text-single', 'Sender ID', sender),
    field('challenge', 'text-single', 'Challenge type', 'pin'),
    ...(canFallback ? [field('can-fallback', 'boolean', 'Can be sent another way', 'true')] : []),
    ...Object.entries(shown ?? {}).map(([name, url]) =>
      field(name === 'link' ? 'brand-link' : `brand-image-${name}`, 'text-single', undefined, url),
    ),
  ]
  const instructions = el('instructions', NS_REGISTER, {}, 'A text message with a code is on its way.')
  return el('query', NS_REGISTER, {}, instructions, el('x', NS_DATA, { type: 'form' }, ...fields))
}

/** Kontalk's answer to a code: the whole key, certified. */
function certified(key: Uint8Array): Element {
  const fields = [
    field('FORM_TYPE', 'hidden', undefined, KONTALK_CODE),
    field('publickey', 'text-single', 'Signed public key', Buffer.from(key).toString('base64')),
  ]
  return el('query', NS_REGISTER, {}, el('x', NS_DATA, { type: 'form' }, ...fields))
}

/** Kontalk's answer to a secret key. */
function leftUnder(token: string): Element {
  const fields = [
    field('FORM_TYPE', 'hidden', undefined, KONTALK_PRIVATE_KEY),
    field('token', 'text-single', 'Private key identification token', token),
  ]
  return el('query', NS_REGISTER, {}, el('x', NS_DATA, { type: 'form' }, ...fields))
}

/** The request for a secret key in it, if it is one. */
function wantedKey(query: Element): Element | undefined {
  const account = child(query, 'account', NS_KONTALK_ACCOUNT)
  return account && child(account, 'privatekey', NS_KONTALK_ACCOUNT)
}

/** Kontalk's answer to a token: both halves, as binary keyrings. */
function handed(keys: { readonly secret: Uint8Array; readonly public: Uint8Array }): Element {
  const half = (name: string, ring: Uint8Array): Element =>
    el(name, NS_KONTALK_ACCOUNT, {}, Buffer.from(ring).toString('base64'))
  const both = el('privatekey', NS_KONTALK_ACCOUNT, {}, half('private', keys.secret), half('public', keys.public))
  return el('query', NS_REGISTER, {}, el('account', NS_KONTALK_ACCOUNT, {}, both))
}

/** A field of base64, white space in it left out. @throws StanzaError bad-request with this text */
function decoded(fields: ReadonlyMap<string, string>, name: string, text: string): Uint8Array {
  const packed = (fields.get(name) ?? '').replaceAll(/\s+/g, '')
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(packed)) throw new StanzaError('bad-request', { text })
  return Buffer.from(packed, 'base64')
}

function passwordForm(account: BareJid) {
  return {
    title: 'Change my password',
    instructions: `With it any XMPP client logs in, as ${account}.`,
    formType: 'fernruf:change-password',
    fields: [
      { var: 'password', type: 'text-private', label: 'New password', required: true },
      { var: 'again', type: 'text-private', label: 'The same again', required: true },
      { var: 'end-sessions', type: 'boolean', label: 'End my other sessions', values: ['1'] },
    ],
  } as const
}

function registered(local = ''): Element {
  const username = el('username', NS_REGISTER, {}, local)
  return el('query', NS_REGISTER, {}, el('registered', NS_REGISTER), username, el('password', NS_REGISTER))
}

function field(name: string, type: string, label?: string, value?: string, ...more: readonly Element[]): Element {
  const attrs = { var: name, type, ...(label === undefined ? {} : { label }) }
  const values = value === undefined ? [] : [el('value', NS_DATA, {}, value)]
  return el('field', NS_DATA, attrs, ...values, ...more)
}

/** What was filled in, from the form (XEP-0004 §3.2) or else from the plain fields; the first of several is the one. */
function fieldsOf(query: Element): ReadonlyMap<string, string> {
  const fields = new Map<string, string>()
  const add = (name: string | undefined, value: string): void => {
    if (name !== undefined && !fields.has(name)) fields.set(name, value)
  }
  const form = child(query, 'x', NS_DATA)
  if (form === undefined) {
    for (const c of query.children) if (typeof c !== 'string' && c.ns === NS_REGISTER) add(c.name, textOf(c))
    return fields
  }
  if (form.attrs.type !== 'submit') throw new StanzaError('bad-request', { text: 'The form was not submitted.' })
  for (const f of children(form, 'field', NS_DATA)) {
    const value = child(f, 'value', NS_DATA)
    add(f.attrs.var, value === undefined ? '' : textOf(value))
  }
  return fields
}
const isTrue = (value: string | undefined): boolean => value === 'true' || value === '1'

/** The session that asks its own server; with any other there is nothing to register. @throws StanzaError */
function atHome({ request, session }: { readonly request: Iq; readonly session: Session | undefined }): Session {
  if (session === undefined || request.to === undefined || domainOf(request.to) !== domainOf(session.jid))
    throw new StanzaError('service-unavailable')
  return session
}

/** The session's own localpart; some clients write the whole address. */
function isOwnName(username: string, session: Session): boolean {
  return username === session.account || prepareLocal(username) === localOf(session.account)
}
