import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StanzaError } from '../../../src/xmpp/stanza-error.ts'

test('an answer takes no stack, and leaves everybody else theirs', () => {
  const limit = Error.stackTraceLimit
  assert.doesNotMatch(new StanzaError('bad-request').stack ?? '', /\n\s+at /)
  assert.equal(Error.stackTraceLimit, limit)
  assert.match(new Error('other').stack ?? '', /\n\s+at /)
})
