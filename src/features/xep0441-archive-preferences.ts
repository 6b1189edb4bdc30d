/**
 * XEP-0441: Message Archive Management Preferences.
 *
 * Whose messages an account's owner wants archived; what the archive holds already is not touched.
 */
import { z } from 'zod'
import type { ArchivingPreferences, ArchivingRule } from '../account/archiving.ts'
import { defineFeature } from '../contract/feature.ts'
import { child, children, type Element, el, textOf } from '../xmpp/element.ts'
import { type Jid, parseJid } from '../xmpp/jid.ts'
import { NS_MAM } from '../xmpp/ns.ts'
import { StanzaError } from '../xmpp/stanza-error.ts'

const RULES: ReadonlySet<string> = new Set<ArchivingRule>(['always', 'never', 'roster'])

export default defineFeature({
  name: 'archive_preferences',
  xeps: [{ number: 441, version: '0.2.0', status: 'complete' }],
  requires: ['archive'],
  config: z
    .strictObject({ max_jids: z.int().min(1).max(10_000).default(200).describe('Addresses on both lists together.') })
    .prefault({}),
  tables: ['archive_preference'],
  metrics: {},
  uses: ['archive', 'views'],
  setup: ({ config, ports: { archive, views } }) => ({
    iq: [
      {
        type: 'get',
        target: 'self',
        name: 'prefs',
        ns: NS_MAM,
        answer: async ({ session: { account } }) =>
          preferencesElement((views.peek(account) ?? (await views.load(account))).archiving),
      },
      {
        type: 'set',
        target: 'self',
        name: 'prefs',
        ns: NS_MAM,
        suspends: true,
        answer: async ({ payload, session: { account: jid } }) => {
          const preferences = readPreferences(payload, config.max_jids)
          const { account } = views.peek(jid) ?? (await views.load(jid))
          if (account === undefined) throw new StanzaError('service-unavailable')
          await archive.setPreferences(account.id, preferences)
          views.changed(jid)
          // What the session sends next meets them.
          await views.load(jid)
          return preferencesElement(preferences)
        },
      },
    ],
  }),
})

/** @throws StanzaError bad-request, jid-malformed, policy-violation */
function readPreferences(prefs: Element, maxJids: number): ArchivingPreferences {
  const rule = prefs.attrs.default
  if (rule === undefined || !RULES.has(rule))
    throw new StanzaError('bad-request', { text: 'default is always, never or roster.' })
  const always = listIn(prefs, 'always')
  const never = listIn(prefs, 'never')
  if (always.size + never.size > maxJids)
    throw new StanzaError('policy-violation', { text: `The lists may hold ${maxJids} addresses.` })
  return { rule: rule as ArchivingRule, always, never }
}
function listIn(prefs: Element, name: string): ReadonlySet<Jid> {
  const list = child(prefs, name, NS_MAM)
  return new Set(list === undefined ? [] : children(list, 'jid', NS_MAM).map((jid) => jidOf(textOf(jid).trim())))
}
function jidOf(text: string): Jid {
  const jid = parseJid(text)
  if (jid === undefined) throw new StanzaError('jid-malformed', { text: 'An entry of a list is no address.' })
  return jid
}

function preferencesElement({ rule, always, never }: ArchivingPreferences): Element {
  const list = (name: string, jids: ReadonlySet<Jid>): Element =>
    el(name, NS_MAM, {}, ...[...jids].map((jid) => el('jid', NS_MAM, {}, jid)))
  return el('prefs', NS_MAM, { default: rule }, list('always', always), list('never', never))
}
