import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { Login, ProgrammedDevice } from './helpers/device.ts'
import { Meeting } from './helpers/meeting.ts'
import { aiohttpIsMissing } from './helpers/missing.ts'
import { slixmpp, stanza } from './helpers/program.ts'

const TIMEOUT_MS = 60_000
const BODY = 'But soft, what light through yonder window breaks? 🌹'

/** A client finds the service, asks for a slot and fills it, all by itself. */
async function uploads(meeting: Meeting, login: Login<ProgrammedDevice>): Promise<void> {
  const romeo = await meeting.newcomer(login, 'romeo')
  const url = await romeo.uploads({ name: 'très soft.txt', type: 'text/plain', body: BODY })
  const got = await fetch(url)
  assert.deepEqual([got.status, got.headers.get('content-type'), await got.text()], [200, 'text/plain', BODY])
}

it('stanza uploads a file', { timeout: TIMEOUT_MS }, async (t) => uploads(await Meeting.open(t), stanza))

it('slixmpp uploads a file', { timeout: TIMEOUT_MS, skip: aiohttpIsMissing() }, async (t) =>
  uploads(await Meeting.open(t), slixmpp),
)
