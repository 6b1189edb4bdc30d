import assert from 'node:assert/strict'
import { it } from 'node:test'
import { Meeting } from './helpers/meeting.ts'
import { stanza, xmppJs } from './helpers/program.ts'

it('@xmpp/client comes back by itself and has missed nothing', { timeout: 60_000 }, async (t) => {
  const meeting = await Meeting.open(t)
  const romeo = await meeting.newcomer(stanza, 'romeo')
  const juliet = await meeting.newcomer(xmppJs, 'juliet')
  await romeo.says(juliet.jid, 'before')
  await juliet.hears(romeo.jid, 'before')

  await juliet.isCut()
  await romeo.says(juliet.jid, 'meanwhile')
  await juliet.returns()
  await juliet.hears(romeo.jid, 'meanwhile')
  await romeo.says(juliet.jid, 'after')
  await juliet.hears(romeo.jid, 'after')
  await juliet.says(romeo.jid, 'still here')
  await romeo.hears(juliet.jid, 'still here')

  await juliet.isCut()
  await romeo.says(juliet.jid, 'again')
  await juliet.returns()
  await juliet.hears(romeo.jid, 'again')
  await juliet.takes()
  for (const body of ['before', 'meanwhile', 'after', 'again']) assert.equal(await juliet.heard(body), 1, body)
  assert.equal(await romeo.heard('still here'), 1)

  // Nor does any of it wait for another device.
  await juliet.leaves()
  const laptop = await meeting.again(xmppJs, 'juliet', 'laptop')
  await romeo.says(juliet.jid, 'the last')
  await laptop.hears(romeo.jid, 'the last')
  for (const body of ['before', 'meanwhile', 'after', 'again']) assert.equal(await laptop.heard(body), 0, body)
})
