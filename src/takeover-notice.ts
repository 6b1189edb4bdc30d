import { randomBytes } from 'node:crypto'
import type { Notice } from './account/takeovers.ts'
import { formatDateTime } from './xmpp/date-time.ts'
import { el } from './xmpp/element.ts'
import { type BareJid, bareJid, domainOf } from './xmpp/jid.ts'
import { NS_CLIENT } from './xmpp/ns.ts'
import { Stanza } from './xmpp/stanza.ts'

/** The service that tells an account of a takeover, and takes its word (`features/x-takeover.ts`). */
export const REGISTRATION_SERVICE = 'registration'

/** What all devices of an account are told when somebody has proven its number. */
export function takeoverNotice(jid: BareJid, { until, isLocked }: Notice): Stanza<'message'> {
  const what = isLocked
    ? 'Without its registration lock the account stays yours as long as you use it.'
    : `Unless you refuse, this account and all it has will be deleted after ${formatDateTime(new Date(until))}.`
  const body = `Somebody has registered the phone number of this account on another device. ${what} If it was not you, answer NO. If it was you, answer YES, and the other device can go on at once.`
  const fields = {
    kind: 'message',
    type: 'chat',
    id: randomBytes(12).toString('base64url'),
    from: bareJid(REGISTRATION_SERVICE, domainOf(jid)),
    to: jid,
  } as const
  return Stanza.of(fields, el('body', NS_CLIENT, {}, body))
}
