import assert from 'node:assert/strict'
import { it } from 'node:test'
import { Meeting } from './helpers/meeting.ts'
import { stanza, xmppJs } from './helpers/program.ts'

const PASSWORD = 'correct horse'

it('accounts, rosters and waiting messages outlive the server', { timeout: 60_000 }, async (t) => {
  const meeting = await Meeting.open(t)
  const { server } = meeting
  await server.addAccount(`romeo@${server.domain}`, PASSWORD)
  let romeo = await meeting.again(stanza, 'romeo')
  let juliet = await meeting.newcomer(xmppJs, 'juliet')
  await romeo.adds(juliet.jid)
  await juliet.accepts(romeo.jid)
  await juliet.adds(romeo.jid)
  await romeo.accepts(juliet.jid)
  await romeo.hasFriend(juliet.jid)
  await juliet.hasFriend(romeo.jid)
  await juliet.leaves()
  await romeo.misses(juliet.jid)
  await romeo.says(juliet.jid, 'I will bite thee by the ear for that jest')
  await romeo.leaves()

  assert.equal(await server.restart(), 0)

  romeo = await meeting.again(stanza, 'romeo')
  juliet = await meeting.again(xmppJs, 'juliet')
  await juliet.hears(romeo.jid, 'I will bite thee by the ear for that jest')
  await juliet.hasFriend(romeo.jid)
  await romeo.hasFriend(juliet.jid)
  await romeo.sees(juliet.jid)
  await juliet.says(romeo.jid, 'Nay, good goose, bite not')
  await romeo.hears(juliet.jid, 'Nay, good goose, bite not')
})
