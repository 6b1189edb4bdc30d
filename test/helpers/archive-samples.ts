import type { ArchivePage, PageBounds } from '../../src/inbox/archive.ts'
import type { NewEntry } from '../../src/inbox/store.ts'
import type { Stores } from '../../src/storage/open.ts'
import { el } from '../../src/xmpp/element.ts'
import { type Jid, parseJid } from '../../src/xmpp/jid.ts'
import { NS_CLIENT } from '../../src/xmpp/ns.ts'
import { Stanza } from '../../src/xmpp/stanza.ts'
import { batch, entry, text } from './store-samples.ts'

/** A page as large as anything a test writes. */
export const ALL: PageBounds = { edge: 'first', entries: 1_000_000, bytes: 2 ** 40 }

/** Bodies of a page, in order. */
export const bodies = ({ entries }: ArchivePage): readonly string[] => entries.map(({ payload }) => text(payload))

/** A message that is archived and that nobody has to take, unless said otherwise. */
export const archived = (account: number, body: string, other: Partial<NewEntry> = {}): NewEntry =>
  entry(account, body, { archived: true, wanted: false, ...other })

/** Writes archived messages, one second after the other from `at` on; their ids. */
export function archive(
  stores: Pick<Stores, 'inbox'>,
  account: number,
  written: readonly string[],
  other: Partial<NewEntry> = {},
): Promise<readonly number[]> {
  const at = other.at ?? 1_700_000_000_000
  return stores.inbox.commit(batch(written.map((body, i) => archived(account, body, { ...other, at: at + i * 1_000 }))))
}

/** A chat message as an entry of the archive of `owner`, who sent or received it. */
export function chatEntry(
  account: number,
  owner: string,
  message: {
    readonly from: string
    readonly to: string
    readonly body: string
    readonly id?: string
    readonly at?: number
  },
): NewEntry {
  const jid = (address: string): Jid => {
    const parsed = parseJid(address)
    if (parsed === undefined) throw new Error(`${address} is no address`)
    return parsed
  }
  const direction = message.from.startsWith(owner) ? 'sent' : 'received'
  const stanza = Stanza.of(
    { kind: 'message', type: 'chat', id: message.id, from: jid(message.from), to: jid(message.to) },
    el('body', NS_CLIENT, {}, message.body),
  )
  return archived(account, '', {
    direction,
    peer: direction === 'sent' ? message.to : message.from,
    payload: stanza.bytes,
    at: message.at ?? 1_700_000_000_000,
  })
}
