import { createHmac } from 'node:crypto'
import { networkOf } from '../util/network.ts'
import type { PhoneNumber } from './phone-number.ts'
import type { Spending } from './verification-store.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** How often something may happen. */
interface Allowance {
  readonly hour: number
  readonly day: number
}
export interface ThrottleLimits {
  /** Codes sent to one number. */
  readonly number: Allowance
  /** Codes asked for from one address (IPv6: /64). */
  readonly address: Allowance
  /** Codes sent to numbers that begin with the same six digits. */
  readonly prefix: Allowance
  readonly country: Allowance
  /** Codes sent at all: what the operator is ready to pay. */
  readonly total: Allowance
  /** Codes tried from one address. */
  readonly tries: Allowance
  /** Accounts made without a number from one address. */
  readonly accounts: Allowance
}
const DEFAULTS: ThrottleLimits = {
  number: { hour: 3, day: 6 },
  address: { hour: 10, day: 30 },
  prefix: { hour: 20, day: 100 },
  country: { hour: 100, day: 1000 },
  total: { hour: 200, day: 2000 },
  tries: { hour: 30, day: 100 },
  accounts: { hour: 5, day: 20 },
}
const PREFIX_DIGITS = 6

/**
 * Which budgets a step costs. They are rows of the database, spent all or none; a refused attempt spends nothing, so it never
 * makes a lock-out longer. Rows are named by keyed hashes: they tell nobody a number or an address.
 */
export class Throttle {
  readonly #key: Uint8Array
  readonly #limits: ThrottleLimits

  /** `key`: 32 bytes of the root secret, of their own. */
  constructor(key: Uint8Array, limits: Partial<ThrottleLimits> = {}) {
    this.#key = key
    this.#limits = { ...DEFAULTS, ...limits }
  }

  /** Narrowest first: rows that everybody needs are locked last and shortest, and by all in the same order. */
  code(phone: PhoneNumber, ip: string): readonly Spending[] {
    return [
      ...this.#both('number', phone.canonical),
      ...this.#both('address', networkOf(ip)),
      ...this.#both('prefix', phone.canonical.slice(1, 1 + PREFIX_DIGITS)),
      ...this.#both('country', phone.country ?? 'none'),
      ...this.#both('total', ''),
    ]
  }
  try(ip: string): readonly Spending[] {
    return this.#both('tries', networkOf(ip))
  }
  account(ip: string): readonly Spending[] {
    return this.#both('accounts', networkOf(ip))
  }

  #both(kind: keyof ThrottleLimits, what: string): readonly Spending[] {
    const key = createHmac('sha256', this.#key).update(`${kind}\0${what}`).digest()
    const { hour, day } = this.#limits[kind]
    return [
      { kind, key, windowMs: HOUR_MS, limit: hour },
      { kind, key, windowMs: DAY_MS, limit: day },
    ]
  }
}
