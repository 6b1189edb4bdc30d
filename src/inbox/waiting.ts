import type { Account } from '../account/store.ts'
import type { Policy } from './policy.ts'
import type { InboxStore } from './store.ts'

export interface WaitingParts {
  readonly store: Pick<InboxStore, 'waiting' | 'lasts' | 'deviceCursor'>
  /** What this node knows of the account is in the store when it settles. */
  readonly flushed: (account: number) => Promise<void>
  readonly policyOf: (account: Account) => Policy
}

/** Tells whether something waits in an account's log for one of its devices. */
export class Waiting {
  readonly #parts: WaitingParts
  constructor(parts: WaitingParts) {
    this.#parts = parts
  }

  /**
   * Which of the devices, by their resources, have something to take. `isShared`: any of them may take it in the place of the
   * others; not so with the policy `every-device`, where a device that is not known yet has what nobody has taken. @throws StoreError
   */
  async toTake(
    account: Account,
    devices: readonly string[],
  ): Promise<{ readonly isShared: boolean; readonly devices: ReadonlySet<string> }> {
    const { store, flushed, policyOf } = this.#parts
    const { id } = account
    await flushed(id)
    const isOpen = async (): Promise<boolean> => (await store.waiting(id)).entries > 0
    if (policyOf(account).begins === 'open')
      return { isShared: true, devices: new Set((await isOpen()) ? devices : []) }
    const last = (await store.lasts([id])).get(id) ?? 0
    const behind = new Set<string>()
    for (const device of devices) {
      const cursor = await store.deviceCursor(id, device)
      if (cursor === undefined ? await isOpen() : cursor < last) behind.add(device)
    }
    return { isShared: false, devices: behind }
  }
}
