import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { authenticate, bind, LoginRefused, logIn, NS_BIND, secureStream } from '../helpers/login.ts'
import { write } from '../helpers/match-element.ts'
import { PASSWORD, type Story, story } from '../helpers/story.ts'

/** Row 28 of the attacks: addresses that look like others, or are none, in every place where one may stand. */

const local = (jid: string): string => jid.slice(0, jid.indexOf('@'))
const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll("'", '&apos;')
const fullWidth = (text: string): string =>
  text.replace(/[!-~]/g, (c) => String.fromCodePoint((c.codePointAt(0) ?? 0) + 0xfee0))

/** No addresses at all. */
const BROKEN: readonly string[] = [
  '@localhost',
  'a@',
  'a@/r',
  'a@localhost/',
  '/r',
  'a@b@localhost',
  'a b@localhost',
  'a"b@localhost',
  "a'b@localhost",
  'a&b@localhost',
  'a:b@localhost',
  'a<b@localhost',
  'a\u00adb@localhost',
  'a\u200bb@localhost',
  'a\u202eb@localhost',
  'a\ufeffb@localhost',
  'a\u2028b@localhost',
  'a\ue000b@localhost',
  'a\u0378b@localhost',
  '\u06dda@localhost',
  `${'x'.repeat(1024)}@localhost`,
  `${'é'.repeat(512)}@localhost`,
  `a@${'l'.repeat(1024)}`,
  'a@local host',
  'a@local_host!',
  'a@-localhost-',
  'a@xn--zz--a',
  'a@[::1',
  `a@localhost/${'r'.repeat(1024)}`,
  'a@localhost/a\u0378',
  'a@localhost/a&#9;b',
]

/** The condition of the error in an answer. */
async function errorOf(tell: Story, xml: string): Promise<string> {
  const tybalt = await tell.client('tybalt', undefined, { hearsPresence: true })
  await tybalt.sends(xml)
  const answer = await tybalt.receivesAny()
  tybalt.drops()
  assert.equal(answer.attrs.type, 'error', `${xml}: ${write(answer)}`)
  return /<error[^>]*><([a-z-]+)/.exec(write(answer))?.[1] ?? write(answer)
}

story(
  'row 28: what is no address is refused as such, as the addressee of anything',
  async (tell) => {
    const witness = await tell.client('romeo', 'w')
    await witness.isAvailable()
    for (const address of BROKEN) {
      const to = address.includes('&#') ? address : escaped(address)
      for (const xml of [
        `<message to='${to}' type='chat' id='x'><body>b</body></message>`,
        `<iq to='${to}' type='get' id='x'><ping xmlns='urn:xmpp:ping'/></iq>`,
        `<presence to='${to}' type='subscribe' id='x'/>`,
        `<presence to='${to}' id='x'/>`,
      ])
        assert.equal(await errorOf(tell, xml), 'jid-malformed', xml)
      const item = `<query xmlns='jabber:iq:roster'><item jid='${to}'/></query>`
      assert.match(await errorOf(tell, `<iq type='set' id='x'>${item}</iq>`), /^(jid-malformed|bad-request)$/, item)
    }
    await witness.receivesNothing()
  },
  { servers: 1 },
)

story(
  'row 28: spellings of one address are one address, and look-alikes are others',
  async (tell) => {
    const romeo = await tell.client('romeo', 'r')
    await romeo.isAvailable()
    const tybalt = await tell.client('tybalt', 't')
    const name = local(romeo.bare)
    let sent = 0
    for (const to of [
      romeo.bare,
      romeo.bare.toUpperCase(),
      `${fullWidth(name)}@localhost`,
      `${name}@LocalHost`,
      `${name}@localhost.`,
      `${fullWidth(name.toUpperCase())}@localhost`,
    ]) {
      await tybalt.sends(`<message to='${to}' type='chat' id='s${++sent}'><body>b</body></message>`)
      assert.equal((await romeo.receivesAny()).attrs.id, `s${sent}`, to)
    }
    for (const to of [
      `${name.replace('o', 'о')}@localhost`,
      `${name.replace('e', 'е')}@localhost`,
      `${name.replace('m', 'rn')}@localhost`,
      `${name}\u0301@localhost`,
      `${name}.@localhost`,
    ]) {
      assert.notEqual(to, romeo.bare)
      await tybalt.sends(`<message to='${to}' type='chat' id='other'><body>b</body></message>`)
      assert.equal((await tybalt.receivesAny()).attrs.type, 'error', to)
    }
    await romeo.receivesNothing()
    // Only one way to write a domain is ours.
    for (const to of [`${name}@ｌocalhost.example`, `${name}@locаlhost`, `${name}@localhost..`, `${name}@127.0.0.1`]) {
      await tybalt.sends(`<message to='${to}' type='chat' id='other'><body>b</body></message>`)
      assert.equal((await tybalt.receivesAny()).attrs.type, 'error', to)
    }
    await romeo.receivesNothing()
  },
  { servers: 1 },
)

story(
  'row 28: nobody registers a name that another has in another spelling, or that belongs to a number',
  async (tell) => {
    const taken = local(await tell.account('romeo'))
    const c = await tell.connection({ directTls: true })
    await secureStream(c)
    const number = createHash('sha1').update('+4915123456789').digest('hex')
    for (const name of [
      taken,
      taken.toUpperCase(),
      fullWidth(taken),
      fullWidth(taken.toUpperCase()),
      number,
      number.toUpperCase(),
      fullWidth(number),
      ...BROKEN.filter((address) => address.endsWith('@localhost')).map((address) => address.slice(0, -10)),
      'ADMIN',
      fullWidth('admin'),
      ' ',
      '',
      'a/b',
      'a@localhost',
    ]) {
      c.write(
        `<iq type='set' id='x'><query xmlns='jabber:iq:register'><username>${escaped(name)}</username><password>${PASSWORD}</password></query></iq>`,
      )
      assert.match(
        write(await c.element()),
        /type='error'.*<(conflict|not-acceptable|jid-malformed|bad-request)/s,
        name,
      )
    }
  },
  { servers: 1 },
)

story(
  'row 28: a login name in another spelling is the same account; no name reaches another',
  async (tell) => {
    const jid = await tell.account('romeo')
    const name = local(jid)
    for (const username of [name.toUpperCase(), fullWidth(name)]) {
      const c = await tell.connection({ directTls: true })
      await logIn(c, { username, password: PASSWORD, mechanism: 'PLAIN' })
      assert.ok((await bind(c, 'r')).startsWith(`${jid}/`))
    }
    for (const username of [
      `${name}@localhost`,
      `${name}/r`,
      `${name}\u00ad`,
      ` ${name}`,
      `${name}\u200d`,
      `"${name}"`,
    ]) {
      for (const mechanism of ['PLAIN', 'SCRAM-SHA-256']) {
        const c = await tell.connection({ directTls: true })
        await secureStream(c)
        await assert.rejects(authenticate(c, { username, password: PASSWORD, mechanism }), LoginRefused, username)
      }
    }
  },
  { servers: 1 },
)

story(
  'row 28: a resource is prepared by one rule, so that two spellings are one session',
  async (tell) => {
    const jid = await tell.account('romeo')
    const first = await tell.client('romeo', 'caf\u00e9')
    const second = await tell.client('romeo', 'cafe\u0301')
    assert.equal(first.jid, second.jid)
    await first.isDisconnected('conflict')
    for (const resource of ['a\u0378', 'x'.repeat(1024), 'é'.repeat(512), 'a&#9;b', '\u200e', '\u0600'.repeat(600)]) {
      const c = await tell.connection({ directTls: true })
      await logIn(c, { username: local(jid), password: PASSWORD })
      c.write(`<iq type='set' id='b'><bind xmlns='${NS_BIND}'><resource>${resource}</resource></bind></iq>`)
      const answer = write(await c.element())
      assert.match(answer, /type='error'.*<(bad-request|jid-malformed)|<jid>[^<]*<\/jid>/, JSON.stringify(resource))
      c.destroy()
    }
    await second.receivesNothing()
  },
  { servers: 1 },
)
