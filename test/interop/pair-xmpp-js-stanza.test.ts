import { it } from 'node:test'
import { converse } from './helpers/conversation.ts'
import { stanza, xmppJs } from './helpers/program.ts'

it('@xmpp/client and stanza', { timeout: 60_000 }, (t) => converse(t, xmppJs, stanza))
