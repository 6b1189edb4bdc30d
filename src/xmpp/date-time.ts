/** Written by XEP-0082: UTC, with milliseconds. */
export function formatDateTime(date: Date): string {
  return date.toISOString()
}

const DATE_TIME = /^(\d{4}-\d{2}-\d{2})T(\d{2}):(\d{2}):(\d{2})(?:\.(\d+))?(?:Z|([+-])(\d{2}):(\d{2}))$/
const MAX_LENGTH = 40

/** Reads a Date of XEP-0082 (its first moment, UTC) or a DateTime; undefined when the text is neither. */
export function parseDay(text: string): Date | undefined {
  return parseDateTime(/^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T00:00:00Z` : text)
}

/**
 * Reads a DateTime of XEP-0082, cut to milliseconds, or the first millisecond that is not before it; undefined when the text is none.
 * A leap second is the second before it.
 */
export function parseDateTime(text: string, rounded: 'down' | 'up' = 'down'): Date | undefined {
  const parts = text.length > MAX_LENGTH ? null : DATE_TIME.exec(text)
  if (parts === null) return undefined
  const [
    ,
    day = '',
    hours = '',
    minutes = '',
    seconds = '',
    fraction = '',
    sign,
    offsetHours = '0',
    offsetMinutes = '0',
  ] = parts
  const midnight = Date.parse(`${day}T00:00:00.000Z`)
  // `Date.parse` takes the 31st of February for the 3rd of March.
  if (Number.isNaN(midnight) || new Date(midnight).toISOString().slice(0, 10) !== day) return undefined
  if (Number(hours) > 23 || Number(minutes) > 59 || Number(seconds) > 60) return undefined
  if (Number(offsetHours) > 14 || Number(offsetMinutes) > 59) return undefined
  const second = Math.min(Number(seconds), 59)
  const offset = (Number(offsetHours) * 60 + Number(offsetMinutes)) * (sign === '-' ? -60_000 : 60_000)
  const more = rounded === 'up' && /[1-9]/.test(fraction.slice(3)) ? 1 : 0
  const ofDay =
    ((Number(hours) * 60 + Number(minutes)) * 60 + second) * 1000 + Number(fraction.padEnd(3, '0').slice(0, 3)) + more
  return new Date(midnight + ofDay - offset)
}
