import { createHmac } from 'node:crypto'
import { networkOf, widerNetworkOf } from '../util/network.ts'
import type { PhoneNumber } from './phone-number.ts'
import type { Source, Spending } from './verification-store.ts'

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
  /** The same from one network (IPv4: /24, IPv6: /48), since many addresses are easily had. */
  readonly network: Allowance
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
  network: { hour: 40, day: 200 },
  prefix: { hour: 20, day: 100 },
  country: { hour: 100, day: 1000 },
  total: { hour: 200, day: 2000 },
  tries: { hour: 30, day: 100 },
  accounts: { hour: 5, day: 20 },
}
const PREFIX_DIGITS = 6
const NETWORK = { octets: 3, groups: 3 }
/** What one provider of access has, roughly. */
const RANGE = { octets: 2, groups: 2 }
/** Of the budgets that all share, what is open to those of whom nothing good is known. */
const UNPROVED_SHARE = 0.5

type Kind = keyof ThrottleLimits

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

  /**
   * Narrowest first: rows that everybody needs are locked last and shortest, and by all in the same order.
   *
   * Whoever has numbers and addresses enough could use up what all share, and lock everybody out. So half of it is kept for codes
   * that go to, or are asked for from, where codes were confirmed.
   */
  code(phone: PhoneNumber, ip: string): readonly Spending[] {
    const [prefix, range, country] = this.sources(phone, ip)
    return [
      ...this.#both('number', phone.canonical),
      ...this.#both('address', networkOf(ip)),
      ...this.#both('network', widerNetworkOf(ip, NETWORK)),
      ...this.#both('prefix', prefixOf(phone)),
      ...this.#unproved('country', country.key, [prefix, range]),
      ...this.#both('country', country.key),
      ...this.#unproved('total', '', [prefix, range, country]),
      ...this.#both('total', ''),
    ]
  }
  /** What a confirmed code speaks for: the prefix of its number, the range of the net it was asked for from, the country. */
  sources(phone: PhoneNumber, ip: string): readonly [Source, Source, Source] {
    return [
      { kind: 'prefix', key: this.#hash('prefix', prefixOf(phone)).toString('base64url') },
      { kind: 'range', key: this.#hash('range', widerNetworkOf(ip, RANGE)).toString('base64url') },
      { kind: 'country', key: phone.country ?? 'none' },
    ]
  }
  try(ip: string): readonly Spending[] {
    return this.#both('tries', networkOf(ip))
  }
  account(ip: string): readonly Spending[] {
    return this.#both('accounts', networkOf(ip))
  }

  #unproved(kind: Kind, what: string, unless: readonly Source[]): readonly Spending[] {
    return this.#both(kind, what).map((spending) => ({
      ...spending,
      kind: `${kind}-unproved`,
      limit: Math.ceil(spending.limit * UNPROVED_SHARE),
      unless,
    }))
  }
  #hash(kind: string, what: string): Buffer {
    return createHmac('sha256', this.#key).update(`${kind}\0${what}`).digest()
  }
  #both(kind: Kind, what: string): readonly Spending[] {
    const key = this.#hash(kind, what)
    const { hour, day } = this.#limits[kind]
    return [
      { kind, key, windowMs: HOUR_MS, limit: hour },
      { kind, key, windowMs: DAY_MS, limit: day },
    ]
  }
}

const prefixOf = ({ canonical }: PhoneNumber): string => canonical.slice(1, 1 + PREFIX_DIGITS)
