import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { Login } from './device.ts'
import { Meeting } from './meeting.ts'

/** Two strangers with two clients register, become friends, talk, miss each other and find what was said meanwhile. */
export async function converse(t: TestContext, first: Login, second: Login): Promise<void> {
  const meeting = await Meeting.open(t)
  let romeo = await meeting.newcomer(first, 'romeo')
  let juliet = await meeting.newcomer(second, 'juliet')

  await romeo.adds(juliet.jid)
  await juliet.accepts(romeo.jid)
  await romeo.sees(juliet.jid)
  await juliet.adds(romeo.jid)
  await romeo.accepts(juliet.jid)
  await juliet.sees(romeo.jid)
  await romeo.hasFriend(juliet.jid)
  await juliet.hasFriend(romeo.jid)

  await romeo.says(juliet.jid, 'Art thou not Romeo?')
  await juliet.hears(romeo.jid, 'Art thou not Romeo?')
  await juliet.says(romeo.jid, 'Neither, fair saint <&> 🌹')
  await romeo.hears(juliet.jid, 'Neither, fair saint <&> 🌹')

  await juliet.leaves()
  await romeo.misses(juliet.jid)
  await romeo.says(juliet.jid, 'Good night, good night')
  await romeo.says(juliet.jid, 'till it be morrow')
  juliet = await meeting.again(second, 'juliet')
  await juliet.hears(romeo.jid, 'Good night, good night')
  await juliet.hears(romeo.jid, 'till it be morrow')
  await juliet.sees(romeo.jid)
  await juliet.hasFriend(romeo.jid)

  await romeo.leaves()
  await juliet.misses(romeo.jid)
  await juliet.says(romeo.jid, 'Parting is such sweet sorrow')
  romeo = await meeting.again(first, 'romeo')
  await romeo.hears(juliet.jid, 'Parting is such sweet sorrow')
  assert.equal(await romeo.heard('Parting is such sweet sorrow'), 1)
  await romeo.hasFriend(juliet.jid)
}
