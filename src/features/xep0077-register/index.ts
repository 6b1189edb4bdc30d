import { z } from 'zod'
import type { CommandStep } from '../../contract/command.ts'
import { defineFeature } from '../../contract/feature.ts'
import type { OfferedStream } from '../../contract/handler.ts'
import type { Session } from '../../contract/session.ts'
import { booleanOf, type DataForm, fieldValue } from '../../xmpp/data-form.ts'
import { child, type Element, el, textOf } from '../../xmpp/element.ts'
import { domainOf, localOf, prepareLocal } from '../../xmpp/jid.ts'
import { NS_REGISTER } from '../../xmpp/ns.ts'
import type { Iq } from '../../xmpp/stanza.ts'
import { StanzaError } from '../../xmpp/stanza-error.ts'
import { faultOf, refusalOf } from './answers.ts'
import {
  certified,
  decoded,
  fieldsOf,
  formOf,
  handed,
  incomplete,
  isOpen,
  isTrue,
  KONTALK_CODE,
  KONTALK_KEY,
  KONTALK_PRIVATE_KEY,
  LOCK,
  leftUnder,
  NS_KONTALK_ACCOUNT,
  onItsWay,
  passwordForm,
  questions,
  registered,
  wantedKey,
} from './forms.ts'

/** XEP-0077 §8. */
const NS_REGISTER_FEATURE = 'http://jabber.org/features/iq-register'
/** FORM_TYPE of a change of password by form (XEP-0077 §3.3). */
const CHANGE_PASSWORD = 'jabber:iq:register:changepassword'

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
        throw refusalOf(fault, error)
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
