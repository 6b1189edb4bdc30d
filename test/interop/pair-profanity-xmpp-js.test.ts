import { it } from 'node:test'
import { converse } from './helpers/conversation.ts'
import { profanityIsMissing } from './helpers/missing.ts'
import { profanity } from './helpers/profanity.ts'
import { xmppJs } from './helpers/program.ts'

it('Profanity and @xmpp/client', { timeout: 90_000, skip: profanityIsMissing() }, (t) => converse(t, profanity, xmppJs))
