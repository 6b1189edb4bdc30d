/**
 * An account's word when somebody else has proven its number (DESIGN.md section 6), and its registration lock: as commands
 * (XEP-0050), and by plain answers for clients that know no commands, Kontalk's among them.
 */
import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import type { SessionAccount } from '../account/accounts.ts'
import { PasswordError, type PasswordFault } from '../account/password.ts'
import { type Claim, REGISTRATION_SERVICE } from '../account/takeover.ts'
import type { CommandStep } from '../contract/command.ts'
import { defineFeature } from '../contract/feature.ts'
import { type DataForm, fieldValue } from '../xmpp/data-form.ts'
import { formatDateTime } from '../xmpp/date-time.ts'
import { child, el, textOf } from '../xmpp/element.ts'
import { type BareJid, bareOf, type Jid } from '../xmpp/jid.ts'
import { NS_CLIENT, NS_COMMANDS } from '../xmpp/ns.ts'
import { type Message, Stanza } from '../xmpp/stanza.ts'
import { type Condition, StanzaError } from '../xmpp/stanza-error.ts'

type Word = 'agreed' | 'refused'
const WORDS: ReadonlyMap<string, Word> = new Map([
  ['yes', 'agreed'],
  ['no', 'refused'],
])
const SAID: Readonly<Record<Word, string>> = {
  agreed: 'The other device may go on. This account and all it has will be deleted then.',
  refused: 'Refused. This account stays as it is.',
}
const NOBODY = 'Nobody wants to register the number of this account.'
const FAULTS = {
  'too-short': ['not-acceptable', 'The lock is too short.'],
  'too-long': ['not-acceptable', 'The lock is too long.'],
  'not-allowed': ['not-acceptable', 'The lock holds characters that are not allowed.'],
  busy: ['resource-constraint', 'Too many requests at once.'],
} as const satisfies Record<PasswordFault, readonly [Condition, string]>

export default defineFeature({
  name: 'takeover',
  xeps: [],
  requires: ['commands', 'register'],
  config: z.strictObject({}).prefault({}),
  metrics: {
    answers: {
      type: 'counter',
      name: 'fernruf_takeover_answers_total',
      help: 'Answers of devices to whoever has proven the number of their account.',
      labels: ['word'],
    },
  },
  uses: ['line', 'takeovers', 'views'],
  setup: ({ metrics, ports: { line, takeovers, views }, log }) => {
    async function answer(account: { readonly id: number; readonly jid: BareJid }, word: Word): Promise<string> {
      if (!(await takeovers.answer(account, word))) return NOBODY
      metrics.answers.inc({ word })
      return SAID[word]
    }
    async function choose(session: SessionAccount, form: DataForm | undefined): Promise<CommandStep> {
      const account = idOf(session)
      const claim = await takeovers.claim(account)
      if (claim === undefined) return { note: NOBODY }
      if (form === undefined) return { form: choiceOn(claim) }
      const word = fieldValue(form, 'word')
      if (word !== 'agreed' && word !== 'refused') throw badForm('Agree, or refuse?')
      return { note: await answer(account, word) }
    }
    async function lock(session: SessionAccount, form: DataForm | undefined): Promise<CommandStep> {
      const account = idOf(session)
      if (form === undefined) return { form: lockForm(await takeovers.hasLock(account)) }
      const wanted = fieldValue(form, 'lock')
      if (wanted === undefined) throw badForm('Which lock?')
      try {
        await takeovers.setLock(account, wanted === '' ? undefined : wanted)
      } catch (error) {
        if (!(error instanceof PasswordError)) throw error
        const [condition, text] = FAULTS[error.fault]
        throw new StanzaError(condition, { text, cause: error })
      }
      return { note: wanted === '' ? 'The registration lock is off.' : 'The registration lock is set.' }
    }

    /** What is said to our service by a session of ours. */
    async function heard(message: Message): Promise<void> {
      const { account } = await views.load(bareOf(message.from))
      if (account === undefined) return
      const body = child(message.element, 'body', NS_CLIENT)
      const said =
        body === undefined
          ? ''
          : textOf(body)
              .slice(0, 32)
              .replaceAll(/[\s.!]/g, '')
      const word = WORDS.get(said.toLowerCase())
      if (word !== undefined) return reply(message, await answer(account, word))
      const claim = await takeovers.claim(account)
      reply(message, claim === undefined ? NOBODY : 'Answer YES or NO.')
    }
    function reply({ from, to }: Message, text: string): void {
      const id = randomBytes(12).toString('base64url')
      const fields = { kind: 'message', type: 'chat', id, from: to as Jid, to: from } as const
      line.submit(Stanza.of(fields, el('body', NS_CLIENT, {}, text)))
    }

    return {
      services: [
        { local: REGISTRATION_SERVICE, name: 'Registration', category: 'component', type: 'generic', features: [] },
      ],
      messages: [
        {
          local: REGISTRATION_SERVICE,
          name: 'body',
          ns: NS_CLIENT,
          spread: (message) => {
            heard(message).catch((error: unknown) => log.warn({ err: error }, 'answer to a takeover not taken'))
            return []
          },
        },
      ],
      commands: [
        {
          node: 'takeover',
          name: 'Registration of my number on another device',
          who: 'account',
          run: ({ session, form }) => choose(session, form),
        },
        {
          node: 'registration-lock',
          name: 'Registration lock of my number',
          who: 'account',
          run: ({ session, form }) => lock(session, form),
        },
      ],
    }
  },
})

const idOf = ({ account, accountId }: SessionAccount) => ({ jid: account, id: accountId })

function choiceOn({ askedAt, ripeAt, state }: Claim) {
  const at = (ms: number): string => formatDateTime(new Date(ms))
  const asked = `Somebody has proven this account’s number at ${at(askedAt)}.`
  const answered: Readonly<Record<Claim['state'], string>> = {
    waiting: `Unless it is refused, the account and all it has will be deleted after ${at(ripeAt)}.`,
    agreed: 'It was agreed to.',
    refused: 'It was refused.',
  }
  return {
    title: 'Registration of my number on another device',
    instructions: `${asked} ${answered[state]}`,
    formType: 'fernruf:takeover',
    fields: [
      {
        var: 'word',
        type: 'list-single',
        label: 'Another device may have the number, and this account is deleted',
        required: true,
        values: ['refused'],
        options: [
          { value: 'refused', label: 'No' },
          { value: 'agreed', label: 'Yes' },
        ],
      },
    ],
  } as const
}
function lockForm(isSet: boolean) {
  return {
    title: 'Registration lock',
    instructions: `A password without which nobody registers the number of this account as long as it is used. ${isSet ? 'One is set.' : 'None is set.'}`,
    formType: 'fernruf:registration-lock',
    fields: [{ var: 'lock', type: 'text-private', label: 'New lock; empty for none' }],
  } as const
}
const badForm = (text: string): StanzaError =>
  new StanzaError('bad-request', { text, app: el('bad-payload', NS_COMMANDS) })
