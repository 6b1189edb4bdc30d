import { createHash, createHmac } from 'node:crypto'
import { type DeliveryReport, type DeliveryReports, type DeliveryStatus, ReportError } from '../account/sms-provider.ts'
import { fresh, isSame, objectOf, statusOf, textOf } from './report-checks.ts'

export interface VonageSignature {
  /** Of the account, as in its requests. */
  readonly apiKey: string
  /** The account's signature secret. */
  readonly secret: string
}

/** What an event of Verify says of the way by which it brought the code. */
const EVENTS: Readonly<Record<string, DeliveryStatus>> = {
  completed: 'delivered',
  failed: 'failed',
  rejected: 'rejected',
  user_rejected: 'other',
  expired: 'expired',
}
/** Statuses of the SMS API's delivery receipts. */
const RECEIPTS: Readonly<Record<string, DeliveryStatus>> = {
  delivered: 'delivered',
  failed: 'failed',
  rejected: 'rejected',
  undeliverable: 'undeliverable',
  expired: 'expired',
  accepted: 'pending',
  buffered: 'pending',
}

/**
 * Callbacks of Vonage's Verify API: the claims of a JWT in the header `Authorization` (HS256 by the signature secret) say who made it, when,
 * and of which body.
 */
export class VerifyReports implements DeliveryReports {
  readonly #signature: VonageSignature

  constructor(signature: VonageSignature) {
    this.#signature = signature
  }

  read(header: (name: string) => string | undefined, body: Buffer, now: number): DeliveryReport {
    const claims = claimsOf(header('authorization') ?? '', this.#signature.secret)
    if (claims.iss !== 'Vonage' || !isSame(claims.api_key, this.#signature.apiKey)) throw new ReportError('account')
    const issuedAt = fresh(claims.iat, now)
    const hash = createHash('sha256').update(body).digest('hex')
    if (typeof claims.payload_hash !== 'string' || !isSame(claims.payload_hash.toLowerCase(), hash))
      throw new ReportError('body')
    const { type, status, client_ref: reference } = objectOf(body.toString())
    // A summary is about the whole request: whether the code was given, not whether it has come.
    const known = type === 'event' ? statusOf(EVENTS, status) : 'other'
    return { status: known, reference: textOf(reference), id: idOf(claims.jti), issuedAt }
  }
}

/**
 * Delivery receipts of Vonage's SMS API, as JSON: `sig` is the HMAC-SHA256, in hexadecimal, of all other parameters in alphabetical
 * order as `&name=value`, with `_` for `&` and `=` within a value.
 */
export class SmsReceipts implements DeliveryReports {
  readonly #signature: VonageSignature

  constructor(signature: VonageSignature) {
    this.#signature = signature
  }

  read(_header: (name: string) => string | undefined, body: Buffer, now: number): DeliveryReport {
    const { sig, ...params } = objectOf(body.toString())
    const wanted = createHmac('sha256', this.#signature.secret).update(signedTextOf(params)).digest('hex')
    if (typeof sig !== 'string' || !isSame(sig.toLowerCase(), wanted)) throw new ReportError('signature')
    if (!isSame(params['api-key'], this.#signature.apiKey)) throw new ReportError('account')
    const issuedAt = fresh(Number(params.timestamp), now)
    return {
      status: statusOf(RECEIPTS, params.status),
      reference: textOf(params['client-ref']),
      id: idOf(params.nonce),
      issuedAt,
    }
  }
}

/** @throws ReportError signature, unless it is a JWT that the secret has signed as it should */
function claimsOf(authorization: string, secret: string): Readonly<Record<string, unknown>> {
  const [, head, claims, signature] = /^Bearer ([\w-]+)\.([\w-]+)\.([\w-]+)$/i.exec(authorization) ?? []
  if (head === undefined || claims === undefined || signature === undefined) throw new ReportError('signature')
  // The one algorithm, whatever else the token names.
  if (objectOf(decoded(head), 'signature').alg !== 'HS256') throw new ReportError('signature')
  const wanted = createHmac('sha256', secret).update(`${head}.${claims}`).digest('base64url')
  if (!isSame(signature, wanted)) throw new ReportError('signature')
  return objectOf(decoded(claims), 'signature')
}

/** @throws ReportError body, when the text could also be that of other parameters */
function signedTextOf(params: Readonly<Record<string, unknown>>): string {
  return Object.entries(params)
    .map(([name, value]) => {
      if (!/^[\w-]+$/.test(name) || (typeof value !== 'string' && typeof value !== 'number'))
        throw new ReportError('body')
      return { name, value: String(value).replace(/[&=]/g, '_') }
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, value }) => `&${name}=${value}`)
    .join('')
}

/** @throws ReportError body */
function idOf(id: unknown): string {
  if (typeof id !== 'string' || id === '') throw new ReportError('body')
  return id
}

const decoded = (part: string): string => Buffer.from(part, 'base64url').toString()
