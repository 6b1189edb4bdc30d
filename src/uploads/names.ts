/** Bytes of no known kind. */
export const OCTETS = 'application/octet-stream'
const MAX_TYPE = 127
/** What file systems take, in bytes of UTF-8. */
const MAX_NAME = 255

/** The name as it may stand in an address and in a header: no folders, nothing invisible, not too long; its ending stays. */
export function fileName(asked: string): string {
  const last = asked.slice(-4_096).split(/[/\\]/).at(-1) ?? ''
  // Controls, and what turns the direction of a text round, so that an ending seems to be another.
  const seen = last
    .toWellFormed()
    .replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\ufffd]/gu, '')
    .trim()
    .replaceAll(/^\.+|\.+$/g, '')
  return seen === '' ? 'file' : shortened(seen)
}
function shortened(name: string): string {
  const dot = name.lastIndexOf('.')
  const ending = dot > 0 && name.length - dot <= 16 ? name.slice(dot) : ''
  const room = MAX_NAME - Buffer.byteLength(ending)
  const stem = Buffer.from(name.slice(0, name.length - ending.length))
  if (stem.length <= room) return name
  // What is left of a character that was cut through.
  return new TextDecoder().decode(stem.subarray(0, room)).replace(/\ufffd+$/, '') + ending
}

const TOKEN = "[\\w!#$&^.+'*`|~%-]+"
const TYPE = new RegExp(`^${TOKEN}/${TOKEN}$`)
/** A media type (RFC 9110 §8.3.1) in lower case without parameters; undefined for what is none. */
export function mediaType(asked: string): string | undefined {
  const type = (asked.slice(0, 1_024).split(';', 1)[0] ?? '').trim().toLowerCase()
  return type.length <= MAX_TYPE && TYPE.test(type) ? type : undefined
}

/** What a browser may show by itself: nothing of it can run anything. */
const SHOWN: ReadonlySet<string> = new Set([
  'audio/aac',
  'audio/amr',
  'audio/flac',
  'audio/mp4',
  'audio/mpeg',
  'audio/ogg',
  'audio/opus',
  'audio/wav',
  'audio/webm',
  'audio/x-wav',
  'image/avif',
  'image/bmp',
  'image/gif',
  'image/heic',
  'image/jpeg',
  'image/png',
  'image/webp',
  'video/3gpp',
  'video/mp4',
  'video/mpeg',
  'video/ogg',
  'video/quicktime',
  'video/webm',
])
export const isShown = (type: string): boolean => SHOWN.has(type)

/** One segment of a path; of what RFC 3986 allows there, only what means nothing to XML, quotes or shells. */
export const pathSegment = (text: string): string =>
  encodeURIComponent(text).replaceAll(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)

/** Content-Disposition (RFC 6266): old readers get what of the name is ASCII. */
export function disposition(kind: 'inline' | 'attachment', name: string): string {
  const plain = name.replaceAll(/[^\x20-\x7e]|["\\%]/g, '_')
  return `${kind}; filename="${plain}"; filename*=UTF-8''${pathSegment(name)}`
}
