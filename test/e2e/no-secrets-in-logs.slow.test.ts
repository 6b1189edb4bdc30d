import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { encryptKey } from 'openpgp'
import { bridgeCertificate, phoneKey } from '../helpers/bridge-certificate.ts'
import { codeIn, KONTALK_CODE, registersKey, registrationForm, shown, WIDE_BUDGETS } from '../helpers/kontalk-phone.ts'
import { authenticate, bind, LoginRefused, NS_SASL, secureStream } from '../helpers/login.ts'
import { write } from '../helpers/match-element.ts'
import { agentElement, authenticate2, NS_FAST, openFrom, the, tokenMessage } from '../helpers/sasl2.ts'
import { ScramClient } from '../helpers/scram.ts'
import { type Story, story } from '../helpers/story.ts'
import type { XmppConnection } from '../helpers/xmpp-connection.ts'

/** All that a log must not hold: numbers, their localparts, codes, passwords, bodies, what SASL carries. */

const NS_REGISTER = 'jabber:iq:register'
const KONTALK_PRIVATE_KEY = 'http://kontalk.org/protocol/register#privatekey'
const KONTALK_ACCOUNT = 'http://kontalk.org/protocol/register#account'
const PHONE = '+4915123456781'
const KEY_PHONE = '+4915123456792'
const PASSWORD = 'pass-word-of-the-story-17'
const NEW_PASSWORD = 'another-pass-word-18'
const BODY = 'marker-of-a-body-19'
const WRONG = 'wrong-pass-word-20'
const localOf = (phone: string): string => createHash('sha1').update(phone).digest('hex')
const base64 = (bytes: string | Uint8Array): string => Buffer.from(bytes).toString('base64')

/** A stream that is secured, on which one element is asked and answered at a time. */
async function fresh(tell: Story): Promise<XmppConnection> {
  const c = await tell.connection({ directTls: true })
  await secureStream(c)
  return c
}
async function from(tell: Story, username: string): Promise<XmppConnection> {
  const c = await tell.connection({ directTls: true })
  await openFrom(c, `${username}@${tell.domain}`)
  return c
}
async function answered(c: XmppConnection, xml: string): Promise<string> {
  c.write(xml)
  return write(await c.element())
}
async function refuses(work: Promise<unknown>): Promise<void> {
  await assert.rejects(work, LoginRefused)
}

for (const level of ['debug', 'trace']) {
  story(
    `no secret is logged at level ${level}, whatever happens to an account`,
    async (tell) => {
      const secrets = new Map<string, string>()
      const username = localOf(PHONE)

      // A number, a wrong code, the right one.
      const c = await fresh(tell)
      const form = (code: string): string =>
        registrationForm({ FORM_TYPE: NS_REGISTER, phone: PHONE, code, password: PASSWORD })
      assert.match(await answered(c, form('')), /not-acceptable/)
      const code = codeIn(tell.codes)
      const wrongCode = code === '913577' ? '913578' : '913577'
      assert.match(await answered(c, form(wrongCode)), /bad-request/)
      assert.match(await answered(c, form(code)), /type='result'/)
      assert.match(await answered(await fresh(tell), form(code)), /type='error'/)
      const bad = registrationForm({ FORM_TYPE: NS_REGISTER, phone: `${PHONE}0000000`, code: '', password: PASSWORD })
      assert.match(await answered(await fresh(tell), bad), /type='error'/)

      // Passwords, right and wrong, in both ways, and with somebody else's name.
      for (const mechanism of ['PLAIN', 'SCRAM-SHA-1', 'SCRAM-SHA-256', 'SCRAM-SHA-512-PLUS']) {
        await authenticate(await fresh(tell), { mechanism, username, password: PASSWORD })
        await refuses(authenticate(await fresh(tell), { mechanism, username, password: WRONG }))
        const authzid = `${localOf(KEY_PHONE)}@localhost`
        await refuses(authenticate(await fresh(tell), { mechanism, username, password: PASSWORD, authzid }))
        await refuses(authenticate(await fresh(tell), { mechanism, username: PHONE, password: PASSWORD }))
      }
      const plain = base64(`\0${username}\0${PASSWORD}`)
      secrets.set('the message of PLAIN', plain)
      await answered(await fresh(tell), `<auth xmlns='${NS_SASL}' mechanism='PLAIN'>${plain}=</auth>`)
      const scram = new ScramClient({ mechanism: 'SCRAM-SHA-1', username, password: PASSWORD, channelBinding: 'n' })
      const first = base64(scram.first())
      const s = await fresh(tell)
      const challenge = await answered(s, `<auth xmlns='${NS_SASL}' mechanism='SCRAM-SHA-1'>${first}</auth>`)
      const server = />([^<]+)</.exec(challenge)?.[1] ?? ''
      const final = base64(scram.final(Buffer.from(server, 'base64').toString()))
      await answered(s, `<response xmlns='${NS_SASL}'>${final}</response>`)
      for (const [what, message] of Object.entries({ first, server, final })) secrets.set(`SCRAM's ${what}`, message)

      // What a device calls itself, its token, and both where they do not belong.
      const agent = '1f0c7d3e-5b2a-4c6d-9e8f-7a6b5c4d3e2f'
      const names = '<software>program-of-the-story</software><device>device-of-the-story</device>'
      const inline = `${agentElement(agent, names)}<request-token xmlns='${NS_FAST}' mechanism='HT-SHA-256-NONE'/>`
      const asked = { username, password: PASSWORD, inline: `${inline}<bind xmlns='urn:xmpp:bind:0'/>` }
      const given = await authenticate2(await from(tell, username), asked)
      const token = the(given, 'token').attrs.token ?? ''
      const back = { mechanism: 'HT-SHA-256-NONE', username, password: token, agent }
      for (const attrs of [` count='1'`, ` count='1'`, '', ` count='x'`])
        await authenticate2(await from(tell, username), {
          ...back,
          inline: `<fast xmlns='${NS_FAST}'${attrs}/>`,
        }).catch((error: unknown) => assert.ok(error instanceof LoginRefused))
      await refuses(authenticate2(await from(tell, username), { ...asked, password: WRONG }))
      for (const secret of [token, agent, agent.replaceAll('-', ''), 'program-of-the-story', 'device-of-the-story'])
        secrets.set(`${secret} of a device`, secret)
      secrets.set('the message with a token', tokenMessage(username, token, Buffer.alloc(0)).toString('base64'))

      // A key of a number, and its certificate.
      const key = await phoneKey(`${localOf(KEY_PHONE)}@localhost`, { date: new Date(Date.now() - 86_400_000) })
      const settings = { port: tell.servers[0]?.starttlsPort ?? 0, domain: tell.domain }
      const ring = await registersKey(tell, settings, KEY_PHONE, key)
      secrets.set('the code for the key', codeIn(tell.codes))
      for (const authzid of [undefined, `${username}@localhost`]) {
        const e = await tell.connection(shown(key, { ring }))
        await secureStream(e)
        const login = { mechanism: 'EXTERNAL', username: '', password: '' }
        if (authzid === undefined) await authenticate(e, login)
        else await refuses(authenticate(e, { ...login, authzid }))
      }
      const stranger = await phoneKey(`${username}@localhost`)
      const forged = await tell.connection(shown(stranger))
      await secureStream(forged)
      await refuses(authenticate(forged, { mechanism: 'EXTERNAL', username: '', password: '' }))
      await answered(forged, registrationForm({ FORM_TYPE: KONTALK_CODE, code: wrongCode }))
      // Its secret half on the way to another device: a token that is none, the right one, and the same again.
      const sends = await tell.connection(shown(key, { ring }))
      await secureStream(sends)
      await authenticate(sends, { mechanism: 'EXTERNAL', username: '', password: '' })
      await sends.openStream()
      await sends.features()
      await bind(sends, 'sender-of-the-story')
      const locked = base64((await encryptKey({ privateKey: key.key, passphrase: 'correct horse' })).write())
      sends.write(registrationForm({ FORM_TYPE: KONTALK_PRIVATE_KEY, privatekey: locked }))
      let left = ''
      while (!/id='reg'/.test(left)) left = write(await sends.element())
      const transfer = /var='token'[^>]*><value>(\d{40})</.exec(left)?.[1] ?? assert.fail(left)
      const guess = '7'.repeat(40)
      for (const one of [guess, transfer, transfer])
        await answered(
          await fresh(tell),
          `<iq type='get' id='k' to='localhost'><query xmlns='${NS_REGISTER}'><account xmlns='${KONTALK_ACCOUNT}'><privatekey><token>${one}</token></privatekey></account></query></iq>`,
        )
      secrets.set('the token of a secret key', transfer)
      secrets.set('a guess at one', guess)
      secrets.set('the secret key', locked.slice(0, 60))
      secrets.set('the middle of the secret key', locked.slice(200, 260))
      secrets.set('the key', base64(ring).slice(0, 60))
      secrets.set('the certificate', base64(bridgeCertificate(stranger)).slice(0, 60))

      // A session: messages to both, errors, a changed password.
      const session = await fresh(tell)
      await authenticate(session, { username, password: PASSWORD })
      await session.openStream()
      await session.features()
      const jid = await bind(session, 'phone-of-the-story')
      for (const to of [`${localOf(KEY_PHONE)}@localhost`, `${PHONE}@localhost`, 'nobody@elsewhere.example', jid])
        session.write(`<message to='${to}' type='chat'><body>${BODY}</body></message>`)
      session.write(`<iq type='set' id='r' to='${jid}'><query xmlns='jabber:iq:roster'>${BODY}</query></iq>`)
      session.write(
        `<iq type='set' id='pw'><query xmlns='${NS_REGISTER}'><username>${username}</username><password>${NEW_PASSWORD}</password></query></iq>`,
      )
      while (!/id='pw'/.test(write(await session.element())));
      session.write(`<message to='${jid}'><body>${BODY}</broken>`)
      await session.endsWith('not-well-formed')
      await authenticate(await fresh(tell), { mechanism: 'PLAIN', username, password: NEW_PASSWORD })

      for (const phone of [PHONE, KEY_PHONE]) {
        secrets.set(`the number ${phone}`, phone)
        secrets.set(`the digits of ${phone}`, phone.slice(1))
        secrets.set(`the national digits of ${phone}`, phone.slice(3))
        secrets.set(`the localpart of ${phone}`, localOf(phone))
        secrets.set(`the localpart of ${phone} in capitals`, localOf(phone).toUpperCase())
      }
      for (const word of [PASSWORD, NEW_PASSWORD, WRONG, BODY, wrongCode, code]) {
        secrets.set(word, word)
        secrets.set(`${word} in base64`, base64(word).replace(/=+$/, ''))
      }
      const { logged } = tell
      assert.ok(logged.some((line) => line.includes('login refused')))
      assert.ok(logged.some((line) => line.includes('registration step refused')))
      assert.ok(logged.some((line) => line.includes('"session"')))
      for (const [what, secret] of secrets) {
        assert.ok(secret.length >= 4 && holds(`{"n":"${secret}"}`, secret), what)
        const line = logged.find((l) => holds(l, secret))
        assert.equal(line, undefined, `${what} stands in a line of the log`)
      }
      // Codes go to whoever sends them, and name a number by its last two digits.
      for (const line of tell.codes) assert.ok(!line.includes(PHONE.slice(3)) && !line.includes(KEY_PHONE.slice(3)))
    },
    {
      servers: 1,
      config: {
        account: { registration: ['sms', 'open'] },
        sms: { provider: 'console' },
        limits: { registration: WIDE_BUDGETS },
        log: { level },
      },
    },
  )
}

/** Digits count only where they stand alone: a code of six is found within any number of milliseconds. */
function holds(line: string, secret: string): boolean {
  if (!/^\d+$/.test(secret)) return line.includes(secret)
  return new RegExp(`(?<![\\d.])${secret}(?!\\d)`).test(line)
}
