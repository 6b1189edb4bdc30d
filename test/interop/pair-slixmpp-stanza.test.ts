import { it } from 'node:test'
import { converse } from './helpers/conversation.ts'
import { slixmppIsMissing } from './helpers/missing.ts'
import { slixmpp, stanza } from './helpers/program.ts'

it('slixmpp and stanza', { timeout: 60_000, skip: slixmppIsMissing() }, (t) => converse(t, slixmpp, stanza))
