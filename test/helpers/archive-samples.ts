import assert from 'node:assert/strict'
import type { ArchivePage, PageBounds } from '../../src/inbox/archive.ts'
import type { NewEntry } from '../../src/inbox/store.ts'
import type { Stores } from '../../src/storage/open.ts'
import { el } from '../../src/xmpp/element.ts'
import { type BareJid, bareOf, type Jid, parseJid } from '../../src/xmpp/jid.ts'
import { NS_CLIENT } from '../../src/xmpp/ns.ts'
import { type Message, Stanza } from '../../src/xmpp/stanza.ts'
import { batch, entry, text } from './store-samples.ts'

/** A page as large as anything a test writes. */
export const ALL: PageBounds = { edge: 'first', entries: 1_000_000, bytes: 2 ** 40 }

/** Bodies of a page, in order. */
export const bodies = ({ entries }: ArchivePage): readonly string[] => entries.map(({ payload }) => text(payload))

/** A message that is archived and that nobody has to take, unless said otherwise. */
export const archived = (account: number, body: string, other: Partial<NewEntry> = {}): NewEntry =>
  entry(account, body, { archived: true, wanted: false, messageId: undefined, ...other })

/** Writes entries in one batch; their ids. */
export async function commit(
  { inbox }: Pick<Stores, 'inbox'>,
  entries: readonly NewEntry[],
): Promise<readonly number[]> {
  const placed = await inbox.commit(batch(entries))
  return placed.map(({ id }) => id)
}

/** Writes archived messages, one second after the other from `at` on; their ids. */
export async function archive(
  stores: Pick<Stores, 'inbox'>,
  account: number,
  written: readonly string[],
  other: Partial<NewEntry> = {},
): Promise<readonly number[]> {
  const at = other.at ?? 1_700_000_000_000
  return commit(
    stores,
    written.map((body, i) => archived(account, body, { ...other, at: at + i * 1_000 })),
  )
}

/** Commits a retraction and carries it out: the entry's payload becomes another, if it is archived. */
export async function bury(
  { inbox, archive: store }: Pick<Stores, 'inbox' | 'archive'>,
  account: number,
  id: number,
  payload: Uint8Array,
): Promise<void> {
  const retracts = { of: 'm1', id: 'r1', from: address('peer@example.org/phone'), isInRoom: false }
  const [wish = 0] = await commit({ inbox }, [entry(account, '', { wanted: false, retracts })])
  assert.equal(await store.retract(account, wish, [{ id, payload }]), true)
}

/** A chat message of a conversation. */
export interface Said {
  readonly from: string
  readonly to: string
  readonly body: string
  readonly id?: string
  /** Ms since the epoch; now, unless said otherwise. */
  readonly at?: number
}
const address = (text: string): Jid => {
  const parsed = parseJid(text)
  if (parsed === undefined) throw new Error(`${text} is no address`)
  return parsed
}
export const messageOf = ({ from, to, body, id }: Said): Message =>
  Stanza.of(
    { kind: 'message', type: 'chat', id, from: address(from), to: address(to) },
    el('body', NS_CLIENT, {}, body),
  )

/** Writes messages into the archive of one of the two, as the server does when it passes them on; their ids as clients see them. */
export async function archiveSaid(
  stores: Pick<Stores, 'accounts' | 'inbox'>,
  owner: string,
  said: readonly Said[],
  other: Partial<NewEntry> = {},
): Promise<readonly string[]> {
  const account = await stores.accounts.find(owner as BareJid)
  if (account === undefined) throw new Error(`${owner} has no account`)
  const entries = said.map((message) => {
    const direction = bareOf(address(message.from)) === owner ? 'sent' : 'received'
    const peer = direction === 'sent' ? message.to : message.from
    const payload = messageOf(message).bytes
    const { id: messageId, at = Date.now() } = message
    return archived(account.id, '', { direction, peer, payload, messageId, at, ...other })
  })
  return (await commit(stores, entries)).map(String)
}
