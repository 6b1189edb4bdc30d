import { POLICIES, type Policy, servedBy } from '../inbox/policy.ts'
import type { RegisteredSession } from '../presence/registry.ts'
import { isFull, type Jid } from '../xmpp/jid.ts'
import { NS_RECEIPTS } from '../xmpp/ns.ts'
import type { Message } from '../xmpp/stanza.ts'

type Sessions = readonly RegisteredSession[]
const NONE: Sessions = []

/** RFC 6121 §8.5.2 and §8.5.3, and the account's policy: the resources a message goes to; `refused` where its sender is told that there is no way. */
export function targetsOf(message: Message, sessions: Sessions, policy: Policy): Sessions | 'refused' {
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
  // A headline is news for all who are there; only what is an entry is somebody's work.
  return servedBy(message.type === 'headline' ? POLICIES['first-come'] : policy, sessions)
}

/** Kontalk's clients send it again when it is bounced, for ever (kontalk-protocol h.6). */
export function isReceipt(message: Message): boolean {
  return message.has('received', NS_RECEIPTS)
}
