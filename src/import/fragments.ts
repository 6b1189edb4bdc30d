import { NS_CLIENT } from '../xmpp/ns.ts'
import { type RawElement, Tokenizer, type TokenizerLimits } from '../xmpp/tokenizer.ts'

/** A name that nothing in the text has. */
const ROOT = 'fernruf-import'

/** The elements in a text that stood in another server's store. @throws Error where it is no XML, or over the limits */
export function elementsIn(text: string, limits: TokenizerLimits): readonly RawElement[] {
  if (text.includes(ROOT)) throw new Error('a text with an end of its own')
  const tokenizer = new Tokenizer(limits)
  tokenizer.push(Buffer.from(`<${ROOT} xmlns='${NS_CLIENT}'>${text}</${ROOT}>`))
  const elements: RawElement[] = []
  for (let token = tokenizer.next(); token !== undefined; token = tokenizer.next()) {
    if (token.token === 'element') elements.push(token)
    if (token.token === 'footer') return elements
  }
  throw new Error('a text that ends inside an element')
}
