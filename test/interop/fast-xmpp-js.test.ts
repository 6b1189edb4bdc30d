import assert from 'node:assert/strict'
import { it } from 'node:test'
import { Meeting } from './helpers/meeting.ts'
import { Program } from './helpers/program.ts'

/** A client nobody here wrote finds SASL2, Bind 2 and FAST by itself: password once, then a token, also for a resumption. */
it('@xmpp/client comes back by a token', { timeout: 60_000 }, async (t) => {
  const meeting = await Meeting.open(t)
  const { domain, port } = meeting.server
  await meeting.server.addAccount(`romeo@${domain}`, 'correct horse')
  const program = new Program([process.execPath, new URL('helpers/run-xmpp-js-fast.ts', import.meta.url).pathname])
  t.after(() => program.stop())
  program.order({ do: 'reconnect', port, domain, user: 'romeo', password: 'correct horse' })
  const first = await program.event('session', ({ number }) => number === 1)
  const second = await program.event('session', ({ number }) => number === 2)
  const third = await program.event('session', ({ number }) => number === 3)
  assert.match(first.mechanism, /^SCRAM-/)
  assert.match(first.jid, new RegExp(`^romeo@${domain}/interop/`))
  assert.deepEqual([second.mechanism, third.mechanism], ['HT-SHA-256-NONE', 'HT-SHA-256-NONE'])
  assert.equal(second.outcome, 'bound', 'it had logged out')
  assert.equal(third.outcome, 'resumed', 'it had lost its connection')
  assert.equal(second.jid, first.jid)
  assert.equal(third.jid, first.jid)
})
