/**
 * XEP-0050: Ad-Hoc Commands, on the side of the server.
 *
 * Runs what features offer, on the account itself and on its domain. A command has one stage, or a form and then its end.
 */
import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import type { Command, CommandStep } from '../contract/command.ts'
import { defineFeature } from '../contract/feature.ts'
import type { Session } from '../contract/session.ts'
import { formElement, formIn } from '../xmpp/data-form.ts'
import type { DiscoInfo } from '../xmpp/disco.ts'
import { type Element, el } from '../xmpp/element.ts'
import { type BareJid, bareOf, domainOf, isFull, type Jid, localOf, parseJid } from '../xmpp/jid.ts'
import { NS_COMMANDS, NS_DATA } from '../xmpp/ns.ts'
import { StanzaError } from '../xmpp/stanza-error.ts'

/** Forms one session may have open; the oldest is forgotten for one more. */
const MAX_OPEN = 8
/** How long a form may be filled in, in ms. */
const OPEN_MS = 10 * 60_000
const ACTIONS: ReadonlySet<string> = new Set(['execute', 'cancel', 'prev', 'next', 'complete'])
/** In a stage of ours `execute` means `complete` (§3.4), and there is no other way but to cancel. */
const GOES_ON: ReadonlySet<string> = new Set(['execute', 'complete'])

interface Open {
  readonly node: string
  readonly until: number
}
type Condition = 'malformed-action' | 'bad-action' | 'bad-payload' | 'bad-sessionid'

const operator = () =>
  z.string('expected an address such as admin@example.org').transform((text, context): BareJid => {
    const jid = parseJid(text)
    if (jid !== undefined && localOf(jid) !== undefined && !isFull(jid)) return jid as BareJid
    context.issues.push({ code: 'custom', message: 'expected an address such as admin@example.org', input: text })
    return z.NEVER
  })

export default defineFeature({
  name: 'commands',
  xeps: [
    {
      number: 50,
      version: '1.3.0',
      status: 'partial',
      note: 'commands of one stage, or of a form and its end; in English',
    },
  ],
  requires: ['disco'],
  config: z
    .strictObject({
      operators: z.array(operator()).default([]).describe('Accounts that may run the commands for operators.'),
    })
    .prefault({}),
  disco: { server: [NS_COMMANDS], account: [NS_COMMANDS] },
  metrics: {},
  uses: ['commands', 'disco'],
  setup: ({ config, ports: { commands, disco } }) => {
    const operators: ReadonlySet<BareJid> = new Set(config.operators)
    const open = new WeakMap<Session, Map<string, Open>>()

    /** Own sessions find an account's commands at the account, and at its domain, where clients look for them. */
    function isOffered({ who }: Command, from: Jid, at: Jid): boolean {
      if (!disco.domains.has(domainOf(from))) return false
      if (who === 'account') return at === bareOf(from) || at === domainOf(from)
      return operators.has(bareOf(from)) && at === domainOf(at)
    }
    function commandOf(payload: Element, session: Session, at: Jid): Command {
      const command = commands.find(payload.attrs.node ?? '')
      if (command === undefined) throw new StanzaError('item-not-found')
      if (!isOffered(command, session.jid, at)) throw new StanzaError('forbidden', { type: 'cancel' })
      return command
    }

    function remember(session: Session, id: string, node: string): void {
      const forms = open.get(session) ?? new Map<string, Open>()
      open.set(session, forms)
      if (forms.size >= MAX_OPEN) forms.delete(forms.keys().next().value ?? '')
      forms.set(id, { node, until: Date.now() + OPEN_MS })
    }
    /** Takes the open form out, so that it is submitted once. */
    function take(session: Session, id: string, node: string): Open {
      const form = open.get(session)?.get(id)
      if (form === undefined || form.until < Date.now())
        throw new StanzaError('not-allowed', {
          text: 'This command is over.',
          app: el('session-expired', NS_COMMANDS),
        })
      if (form.node !== node) throw refused('bad-sessionid')
      open.get(session)?.delete(id)
      return form
    }

    async function run(payload: Element, session: Session, at: Jid): Promise<Element> {
      const command = commandOf(payload, session, at)
      const { action = 'execute', sessionid } = payload.attrs
      if (!ACTIONS.has(action)) throw refused('malformed-action')
      if (sessionid === undefined) {
        if (action !== 'execute') throw refused('bad-action')
        const id = randomBytes(16).toString('base64url')
        return after(await command.run({ session, form: undefined }), session, command, id)
      }
      if (action !== 'cancel' && !GOES_ON.has(action)) throw refused('bad-action')
      const { node } = take(session, sessionid, command.node)
      if (action === 'cancel') return commandElement(command, sessionid, 'canceled')
      try {
        const form = formIn(payload)
        if (form === undefined) throw refused('bad-payload')
        return after(await command.run({ session, form }), session, command, sessionid)
      } catch (error) {
        // What was wrong with the form may be put right.
        if (error instanceof StanzaError) remember(session, sessionid, node)
        throw error
      }
    }
    function after(step: CommandStep, session: Session, command: Command, id: string): Element {
      if ('note' in step)
        return commandElement(
          command,
          id,
          'completed',
          el('note', NS_COMMANDS, { type: step.level ?? 'info' }, step.note),
          ...(step.result === undefined ? [] : [formElement({ ...step.result, type: 'result' })]),
        )
      remember(session, id, command.node)
      return commandElement(
        command,
        id,
        'executing',
        el('actions', NS_COMMANDS, { execute: 'complete' }, el('complete', NS_COMMANDS)),
        formElement({ ...step.form, type: 'form' }),
      )
    }

    return {
      iq: [
        {
          type: 'set',
          target: 'self',
          name: 'command',
          ns: NS_COMMANDS,
          answer: ({ payload, session }) => run(payload, session, session.account),
        },
        {
          type: 'set',
          target: 'server',
          name: 'command',
          ns: NS_COMMANDS,
          answer: ({ request, payload, session }) => {
            if (session === undefined || request.to === undefined) throw new StanzaError('forbidden')
            return run(payload, session, request.to)
          },
        },
      ],
      discoNodes: {
        find: ({ node, from, to }) => {
          const offered = commands.all().filter((command) => isOffered(command, from, to))
          if (node === NS_COMMANDS)
            return {
              info: LIST,
              items: offered.map((command) => ({ jid: to, node: command.node, name: command.name })),
            }
          const command = offered.find((one) => one.node === node)
          return command && { info: infoOf(command), items: [] }
        },
      },
    }
  },
})

const LIST: DiscoInfo = {
  identities: [{ category: 'automation', type: 'command-list', name: 'Commands' }],
  features: [],
}
const infoOf = ({ name }: Command): DiscoInfo => ({
  identities: [{ category: 'automation', type: 'command-node', name }],
  features: [NS_COMMANDS, NS_DATA],
})
const refused = (condition: Condition): StanzaError =>
  new StanzaError('bad-request', { app: el(condition, NS_COMMANDS) })

function commandElement(command: Command, sessionid: string, status: string, ...parts: readonly Element[]): Element {
  return el('command', NS_COMMANDS, { node: command.node, sessionid, status, 'xml:lang': 'en' }, ...parts)
}
