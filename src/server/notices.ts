import { randomBytes } from 'node:crypto'
import { REGISTRATION_SERVICE } from '../account/takeover.ts'
import type { Notice } from '../account/takeovers.ts'
import type { TransferNews } from '../keys/transfers.ts'
import { formatDateTime } from '../xmpp/date-time.ts'
import { el } from '../xmpp/element.ts'
import { type BareJid, bareJid, domainOf, type Jid } from '../xmpp/jid.ts'
import { NS_CLIENT } from '../xmpp/ns.ts'
import { Stanza } from '../xmpp/stanza.ts'

/**
 * What all devices of an account are told when somebody has proven its number. `hearsAnswers`: the feature that takes their word is on
 * (`features/x-takeover.ts`).
 */
export function takeoverNotice(jid: BareJid, { until, isLocked }: Notice, hearsAnswers: boolean): Stanza<'message'> {
  const what = isLocked
    ? 'Without its registration lock the account stays yours as long as you use it.'
    : `${hearsAnswers ? 'Unless you refuse, this' : 'This'} account and all it has will be deleted after ${formatDateTime(new Date(until))}.`
  const ask = hearsAnswers
    ? ' If it was not you, answer NO. If it was you, answer YES, and the other device can go on at once.'
    : ''
  const body = `Somebody has registered the phone number of this account on another device. ${what}${ask}`
  const domain = domainOf(jid)
  return noticeOf(hearsAnswers ? bareJid(REGISTRATION_SERVICE, domain) : domain, jid, body)
}

/** What all devices of an account are told of its secret key on its way to another device (kontalk-protocol b.7, b.8). */
export function transferNotice(jid: BareJid, news: TransferNews): Stanza<'message'> {
  const what = news === 'left' ? 'was left on the server for another device' : 'was fetched by another device'
  const body = `The private key of this account, locked with its passphrase, ${what}. If it was not you, somebody is logged in as you: make a new key.`
  return noticeOf(domainOf(jid), jid, body)
}

function noticeOf(from: Jid, to: BareJid, body: string): Stanza<'message'> {
  const fields = { kind: 'message', type: 'chat', id: randomBytes(12).toString('base64url'), from, to } as const
  return Stanza.of(fields, el('body', NS_CLIENT, {}, body))
}
