import { NS_CLIENT } from './ns.ts'
import { Stanza } from './stanza.ts'
import type { QName } from './tokenizer.ts'

const NS_FORWARD = 'urn:xmpp:forward:0'

/**
 * A message that carries another stanza, within an element of that name (XEP-0297): nothing of what is carried is read or built
 * anew.
 */
export function carrying(
  fields: Parameters<typeof Stanza.stored<'message'>>[0],
  { name, ns }: QName,
  carried: Stanza,
): Stanza<'message'> {
  const { bytes, kind } = carried
  const content = Buffer.concat([
    Buffer.from(`<${name} xmlns='${ns}'><forwarded xmlns='${NS_FORWARD}'><${kind} xmlns='${NS_CLIENT}'`),
    bytes.subarray(kind.length + 1),
    Buffer.from(`</forwarded></${name}>`),
  ])
  return Stanza.stored(fields, content, [{ name, ns }])
}
