import { createHash } from 'node:crypto'
import { type CountryCode, type NumberType, parsePhoneNumberFromString } from 'libphonenumber-js/max'

/** A submitted phone number in E.164. Held only while a request is served: never stored, never logged. */
export interface PhoneNumber {
  /** What the account's name is made from. */
  readonly e164: string
  /** libphonenumber's own spelling, the same for every spelling of one number; what budgets count. */
  readonly canonical: string
  /** ISO 3166-1; undefined for numbers of no country (+882 and the like). */
  readonly country: CountryCode | undefined
  /** Undefined when the numbering plan knows no such number. */
  readonly type: NumberType
}

export interface PhonePolicy {
  /** Undefined: all. */
  readonly countries: ReadonlySet<string> | undefined
  /** Beginnings of canonical numbers that are refused, with `+`. */
  readonly blockedPrefixes: readonly string[]
  /** Lets numbers in that no numbering plan has, such as 555 ones; for development. */
  readonly acceptUnassigned: boolean
}
/** Networks of no country and satellite networks: what a text message costs there pays for fraud. */
export const BLOCKED_PREFIXES: readonly string[] = ['+870', '+878', '+881', '+882', '+883']
/** Fixed lines stay in: a provider may read the code out. */
const TYPES: ReadonlySet<NumberType> = new Set<NumberType>(['MOBILE', 'FIXED_LINE_OR_MOBILE', 'FIXED_LINE'])

const E164 = /^\+[1-9]\d{6,14}$/
/** Longest text looked at: E.164's 15 digits with separators between all of them. */
const MAX_LENGTH = 40

/**
 * Reads a number in international form; undefined when it is none. There is no default region: without `+` it means nothing.
 *
 * Clients make the account's name from their own copy of libphonenumber, so digits that already are E.164 are taken as they
 * are even where ours would write them otherwise (Argentina's 9, Mexico's 1); only a trunk zero is never part of a number.
 */
export function parsePhone(text: string): PhoneNumber | undefined {
  if (text.length > MAX_LENGTH) return undefined
  const typed = text.trim()
  if (!typed.startsWith('+')) return undefined
  const parsed = parsePhoneNumberFromString(typed, { extract: false })
  if (parsed === undefined || parsed.ext !== undefined || !E164.test(parsed.number)) return undefined
  const canonical: string = parsed.number
  const withTrunkZero = `+${parsed.countryCallingCode}0${parsed.nationalNumber}`
  const e164 = E164.test(typed) && typed !== withTrunkZero ? typed : canonical
  return { e164, canonical, country: parsed.country, type: parsed.getType() }
}

/** Whether codes are sent to such a number here. */
export function isAllowed(phone: PhoneNumber, policy: PhonePolicy): boolean {
  if (policy.blockedPrefixes.some((prefix) => phone.canonical.startsWith(prefix))) return false
  if (phone.type === undefined ? !policy.acceptUnassigned : !TYPES.has(phone.type)) return false
  if (policy.countries === undefined) return true
  return phone.country !== undefined && policy.countries.has(phone.country)
}

/** The account's name on Kontalk's wire: lower-case hex SHA-1 of the E.164 digits with `+`. */
export function localpartOf(phone: PhoneNumber): string {
  return createHash('sha1').update(phone.e164).digest('hex')
}

/** Such a name belongs to a phone number, so nobody may choose it. */
export function isNumberLocalpart(localpart: string): boolean {
  return /^[0-9a-f]{40}$/.test(localpart)
}
