import { randomBytes } from 'node:crypto'
import { isSealed, NONCE_BYTES, seal, unseal } from '../util/seal.ts'
import type { DataKeys } from './data-keys.ts'

/** Something of an account's that is stored. */
export interface Payload {
  /** `Account.id`. */
  readonly account: number
  readonly payload: Uint8Array
  /** Where it is stored and what stands beside it in clear; it opens only there. The account is bound in as well. */
  readonly place: string
}
/**
 * What is stored is sealed and cannot be opened: there is no key file (`no-key-file`), the account's key was destroyed (`no-key`),
 * or it was changed or moved (`damaged`).
 */
export class SealError extends Error {
  override readonly name = 'SealError'
  readonly fault: 'no-key-file' | 'no-key' | 'damaged'
  constructor(fault: SealError['fault']) {
    super(FAULT_TEXTS[fault])
    this.fault = fault
  }
}
const FAULT_TEXTS: Readonly<Record<SealError['fault'], string>> = {
  'no-key-file': 'what is stored is sealed, and inbox.encryption.key_file is not configured',
  'no-key': 'what is stored is sealed by a key that was destroyed',
  damaged: 'what is stored is not what was sealed there',
}

/**
 * Encryption at rest (DESIGN.md section 5): payloads of accounts are sealed by their data keys, where that is switched on. What
 * was written before it was stays readable, and what was written while it was on stays so while the key file is there. A payload
 * in clear must not begin with the byte 1; XML does not.
 */
export class PayloadSeal {
  readonly #keys: DataKeys | undefined
  /** Whether what is written is sealed. */
  readonly isOn: boolean

  /** @param keys undefined where no key file is configured */
  constructor(keys: DataKeys | undefined, isOn: boolean) {
    this.#keys = keys
    this.isOn = keys !== undefined && isOn
  }

  /** For the store. @throws DataKeyError StoreError, refused when the account does not exist */
  async seal(payload: Payload): Promise<Uint8Array> {
    const [sealed] = await this.sealAll([payload])
    return sealed as Uint8Array
  }
  /** From the store. @throws SealError DataKeyError StoreError */
  async open(payload: Payload): Promise<Uint8Array> {
    const [opened] = await this.openAll([payload])
    if (opened instanceof SealError) throw opened
    return opened as Uint8Array
  }

  /** Many at once, in the order given. @throws as `seal` */
  async sealAll(payloads: readonly Payload[]): Promise<readonly Uint8Array[]> {
    if (this.#keys === undefined || !this.isOn) return payloads.map(({ payload }) => payload)
    const keys = await this.#keys.ensure(payloads.map(({ account }) => account))
    // All at once: asking for few costs as much as asking for many.
    const nonces = randomBytes(NONCE_BYTES * payloads.length)
    return payloads.map((one, i) => {
      const key = keys.get(one.account)
      // Removed by somebody in the very moment between its making and its reading.
      if (key === undefined) throw new SealError('no-key')
      return seal(key, one.payload, placeOf(one), nonces.subarray(i * NONCE_BYTES, (i + 1) * NONCE_BYTES))
    })
  }
  /** Many at once, in the order given; one that cannot be opened does not keep the others. @throws DataKeyError StoreError, SealError no-key-file */
  async openAll(payloads: readonly Payload[]): Promise<readonly (Uint8Array | SealError)[]> {
    const sealed = payloads.filter(({ payload }) => isSealed(payload))
    if (sealed.length === 0) return payloads.map(({ payload }) => payload)
    if (this.#keys === undefined) throw new SealError('no-key-file')
    const keys = await this.#keys.find(sealed.map(({ account }) => account))
    return payloads.map((one) => {
      if (!isSealed(one.payload)) return one.payload
      const key = keys.get(one.account)
      if (key === undefined) return new SealError('no-key')
      const plain = unseal(key, one.payload, placeOf(one))
      return plain === undefined ? new SealError('damaged') : asBytes(plain)
    })
  }
}

const placeOf = ({ account, place }: Payload): string => `fernruf payload\n${account}\n${place}`
/** As databases give them. */
const asBytes = (buffer: Buffer): Uint8Array => new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length)
