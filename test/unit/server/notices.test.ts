import assert from 'node:assert/strict'
import { test } from 'node:test'
import { takeoverNotice } from '../../../src/server/notices.ts'
import { bareJid } from '../../../src/xmpp/jid.ts'

const JID = bareJid('romeo', 'example.org' as never)
const NOTICE = { until: Date.UTC(2026, 0, 2), isLocked: false }

test('a notice of a takeover asks for an answer only where somebody hears it', () => {
  const asking = takeoverNotice(JID, NOTICE, true)
  assert.equal(asking.from, 'registration@example.org')
  assert.match(asking.bytes.toString(), /Unless you refuse, .*answer NO/)
  const telling = takeoverNotice(JID, NOTICE, false)
  assert.equal(telling.from, 'example.org')
  assert.match(telling.bytes.toString(), /deleted after 2026-01-02T00:00:00/)
  assert.doesNotMatch(telling.bytes.toString(), /answer|refuse/)
})
