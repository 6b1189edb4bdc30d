import { timingSafeEqual } from 'node:crypto'
import { type DeliveryStatus, REPORT_SKEW_MS, ReportError } from '../account/sms-provider.ts'

/** Ms of a time in seconds. @throws ReportError time, unless it is about now */
export function fresh(seconds: unknown, now: number): number {
  if (typeof seconds !== 'number' || !Number.isFinite(seconds)) throw new ReportError('time')
  const issuedAt = Math.floor(seconds * 1000)
  if (Math.abs(now - issuedAt) > REPORT_SKEW_MS) throw new ReportError('time')
  return issuedAt
}
export const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)
export const statusOf = (known: Readonly<Record<string, DeliveryStatus>>, status: unknown): DeliveryStatus =>
  (typeof status === 'string' && Object.hasOwn(known, status) ? known[status] : undefined) ?? 'other'

/** A JSON object. @throws ReportError */
export function objectOf(text: string, fault: 'body' | 'signature' = 'body'): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new ReportError(fault)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new ReportError(fault)
  return value as Record<string, unknown>
}
/** In constant time, but for the length. */
export function isSame(given: unknown, wanted: string): boolean {
  if (typeof given !== 'string') return false
  const [a, b] = [Buffer.from(given), Buffer.from(wanted)]
  return a.length === b.length && timingSafeEqual(a, b)
}
