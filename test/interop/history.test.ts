import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { Login, ProgrammedDevice } from './helpers/device.ts'
import { Meeting } from './helpers/meeting.ts'
import { slixmppIsMissing } from './helpers/missing.ts'
import { slixmpp, stanza, xmppJs } from './helpers/program.ts'

const TIMEOUT_MS = 60_000

/** What two have said, also what one of them has never heard, is found by a device that comes later. */
async function remember(meeting: Meeting, reader: Login<ProgrammedDevice>): Promise<void> {
  const romeo = await meeting.newcomer(xmppJs, 'romeo')
  const phone = await meeting.newcomer(xmppJs, 'juliet')
  const nurse = await meeting.newcomer(xmppJs, 'nurse')
  await romeo.says(phone.jid, 'one')
  await phone.hears(romeo.jid, 'one')
  await phone.says(romeo.jid, 'two')
  await romeo.hears(phone.jid, 'two')
  await nurse.says(phone.jid, 'Madam!')
  await phone.hears(nurse.jid, 'Madam!')
  await phone.takes()
  await phone.leaves()
  for (const body of ['three', 'four', 'five <&> 🌹']) await romeo.says(phone.jid, body)

  const laptop = await meeting.again(reader, 'juliet', 'laptop')
  for (const body of ['three', 'four', 'five <&> 🌹']) await laptop.hears(romeo.jid, body)
  const found = await laptop.remembers(romeo.jid)
  assert.deepEqual(
    found.map(({ from, body }) => [from, body]),
    [
      [romeo.address, 'one'],
      [phone.address, 'two'],
      [romeo.address, 'three'],
      [romeo.address, 'four'],
      [romeo.address, 'five <&> 🌹'],
    ],
  )
  assert.equal(new Set(found.map(({ id }) => id)).size, 5)
  assert.deepEqual(
    (await laptop.remembers(nurse.jid)).map(({ body }) => body),
    ['Madam!'],
  )
  assert.deepEqual(await laptop.remembers('nobody@localhost'), [])
  for (const body of ['three', 'four']) assert.equal(await laptop.heard(body), 1, 'reading is not hearing')
}

it('stanza reads what was said before it came', { timeout: TIMEOUT_MS }, async (t) =>
  remember(await Meeting.open(t), stanza),
)

it('slixmpp reads what was said before it came', { timeout: TIMEOUT_MS, skip: slixmppIsMissing() }, async (t) =>
  remember(await Meeting.open(t), slixmpp),
)
