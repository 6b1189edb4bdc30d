import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { Login } from './helpers/device.ts'
import { Meeting } from './helpers/meeting.ts'
import { slixmppIsMissing } from './helpers/missing.ts'
import { slixmpp, stanza, xmppJs } from './helpers/program.ts'

const TIMEOUT_MS = 60_000

/** First come, first served: what a device took does not come again, what nobody took does, and two that are there hear both. */
async function share(meeting: Meeting, sender: Login, first: Login, second: Login): Promise<void> {
  const romeo = await meeting.newcomer(sender, 'romeo')
  let phone = await meeting.newcomer(first, 'juliet')
  await romeo.says(phone.jid, 'one')
  await phone.hears(romeo.jid, 'one')
  await phone.takes()

  let laptop = await meeting.again(second, 'juliet', 'laptop')
  await romeo.says(phone.jid, 'two')
  await laptop.hears(romeo.jid, 'two')
  await phone.hears(romeo.jid, 'two')
  assert.equal(await laptop.heard('one'), 0, 'the phone took it')
  await laptop.takes()
  await phone.takes()

  await phone.leaves()
  await romeo.says(laptop.jid, 'three')
  await laptop.hears(romeo.jid, 'three')
  await laptop.takes()
  await laptop.leaves()
  await romeo.says(laptop.jid, 'four')

  phone = await meeting.again(first, 'juliet')
  await phone.hears(romeo.jid, 'four')
  await phone.takes()
  for (const body of ['one', 'two', 'three']) assert.equal(await phone.heard(body), 0, 'taken while it was away')
  laptop = await meeting.again(second, 'juliet', 'laptop')
  await romeo.says(laptop.jid, 'five')
  await laptop.hears(romeo.jid, 'five')
  await phone.hears(romeo.jid, 'five')
  assert.equal(await laptop.heard('four'), 0, 'the phone took it')
  for (const body of ['four', 'five']) assert.equal(await phone.heard(body), 1, 'nothing twice')
}

it('an account on @xmpp/client and stanza', { timeout: TIMEOUT_MS }, async (t) =>
  share(await Meeting.open(t), xmppJs, xmppJs, stanza),
)

it('an account on stanza and slixmpp', { timeout: TIMEOUT_MS, skip: slixmppIsMissing() }, async (t) =>
  share(await Meeting.open(t), xmppJs, stanza, slixmpp),
)
