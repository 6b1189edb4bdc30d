import { it } from 'node:test'
import { converse } from './helpers/conversation.ts'
import { profanityIsMissing, slixmppIsMissing } from './helpers/missing.ts'
import { profanity } from './helpers/profanity.ts'
import { slixmpp } from './helpers/program.ts'

const skip = slixmppIsMissing() || profanityIsMissing()

it('slixmpp and Profanity', { timeout: 90_000, skip }, (t) => converse(t, slixmpp, profanity))
