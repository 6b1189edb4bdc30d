import type { Logger } from 'pino'
import { type Payload, type PayloadSeal, SealError } from '../account/payload-seal.ts'
import type { ArchivedEntry, ArchiveFilter, ArchivePage, ArchiveStore, PageBounds, Tombstone } from './archive.ts'
import type { Batch, InboxStore, NewEntry } from './store.ts'

/** What an entry that cannot be opened comes with: no stanza, so whoever wants one passes it over. */
const UNREADABLE = new Uint8Array(0)

type Sealable = Pick<NewEntry, 'direction' | 'at' | 'peer' | 'payload'>
/** An entry's payload stays with the account, the direction, the time and the peer it was written for. */
const payloadOf = (account: number, { direction, at, peer, payload }: Sealable): Payload => ({
  account,
  payload,
  place: `entry\n${direction}\n${at}\n${peer}`,
})

/** The log with its payloads sealed (DESIGN.md section 5); all else stays in clear. */
export class SealedInboxStore implements InboxStore {
  readonly #store: InboxStore
  readonly #seal: PayloadSeal
  readonly #log: Logger
  readonly lasts: InboxStore['lasts']
  readonly waiting: InboxStore['waiting']
  readonly lastSettled: InboxStore['lastSettled']
  readonly expire: InboxStore['expire']
  readonly lingering: InboxStore['lingering']
  readonly sweep: InboxStore['sweep']
  readonly clear: InboxStore['clear']
  readonly deviceCursor: InboxStore['deviceCursor']
  readonly saveDevices: InboxStore['saveDevices']

  constructor(store: InboxStore, seal: PayloadSeal, log: Logger) {
    this.#store = store
    this.#seal = seal
    this.#log = log
    this.lasts = (accounts) => store.lasts(accounts)
    this.waiting = (account) => store.waiting(account)
    this.lastSettled = (stream) => store.lastSettled(stream)
    this.expire = (before) => store.expire(before)
    this.lingering = (after, limit) => store.lingering(after, limit)
    this.sweep = (account) => store.sweep(account)
    this.clear = () => store.clear()
    this.deviceCursor = (account, device) => store.deviceCursor(account, device)
    this.saveDevices = (cursors, keep) => store.saveDevices(cursors, keep)
  }

  /** @throws DataKeyError SealError as well: the entry is bad, halve the batch */
  async commit(batch: Batch): ReturnType<InboxStore['commit']> {
    if (!this.#seal.isOn || batch.entries.length === 0) return this.#store.commit(batch)
    // What is neither archived nor wanted is not stored.
    const kept = batch.entries.filter(({ archived, wanted }) => archived || wanted)
    const sealed = await this.#seal.sealAll(kept.map((entry) => payloadOf(entry.account, entry)))
    let at = 0
    const entries = batch.entries.map((entry) =>
      entry === kept[at] ? { ...entry, payload: sealed[at++] as Uint8Array } : entry,
    )
    return this.#store.commit({ ...batch, entries })
  }
  /** An entry that cannot be opened has an empty payload. @throws DataKeyError SealError as well */
  async read(...args: Parameters<InboxStore['read']>): ReturnType<InboxStore['read']> {
    const page = await this.#store.read(...args)
    return { ...page, entries: await openedEntries(args[0], page.entries, this.#seal, this.#log) }
  }
}

/** The archived part of the same log. */
export class SealedArchiveStore implements ArchiveStore {
  readonly #store: ArchiveStore
  readonly #seal: PayloadSeal
  readonly #log: Logger
  readonly count: ArchiveStore['count']
  readonly hasAll: ArchiveStore['hasAll']
  readonly ends: ArchiveStore['ends']
  readonly retracting: ArchiveStore['retracting']
  readonly retractions: ArchiveStore['retractions']
  readonly remove: ArchiveStore['remove']
  readonly late: ArchiveStore['late']
  readonly untidy: ArchiveStore['untidy']
  readonly tidy: ArchiveStore['tidy']
  readonly usage: ArchiveStore['usage']
  readonly setPreferences: ArchiveStore['setPreferences']

  constructor(store: ArchiveStore, seal: PayloadSeal, log: Logger) {
    this.#store = store
    this.#seal = seal
    this.#log = log
    this.count = (account, filter, upTo) => store.count(account, filter, upTo)
    this.hasAll = (account, ids) => store.hasAll(account, ids)
    this.ends = (account) => store.ends(account)
    this.retracting = (after, limit) => store.retracting(after, limit)
    this.retractions = (account, limit) => store.retractions(account, limit)
    this.remove = (account, filter, limit) => store.remove(account, filter, limit)
    this.late = (account, filter, after, limit) => store.late(account, filter, after, limit)
    this.untidy = (after, limit, bounds) => store.untidy(after, limit, bounds)
    this.tidy = (account, bounds) => store.tidy(account, bounds)
    this.usage = (account) => store.usage(account)
    this.setPreferences = (account, preferences) => store.setPreferences(account, preferences)
  }

  /** An entry that cannot be opened has an empty payload, and its place in the page. @throws DataKeyError SealError as well */
  async page(account: number, filter: ArchiveFilter, bounds: PageBounds): Promise<ArchivePage> {
    const page = await this.#store.page(account, filter, bounds)
    return { ...page, entries: await openedEntries(account, page.entries, this.#seal, this.#log) }
  }
  /** Without those that cannot be opened. @throws DataKeyError SealError as well */
  async candidates(...args: Parameters<ArchiveStore['candidates']>): Promise<readonly ArchivedEntry[]> {
    const entries = await openedEntries(args[0], await this.#store.candidates(...args), this.#seal, this.#log)
    return entries.filter(({ payload }) => payload !== UNREADABLE)
  }
  async retract(account: number, retraction: number, buried: readonly Tombstone[]): Promise<boolean> {
    return this.#store.retract(account, retraction, await this.#sealedFor(account, buried))
  }
  /** Payloads for those of the entries that are there. */
  async #sealedFor(account: number, buried: readonly Tombstone[]): Promise<readonly Tombstone[]> {
    if (!this.#seal.isOn || buried.length === 0) return buried
    const payloads = new Map(buried.map(({ id, payload }) => [id, payload]))
    // What its payload is bound to never changes.
    const bounds = { edge: 'first', entries: buried.length, bytes: Number.MAX_SAFE_INTEGER } as const
    const { entries } = await this.#store.page(account, { ids: [...payloads.keys()] }, bounds)
    const sealed = await this.#seal.sealAll(
      entries.map((old) => payloadOf(account, { ...old, payload: payloads.get(old.id) as Uint8Array })),
    )
    return entries.map(({ id }, i) => ({ id, payload: sealed[i] as Uint8Array }))
  }
}

async function openedEntries<E extends Sealable & { readonly id: number }>(
  account: number,
  entries: readonly E[],
  seal: PayloadSeal,
  log: Logger,
): Promise<readonly E[]> {
  if (entries.length === 0) return entries
  const opened = await seal.openAll(entries.map((entry) => payloadOf(account, entry)))
  return entries.map((entry, i) => {
    const payload = opened[i]
    if (payload === entry.payload || payload === undefined) return entry
    if (!(payload instanceof SealError)) return { ...entry, payload }
    log.error({ err: payload, accountId: account, id: entry.id }, 'sealed entry cannot be opened')
    return { ...entry, payload: UNREADABLE }
  })
}
