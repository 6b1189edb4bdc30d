import { StreamError } from './stream-error.ts'

// The faults the tokenizer finds in more than one place.
export const malformed = (): StreamError => new StreamError('not-well-formed', 'malformed XML')
export const badCharacter = (): StreamError =>
  new StreamError('not-well-formed', 'malformed UTF-8 or a character XML does not have')
export const badReference = (): StreamError =>
  new StreamError('not-well-formed', 'reference to no predefined entity and no character')
export const mismatched = (): StreamError => new StreamError('not-well-formed', 'mismatched end tag')
export const repeated = (): StreamError => new StreamError('not-well-formed', 'an attribute is there twice')
export const strayText = (): StreamError => new StreamError('invalid-xml', 'character data between stanzas')
export const badPrefix = (text: string): StreamError => new StreamError('bad-namespace-prefix', text)
export const tooMuch = (text: string): StreamError => new StreamError('policy-violation', text)
