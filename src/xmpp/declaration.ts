import { StreamError } from './stream-error.ts'

const CDATA_OPENING = '![CDATA['
const MAX_DECLARATION = 200
const DECLARATION =
  /^<\?xml[ \t\r\n]+version[ \t\r\n]*=[ \t\r\n]*(?:'([^'<&]*)'|"([^"<&]*)")(?:[ \t\r\n]+encoding[ \t\r\n]*=[ \t\r\n]*(?:'([^'<&]*)'|"([^"<&]*)"))?(?:[ \t\r\n]+standalone[ \t\r\n]*=[ \t\r\n]*(?:'(?:yes|no)'|"(?:yes|no)"))?[ \t\r\n]*\?>$/

/**
 * Octets of the XML declaration at `start`; 0 when `end` cuts it (RFC 6120 §11.5, §11.6).
 * @throws StreamError restricted-xml, not-well-formed, unsupported-encoding
 */
export function declarationLength(buf: Buffer, start: number, end: number): number {
  const last = Math.min(end, start + MAX_DECLARATION)
  const text = buf.toString('latin1', start, last)
  const close = text.indexOf('?>')
  const head = text.slice(0, 6)
  if (!/^<\?xml[ \t\r\n]/.test(head) && !'<?xml '.startsWith(head)) {
    throw new StreamError('restricted-xml', 'processing instruction')
  }
  if (close < 0) {
    if (last < start + MAX_DECLARATION) return 0
    throw new StreamError('not-well-formed', 'malformed XML declaration')
  }
  const parts = DECLARATION.exec(text.slice(0, close + 2))
  if (parts === null) throw new StreamError('not-well-formed', 'malformed XML declaration')
  if ((parts[1] ?? parts[2]) !== '1.0') throw new StreamError('not-well-formed', 'only XML 1.0 is spoken here')
  const encoding = parts[3] ?? parts[4] ?? 'UTF-8'
  if (encoding.toUpperCase() !== 'UTF-8') throw new StreamError('unsupported-encoding', 'only UTF-8 is spoken here')
  return close + 2
}

/**
 * Octets of what opens a CDATA section, from the `!` at `start` on; 0 when `end` cuts it.
 * @throws StreamError restricted-xml for whatever else begins so: comments, DTDs
 */
export function cdataOpeningLength(buf: Buffer, start: number, end: number): number {
  for (let i = 0; i < CDATA_OPENING.length; i++) {
    if (start + i === end) return 0
    if (buf[start + i] !== CDATA_OPENING.charCodeAt(i)) throw new StreamError('restricted-xml', 'comment or DTD')
  }
  return CDATA_OPENING.length
}
