import type { RegisteredSession } from '../presence/registry.ts'
import { isFull, type Jid } from '../xmpp/jid.ts'
import { NS_RECEIPTS } from '../xmpp/ns.ts'
import type { Message } from '../xmpp/stanza.ts'

type Sessions = readonly RegisteredSession[]
const NONE: Sessions = []

/** RFC 6121 §8.5.2 and §8.5.3: the resources a message goes to; `refused` where its sender is told that there is no way. */
export function targetsOf(message: Message, sessions: Sessions): Sessions | 'refused' {
  const to = message.to as Jid | undefined
  if (to !== undefined && isFull(to)) {
    const target = sessions.find((s) => s.jid === to)
    if (target !== undefined) return [target]
    if (message.type === 'groupchat') return 'refused'
    if (message.type === 'error' || message.type === 'headline') return NONE
    if (message.type === 'normal' && !isReceipt(message)) return 'refused'
  } else if (message.type === 'groupchat') {
    return 'refused'
  } else if (message.type === 'error') {
    return NONE
  }
  return sessions.filter((s) => s.priority !== undefined && s.priority >= 0)
}

/** Kontalk's clients send it again when it is bounced, for ever (kontalk-protocol h.6). */
export function isReceipt(message: Message): boolean {
  return message.has('received', NS_RECEIPTS)
}
