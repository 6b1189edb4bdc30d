import { randomBytes } from 'node:crypto'
import type { Readable } from 'node:stream'
import { type FileStore, FileStoreError } from './file-store.ts'
import { fileName, mediaType, OCTETS } from './names.ts'
import { readSlot, type Slot, writeSlot } from './slot.ts'
import type { StoredUpload, UploadQuota, UploadStore } from './store.ts'

/**
 * `too-large`: no file may be that large; `quota`: the account has used up what it may; `forged`: no slot of ours; `expired`: one
 * whose time is over; `too-long`, `too-short`, `other-type`: not what the slot is for; `busy`: it is being uploaded; `done`: it has
 * been; `gone`: its account has gone; `full`: no room on the disk; `broken-off`.
 */
export type UploadFault =
  | 'too-large'
  | 'quota'
  | 'forged'
  | 'expired'
  | 'too-long'
  | 'too-short'
  | 'other-type'
  | 'busy'
  | 'done'
  | 'gone'
  | 'full'
  | 'broken-off'
export class UploadError extends Error {
  override readonly name = 'UploadError'
  readonly fault: UploadFault
  /** Of `quota`: ms since the epoch; undefined: never. */
  readonly retryAt: number | undefined
  constructor(fault: UploadFault, options: { readonly retryAt?: number | undefined; readonly cause?: unknown } = {}) {
    super(`upload ${fault}`, { cause: options.cause })
    this.fault = fault
    this.retryAt = options.retryAt
  }
}

export interface UploadLimits extends UploadQuota {
  readonly maxFile: number
  readonly slotMs: number
}
/** Segments of the addresses that a client gets. */
export interface GivenSlot {
  readonly id: string
  readonly ticket: string
  readonly name: string
}

/** A slot that has not been used in time counts until then: an upload may have begun at its end. */
const LINGER_MS = 60 * 60_000
const BATCH = 200

/** Files of accounts: who may bring which, where they are, when they go. */
export class Uploads {
  readonly #store: UploadStore
  readonly #files: FileStore
  readonly #keys: readonly Uint8Array[]
  readonly #limits: UploadLimits
  readonly #now: () => number
  /** Ids under way on this node. */
  readonly #coming = new Set<string>()

  constructor(parts: {
    readonly store: UploadStore
    readonly files: FileStore
    /** The first signs, all verify. */
    readonly keys: readonly Uint8Array[]
    readonly limits: UploadLimits
    readonly now?: () => number
  }) {
    this.#store = parts.store
    this.#files = parts.files
    this.#keys = parts.keys
    this.#limits = parts.limits
    this.#now = parts.now ?? Date.now
  }
  /** Bytes of one file. */
  get maxFile(): number {
    return this.#limits.maxFile
  }

  /** Reserves room for one file of the account (`Account.id`). @throws UploadError too-large, quota; StoreError */
  async request(
    account: number,
    file: { readonly name: string; readonly size: number; readonly type: string | undefined },
    success: Slot['success'],
  ): Promise<GivenSlot> {
    if (file.size > this.#limits.maxFile) throw new UploadError('too-large')
    const now = this.#now()
    const id = randomBytes(16).toString('hex')
    const name = fileName(file.name)
    const type = file.type === undefined ? undefined : mediaType(file.type)
    const refusal = await this.#store.reserve(
      { id, account, name, type: type ?? OCTETS, size: file.size },
      this.#limits,
      now,
    )
    if (refusal !== undefined) throw new UploadError('quota', { retryAt: refusal.retryAt })
    const slot: Slot = { id, size: file.size, type, expiresAt: now + this.#limits.slotMs, success }
    return { id, name, ticket: writeSlot(slot, this.#keys[0] as Uint8Array) }
  }

  /** What this ticket is for, while it is good. Asks nothing of the store. @throws UploadError forged, expired */
  slot(ticket: string): Slot {
    const slot = readSlot(ticket, this.#keys)
    if (slot === undefined) throw new UploadError('forged')
    if (slot.expiresAt <= this.#now()) throw new UploadError('expired')
    return slot
  }

  /**
   * Takes the file of a slot, once. `body` is asked for when all that can be known before is in order.
   * @param said what the request says of itself @throws UploadError; StoreError
   */
  async receive(
    slot: Slot,
    said: { readonly length: number; readonly type: string | undefined; readonly name: string },
    body: () => AsyncIterable<Uint8Array>,
  ): Promise<void> {
    const { id, size, type } = slot
    if (said.length !== size) throw new UploadError(said.length > size ? 'too-long' : 'too-short')
    if (type !== undefined && said.type !== undefined && mediaType(said.type) !== type)
      throw new UploadError('other-type')
    if (this.#coming.has(id)) throw new UploadError('busy')
    this.#coming.add(id)
    try {
      const known = await this.#store.find(id)
      if (known === undefined || known.name !== said.name) throw new UploadError('gone')
      if (known.storedAt !== undefined) throw new UploadError('done')
      const received = await this.#take(id, size, body())
      if (received.bytes !== size) {
        await received.discard()
        throw new UploadError(received.bytes > size ? 'too-long' : 'too-short')
      }
      if (!(await received.keep())) throw new UploadError('done')
      if (await this.#store.stored(id, this.#now())) return
      // Its account has gone meanwhile, and with it perhaps the row by which the file would have been found.
      await this.#files.remove(id)
      throw new UploadError('gone')
    } finally {
      this.#coming.delete(id)
    }
  }
  async #take(id: string, size: number, body: AsyncIterable<Uint8Array>) {
    try {
      return await this.#files.receive(id, body, size)
    } catch (cause) {
      throw new UploadError(cause instanceof FileStoreError ? cause.fault : 'broken-off', { cause })
    }
  }

  /** A file that may be had, with when it goes (ms since the epoch). */
  async find(id: string, name: string): Promise<(StoredUpload & { readonly goesAt: number }) | undefined> {
    if (!/^[0-9a-f]{32}$/.test(id)) return undefined
    const upload = await this.#store.find(id)
    if (upload?.storedAt === undefined || upload.name !== name) return undefined
    const goesAt = upload.storedAt + this.#limits.keptMs
    return goesAt > this.#now() ? { ...upload, goesAt } : undefined
  }
  /** Bytes `from` to `to`, both included; undefined when the file has gone. */
  open({ id }: StoredUpload, from: number, to: number): Promise<Readable | undefined> {
    return this.#files.open(id, from, to)
  }

  /** Removes what is over, files before rows; how many. To be called now and then, at a start too. */
  async sweep(signal: AbortSignal): Promise<number> {
    const now = this.#now()
    await this.#files.tidy(now - LINGER_MS)
    const before = { stored: now - this.#limits.keptMs, requested: now - this.#limits.slotMs - LINGER_MS }
    let removed = 0
    while (!signal.aborted) {
      const ids = await this.#store.over(before, BATCH)
      if (ids.length === 0) break
      for (const id of ids) await this.#files.remove(id)
      await this.#store.remove(ids)
      removed += ids.length
    }
    return removed
  }
}
