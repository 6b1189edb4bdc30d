import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { Login, ProgrammedDevice } from './helpers/device.ts'
import { Meeting } from './helpers/meeting.ts'
import { slixmppIsMissing } from './helpers/missing.ts'
import { slixmpp, stanza, xmppJs } from './helpers/program.ts'

const TIMEOUT_MS = 60_000

/** An account on two clients: each sees what the other one says and hears, once. */
async function overhear(
  meeting: Meeting,
  first: Login<ProgrammedDevice>,
  second: Login<ProgrammedDevice>,
): Promise<void> {
  const juliet = await meeting.newcomer(xmppJs, 'juliet')
  const phone = await meeting.newcomer(first, 'romeo')
  const laptop = await meeting.again(second, 'romeo', 'laptop')
  await phone.copies()
  await laptop.copies()

  await phone.says(juliet.jid, 'said by the phone')
  await juliet.hears(phone.jid, 'said by the phone')
  await laptop.overhears('sent', phone.jid, 'said by the phone')
  await laptop.says(juliet.jid, 'said by the laptop')
  await juliet.hears(phone.jid, 'said by the laptop')
  await phone.overhears('sent', phone.jid, 'said by the laptop')

  await juliet.says(phone.address, 'to the phone')
  await phone.hears(juliet.jid, 'to the phone')
  await laptop.overhears('received', juliet.jid, 'to the phone')
  await juliet.says(laptop.address, 'to the laptop')
  await laptop.hears(juliet.jid, 'to the laptop')
  await phone.overhears('received', juliet.jid, 'to the laptop')

  await juliet.says(phone.jid, 'to both')
  for (const one of [phone, laptop]) {
    await one.hears(juliet.jid, 'to both')
    assert.equal(one.overheard('to both'), 0)
    assert.equal(await one.heard('to both'), 1)
  }
  assert.equal(laptop.overheard('said by the phone'), 1)
  assert.equal(phone.overheard('to the laptop'), 1)
  assert.equal(phone.overheard('said by the phone') + laptop.overheard('said by the laptop'), 0)
}

it('copies between stanza and @xmpp/client', { timeout: TIMEOUT_MS }, async (t) =>
  overhear(await Meeting.open(t), stanza, xmppJs),
)

it('copies between slixmpp and stanza', { timeout: TIMEOUT_MS, skip: slixmppIsMissing() }, async (t) =>
  overhear(await Meeting.open(t), slixmpp, stanza),
)
