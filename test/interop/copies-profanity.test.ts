import assert from 'node:assert/strict'
import { it } from 'node:test'
import { Meeting } from './helpers/meeting.ts'
import { profanityIsMissing } from './helpers/missing.ts'
import { profanity } from './helpers/profanity.ts'
import { xmppJs } from './helpers/program.ts'

it('Profanity shows what @xmpp/client says and hears for the same account', {
  timeout: 90_000,
  skip: profanityIsMissing(),
}, async (t) => {
  const meeting = await Meeting.open(t)
  const juliet = await meeting.newcomer(xmppJs, 'juliet')
  const laptop = await meeting.newcomer(xmppJs, 'romeo')
  const terminal = await meeting.again(profanity, 'romeo', 'terminal')
  await terminal.copies()

  await laptop.says(juliet.jid, 'said by the laptop')
  await juliet.hears(laptop.jid, 'said by the laptop')
  await terminal.hears(juliet.jid, 'said by the laptop')
  await juliet.says(laptop.address, 'to the laptop')
  await laptop.hears(juliet.jid, 'to the laptop')
  await terminal.hears(juliet.jid, 'to the laptop')
  assert.equal(await terminal.heard('said by the laptop'), 1)
})
