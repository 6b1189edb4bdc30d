import type { Payload, PayloadSeal } from './payload-seal.ts'
import type { PrivateElement, PrivateStore } from './private-store.ts'

const payloadOf = (account: number, ns: string, name: string, payload: Uint8Array): Payload => ({
  account,
  payload,
  place: `private\n${name}\n${ns}`,
})

/** Private XML with its elements sealed, their names in clear. */
export class SealedPrivateStore implements PrivateStore {
  readonly #store: PrivateStore
  readonly #seal: PayloadSeal

  constructor(store: PrivateStore, seal: PayloadSeal) {
    this.#store = store
    this.#seal = seal
  }

  /** @throws SealError DataKeyError as well */
  async find(account: number, ns: string, name: string): Promise<Uint8Array | undefined> {
    const payload = await this.#store.find(account, ns, name)
    return payload && this.#seal.open(payloadOf(account, ns, name, payload))
  }
  /** @throws DataKeyError as well */
  async put(account: number, elements: readonly PrivateElement[], quota: Parameters<PrivateStore['put']>[2]) {
    // An empty one says that it is to go.
    const kept = elements.filter(({ payload }) => payload.length > 0)
    const sealed = await this.#seal.sealAll(kept.map(({ ns, name, payload }) => payloadOf(account, ns, name, payload)))
    let at = 0
    const written = elements.map((one) => (one === kept[at] ? { ...one, payload: sealed[at++] as Uint8Array } : one))
    return this.#store.put(account, written, quota)
  }
}
