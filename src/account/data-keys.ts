import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { DataKeyStore, StoredDataKey } from './data-key-store.ts'
import { KeyFileError, type OperatorKeys } from './operator-keys.ts'

/** Keys held in memory. */
const MAX_CACHED = 10_000
/** How long one is held without a look at the store: a key that was destroyed there is soon forgotten on every node. */
const CACHED_MS = 10 * 60_000
/** How often the key file is read again because a data key needs a line that was not there. */
const RELOAD_MS = 5_000
/** Data keys wrapped anew, or destroyed, in one step. */
const STEP = 200

/** A data key cannot be had: no line of the key file unwraps it (`unknown-operator-key`), or it was changed (`damaged`). */
export class DataKeyError extends Error {
  override readonly name = 'DataKeyError'
  readonly fault: 'unknown-operator-key' | 'damaged'
  constructor(fault: DataKeyError['fault'], message: string) {
    super(message)
    this.fault = fault
  }
}

/** One step of wrapping all data keys anew. */
export interface Rewrapped {
  /** `OperatorKey.id` of the one that wraps now. */
  readonly operatorKey: string
  readonly rewrapped: number
  /** Those that no line of the key file unwraps. */
  readonly left: number
  /** Where the next step begins; undefined: all is done. */
  readonly last: number | undefined
}

/**
 * The accounts' data keys: 32 random bytes each, made when first needed, wrapped by the operator's key, destroyed with the
 * account. An account's messages are sealed by its data key as long as it exists: its log would have to grow by 10,000 a second
 * for five days until one key had sealed 2^32 of them.
 */
export class DataKeys {
  readonly #store: DataKeyStore
  readonly #operator: OperatorKeys
  readonly #cache = new LRUCache<number, KeyObject>({ max: MAX_CACHED, ttl: CACHED_MS })
  #reloadedAt = Number.NEGATIVE_INFINITY

  constructor(store: DataKeyStore, operator: OperatorKeys) {
    this.#store = store
    this.#operator = operator
  }

  /** Keys of the accounts that have one. @throws DataKeyError StoreError */
  find(accounts: Iterable<number>): Promise<ReadonlyMap<number, KeyObject>> {
    return this.#get(accounts, false)
  }
  /**
   * Keys of all these accounts; those that have none get one. Where two nodes make one at the same time, the store decides.
   * @throws DataKeyError StoreError, refused when an account does not exist
   */
  ensure(accounts: Iterable<number>): Promise<ReadonlyMap<number, KeyObject>> {
    return this.#get(accounts, true)
  }

  /** Reads the operator's keys again and forgets what was unwrapped by the old ones. @throws KeyFileError */
  async reload(): Promise<void> {
    await this.#operator.reload()
    this.#cache.clear()
  }
  /** Wraps some data keys under the newest operator key; the first step reads the key file again. @throws KeyFileError StoreError */
  async rewrap(after: number): Promise<Rewrapped> {
    if (after === 0) await this.#operator.reload()
    const { current } = this.#operator
    const found = await this.#store.notUnder(current.id, after, STEP)
    const changes = found.flatMap((from) => {
      const key = this.#operator.find(from.operatorKey)?.unwrap(from.account, from.wrapped)
      if (key === undefined) return []
      const { account } = from
      return [{ from, to: { account, operatorKey: current.id, wrapped: current.wrap(account, key) } }]
    })
    await this.#store.rewrap(changes)
    return {
      operatorKey: current.id,
      rewrapped: changes.length,
      left: found.length - changes.length,
      last: found.length < STEP ? undefined : found.at(-1)?.account,
    }
  }

  async #get(accounts: Iterable<number>, make: boolean): Promise<ReadonlyMap<number, KeyObject>> {
    const found = new Map<number, KeyObject>()
    const missing = new Set<number>()
    for (const account of accounts) {
      if (found.has(account) || missing.has(account)) continue
      const key = this.#cache.get(account)
      if (key === undefined) missing.add(account)
      else found.set(account, key)
    }
    if (missing.size === 0) return found
    await this.#load([...missing], found)
    const without = make ? [...missing].filter((account) => !found.has(account)) : []
    if (without.length === 0) return found
    const { current } = this.#operator
    await this.#store.add(
      without.map((account) => ({
        account,
        operatorKey: current.id,
        wrapped: current.wrap(account, randomBytes(32)),
      })),
    )
    // Not the ones just made: another node may have been first.
    await this.#load(without, found)
    return found
  }

  async #load(accounts: readonly number[], into: Map<number, KeyObject>): Promise<void> {
    for (const stored of await this.#store.find(accounts)) {
      const key = await this.#unwrap(stored)
      this.#cache.set(stored.account, key)
      into.set(stored.account, key)
    }
  }
  async #unwrap({ account, operatorKey, wrapped }: StoredDataKey): Promise<KeyObject> {
    const operator = this.#operator.find(operatorKey) ?? (await this.#reloaded(operatorKey))
    if (operator === undefined) {
      const file = this.#operator.path
      throw new DataKeyError('unknown-operator-key', `${file} lacks the key ${operatorKey}, which a data key needs`)
    }
    const key = operator.unwrap(account, wrapped)
    if (key === undefined) throw new DataKeyError('damaged', `the data key of account ${account} was changed`)
    return createSecretKey(key)
  }
  /** Another node may have rotated to a line that was written since we last looked. */
  async #reloaded(operatorKey: string) {
    const now = performance.now()
    if (now - this.#reloadedAt < RELOAD_MS) return undefined
    this.#reloadedAt = now
    try {
      await this.#operator.reload()
    } catch (error) {
      if (!(error instanceof KeyFileError)) throw error
    }
    return this.#operator.find(operatorKey)
  }
}

/** Operator keys that data keys in the store need and the key file does not hold. @throws StoreError */
export async function lackingKeys(store: DataKeyStore, operator: OperatorKeys | undefined): Promise<readonly string[]> {
  return (await store.operatorKeys()).filter((id) => operator?.find(id) === undefined)
}
/** What to say of them. @param file undefined: none is configured */
export function lackingText(ids: readonly string[], file: string | undefined): string {
  const keys = ids.length === 1 ? `key ${ids[0]}` : `keys ${ids.join(', ')}`
  const fault =
    file === undefined
      ? `inbox.encryption: messages in the store are sealed under the ${keys}, and no key_file is configured`
      : `inbox.encryption.key_file: ${file} lacks the ${keys}, under which messages in the store are sealed`
  return `${fault}; bring it back, or give those messages up for good: fernruf inbox-key forget ID`
}

/**
 * Destroys some of the data keys that an operator key has wrapped, and with them what they sealed; returns how many, 0 when none
 * is left. Its line must be out of the key file: keys that are in use are not to be pulled away. @throws StoreError
 */
export const forgetDataKeys = (store: DataKeyStore, operatorKey: string): Promise<number> =>
  store.forget(operatorKey, STEP)
