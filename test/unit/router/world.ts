import type { Account } from '../../../src/account/store.ts'
import type { Session, SessionFlag } from '../../../src/contract/session.ts'
import { type BareJid, bareOf, type FullJid, type Jid } from '../../../src/xmpp/jid.ts'
import { NS_CLIENT } from '../../../src/xmpp/ns.ts'
import type { Stanza } from '../../../src/xmpp/stanza.ts'
import { type RawElement, Tokenizer } from '../../../src/xmpp/tokenizer.ts'

export const ROMEO = 'romeo@example.org' as BareJid
export const JULIET = 'juliet@example.org' as BareJid
export const ORCHARD = `${ROMEO}/orchard` as FullJid
export const jid = (text: string): Jid => text as Jid

/** An element as it comes in on a client's stream. */
export function received(xml: string): RawElement {
  const tokenizer = new Tokenizer({
    maxBytes: 100_000,
    maxDepth: 10,
    maxElements: 100,
    maxAttributes: 20,
    maxNamespaces: 20,
  })
  tokenizer.push(Buffer.from(`<x xmlns='${NS_CLIENT}'>`))
  tokenizer.next()
  tokenizer.push(Buffer.from(xml))
  const raw = tokenizer.next()
  if (raw?.token !== 'element') throw new Error(`no element: ${xml}`)
  return raw
}
/** A session that writes down what it is sent. */
export function sessionOf(address: FullJid): Session & { readonly got: Stanza[] } {
  const got: Stanza[] = []
  return {
    jid: address,
    account: bareOf(address),
    accountId: 1,
    node: 'n1',
    ip: '192.0.2.1',
    priority: undefined,
    flags: new Set<SessionFlag>(),
    got,
    send: (stanza) => void got.push(stanza),
    sendArchived: (stanza) => void got.push(stanza),
    skipWaiting: () => Promise.resolve(),
    flag: () => undefined,
  }
}
export const accountOf = (address: BareJid, disabledAt?: number): Account => ({
  id: 1,
  jid: address,
  isNumber: false,
  fingerprint: undefined,
  createdAt: 0,
  disabledAt,
  delivery: undefined,
  epoch: 0,
})
