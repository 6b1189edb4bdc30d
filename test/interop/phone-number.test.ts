import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Login } from './helpers/device.ts'
import { Meeting } from './helpers/meeting.ts'
import { slixmppIsMissing } from './helpers/missing.ts'
import { type Program, slixmpp, stanza, startSlixmpp, startStanza, xmppJs } from './helpers/program.ts'

const PASSWORD = 'correct horse'
const TIMEOUT_MS = 60_000

/** Fills in the form twice, as a user of a client that shows forms: with the number, and with the code that came. @returns the name */
async function register(meeting: Meeting, program: Program, phone: string): Promise<string> {
  const { server } = meeting
  const { port, tlsPort, domain } = server
  try {
    program.order({ do: 'phone', port, tlsPort, domain, phone, password: PASSWORD })
    const { condition, text, fields } = await program.event('asked')
    assert.equal(condition, 'not-acceptable')
    for (const field of ['phone', 'code', 'password']) assert.ok(fields.includes(field), `the form asks for ${field}`)
    const [, name = ''] = /Your address will be (\S+)@localhost/.exec(text) ?? []
    assert.match(name, /^[0-9a-z]{20,}$/)
    assert.ok(!text.includes(phone.slice(-7)))
    program.order({ do: 'code', code: await server.code(phone.slice(-2)) })
    await program.event('registered', ({ user }) => user === name)
    return name
  } finally {
    await program.stop()
  }
}

/** Somebody with a number registers, logs in and is written to by a stranger, while there and while away. */
async function story(meeting: Meeting, start: () => Program, login: Login, phone: string): Promise<void> {
  const user = await register(meeting, start(), phone)
  const credentials = { user, password: PASSWORD, resource: 'phone', register: false }
  const romeo = await meeting.newcomer(xmppJs, 'romeo')
  let juliet = await meeting.device(login, credentials)
  await romeo.says(juliet.jid, 'O, speak again')
  await juliet.hears(romeo.jid, 'O, speak again')
  await juliet.says(romeo.jid, 'What man art thou?')
  await romeo.hears(juliet.jid, 'What man art thou?')
  await juliet.takes()
  await juliet.leaves()
  await romeo.says(juliet.jid, 'I know not how to tell thee')
  juliet = await meeting.device(login, credentials)
  await juliet.hears(romeo.jid, 'I know not how to tell thee')
  assert.equal(await juliet.heard('O, speak again'), 0, 'it was taken')
}

describe('a phone number becomes an account', () => {
  it('by the forms of stanza', { timeout: TIMEOUT_MS }, async (t) =>
    story(await Meeting.open(t), startStanza, stanza, '+4915112345678'),
  )

  it('by the forms of slixmpp', { timeout: TIMEOUT_MS, skip: slixmppIsMissing() }, async (t) =>
    story(await Meeting.open(t), startSlixmpp, slixmpp, '+15555215554'),
  )
})
