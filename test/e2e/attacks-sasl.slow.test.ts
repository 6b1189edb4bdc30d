import assert from 'node:assert/strict'
import { auth, authenticate, bind, LoginRefused, mechanismsOf, NS_SASL, secureStream } from '../helpers/login.ts'
import { write } from '../helpers/match-element.ts'
import { register } from '../helpers/register.ts'
import { ScramClient } from '../helpers/scram.ts'
import { PASSWORD, type Story, story } from '../helpers/story.ts'
import type { XmppConnection } from '../helpers/xmpp-connection.ts'

/** Rows 10, 12 and 13 of the attacks, beyond what sasl.test.ts says of single mechanisms. */

const base64 = (bytes: string | Uint8Array): string => Buffer.from(bytes).toString('base64')
const local = (jid: string): string => jid.slice(0, jid.indexOf('@'))
const response = (text: string): string => `<response xmlns='${NS_SASL}'>${base64(text)}</response>`
const SCRAMS = ['SCRAM-SHA-1', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const

async function fresh(tell: Story, tls?: { readonly maxVersion: 'TLSv1.2' }): Promise<XmppConnection> {
  const c = await tell.connection({ directTls: true, ...(tls === undefined ? {} : { tls }) })
  await secureStream(c)
  return c
}
async function answered(c: XmppConnection, xml: string): Promise<string> {
  c.write(xml)
  return write(await c.element())
}
/** What a challenge holds, by the letters of its attributes. */
function fieldsOf(challenge: string): Readonly<Record<string, string>> {
  const text = Buffer.from(/>([^<]*)</.exec(challenge)?.[1] ?? '', 'base64').toString()
  return Object.fromEntries(text.split(',').map((part) => [part.slice(0, 1), part.slice(2)]))
}
const textOf = (challenge: string): string => Buffer.from(/>([^<]*)</.exec(challenge)?.[1] ?? '', 'base64').toString()

story(
  'row 10: an exchange that one account began is not finished by another, nor used twice',
  async (tell) => {
    const [romeo, juliet] = [local(await tell.account('romeo')), local(await tell.account('juliet'))]
    const c = await fresh(tell)
    const hers = new ScramClient({ mechanism: 'SCRAM-SHA-256', username: juliet, password: 'unknown' })
    const his = new ScramClient({ mechanism: 'SCRAM-SHA-256', username: romeo, password: PASSWORD })
    await answered(c, auth('SCRAM-SHA-256', base64(hers.first())))
    const challenge = await answered(c, auth('SCRAM-SHA-256', base64(his.first())))
    const final = his.final(textOf(challenge))
    // A final that belongs to no exchange that is open, then the one that does, then it again.
    const other = await fresh(tell)
    await answered(other, auth('SCRAM-SHA-256', base64(his.first())))
    assert.match(await answered(other, response(final)), /<failure.*<not-authorized/)
    assert.match(await answered(c, response(final)), /<success/)
    await c.openStream()
    await c.features()
    assert.ok((await bind(c, 'r')).startsWith(`${romeo}@`))
    c.write(response(final))
    await c.endsWith('unsupported-stanza-type')
  },
  { servers: 1 },
)

story(
  'row 10: whoever is logged in does not log in again, and speaks in nobody else’s name',
  async (tell) => {
    const [romeo, juliet] = [await tell.account('romeo'), await tell.client('juliet', 'j')]
    await juliet.isAvailable()
    const again = await fresh(tell)
    await authenticate(again, { username: local(romeo), password: PASSWORD })
    await again.openStream()
    assert.deepEqual(mechanismsOf(await again.features()), [])
    again.write(auth('PLAIN', base64(`\0${local(juliet.bare)}\0${PASSWORD}`)))
    await again.endsWith('unsupported-stanza-type')

    const tybalt = await tell.client('tybalt', 't')
    for (const from of [juliet.jid, juliet.bare, romeo, 'localhost', `${tybalt.bare}/other`, 'a@b@c', '']) {
      const c = await tell.client('tybalt', undefined)
      c.connection.write(`<message from='${from}' to='${juliet.bare}' type='chat' id='f'><body>x</body></message>`)
      c.connection.write(`<iq type='get' id='after'><ping xmlns='urn:xmpp:ping'/></iq>`)
      const answer = await c.connection.next()
      assert.ok(
        answer.kind === 'element' && /invalid-from|type='error'|id='after'/.test(write(answer.element)),
        JSON.stringify(answer),
      )
      const heard = await Promise.race([juliet.receivesAny(), pinged(tell)])
      if (heard !== undefined) assert.ok(heard.attrs.from?.startsWith(`${tybalt.bare}/`), `${from}: ${write(heard)}`)
    }
  },
  { servers: 1 },
)
/** A round trip of somebody else: what was on its way has arrived. */
async function pinged(tell: Story): Promise<undefined> {
  const witness = await tell.client('witness')
  for (let i = 0; i < 3; i++) await witness.asks('get', `<ping xmlns='urn:xmpp:ping'/>`, 'localhost')
  return undefined
}

story(
  'row 12: nothing is offered, and nothing accepted, before TLS',
  async (tell) => {
    const romeo = local(await tell.account('romeo'))
    const plain = base64(`\0${romeo}\0${PASSWORD}`)
    for (const mechanism of ['PLAIN', ...SCRAMS, 'SCRAM-SHA-256-PLUS', 'EXTERNAL']) {
      const c = await tell.connection()
      await c.openStream()
      assert.deepEqual(mechanismsOf(await c.features()), [])
      assert.match(await answered(c, auth(mechanism, plain)), /<failure.*<encryption-required/)
    }
  },
  { servers: 1 },
)

story(
  'row 12: a login bound to one channel is worth nothing on another',
  async (tell) => {
    const username = local(await tell.account('romeo'))
    for (const type of ['tls-exporter', 'tls-server-end-point'] as const) {
      const victim = await fresh(tell)
      const relay = await fresh(tell)
      const other = type === 'tls-exporter' ? 'tls-server-end-point' : 'tls-exporter'
      const login = { mechanism: 'SCRAM-SHA-256-PLUS', username, password: PASSWORD, channelBinding: type }
      // Data of another connection, of another type, and none.
      const lies = [victim.channelBinding(other), Buffer.alloc(0), Buffer.alloc(32)]
      if (type === 'tls-exporter') lies.push(victim.channelBinding(type))
      for (const bindingData of lies) {
        const c = bindingData === lies.at(-1) ? relay : await fresh(tell)
        await assert.rejects(authenticate(c, { ...login, bindingData }), /not-authorized/)
      }
      await authenticate(victim, login)
    }
  },
  { servers: 1 },
)

story(
  'row 12: with TLS 1.2 tls-exporter is neither announced nor accepted',
  async (tell) => {
    const username = local(await tell.account('romeo'))
    const c = await tell.connection({ directTls: true, tls: { maxVersion: 'TLSv1.2' } })
    const features = write(await secureStream(c))
    assert.ok(!features.includes('tls-exporter') && features.includes('tls-server-end-point'), features)
    const login = { mechanism: 'SCRAM-SHA-256-PLUS', username, password: PASSWORD }
    await assert.rejects(authenticate(c, { ...login, channelBinding: 'tls-exporter' }), LoginRefused)
    await assert.rejects(
      authenticate(await fresh(tell, { maxVersion: 'TLSv1.2' }), { ...login, gs2: 'y', bindingData: Buffer.alloc(0) }),
      LoginRefused,
    )
    await authenticate(await fresh(tell, { maxVersion: 'TLSv1.2' }), {
      ...login,
      channelBinding: 'tls-server-end-point',
    })
  },
  { servers: 1 },
)

story(
  'row 13: who has no account is told from nobody by salt, rounds, nonce, answer or the order of questions',
  async (tell) => {
    const known = local(tell.stranger('romeo'))
    const port = tell.servers[0]?.starttlsPort ?? 0
    await register({ port, domain: tell.domain }, known, PASSWORD)
    const shapes = new Set<string>()
    const salts = new Map<string, string>()
    for (const username of [known, 'nobody', 'nobody2', known.toUpperCase(), 'a'.repeat(1023), 'ａｂｃ']) {
      for (const mechanism of SCRAMS) {
        const c = await fresh(tell)
        const asked = await answered(c, auth(mechanism, base64(`n,,n=${username},r=abc`)))
        const { s = '', r = '', i } = fieldsOf(asked)
        assert.ok(r.startsWith('abc') && r.length >= 3 + 24)
        const last = salts.get(`${username} ${mechanism}`)
        assert.ok(last === undefined || last === s)
        salts.set(`${username} ${mechanism}`, s)
        const bytes = mechanism === 'SCRAM-SHA-1' ? 20 : mechanism === 'SCRAM-SHA-256' ? 32 : 64
        const refused = await answered(c, response(`c=biws,r=${r},p=${base64(Buffer.alloc(bytes, 1))}`))
        shapes.add(`${Buffer.from(s, 'base64').length} ${i} ${refused}`)
        assert.match(refused, /<not-authorized/)
        c.destroy()
      }
    }
    assert.equal(shapes.size, 1, [...shapes].join('\n'))
    // The same person, however written; another, another salt.
    for (const mechanism of SCRAMS) {
      assert.equal(salts.get(`${known} ${mechanism}`), salts.get(`${known.toUpperCase()} ${mechanism}`))
      assert.notEqual(salts.get(`nobody ${mechanism}`), salts.get(`nobody2 ${mechanism}`))
    }
  },
  { servers: 1 },
)

story(
  'row 13: the nonce is new each time, and the client’s part comes back as it was',
  async (tell) => {
    const known = local(await tell.account('romeo'))
    const nonces = new Set<string>()
    const c = await fresh(tell)
    for (let i = 0; i < 50; i++)
      nonces.add(fieldsOf(await answered(c, auth('SCRAM-SHA-1', base64(`n,,n=${known},r=!~x`)))).r ?? '')
    assert.equal(nonces.size, 50)
    for (const nonce of nonces) assert.ok(nonce.startsWith('!~x') && nonce.length >= 3 + 22)
  },
  { servers: 1 },
)

const BROKEN_FIRSTS: readonly (string | Buffer)[] = [
  '',
  'n',
  'n,,',
  'n,,n=romeo',
  'n,,r=abc,n=romeo',
  'n,,n=romeo,r=a\0b',
  'n,,n=romeo,r=ab c',
  'n,,n=romeo,r=ü',
  'n,,n=ro=2Xmeo,r=abc',
  'n,,n==,r=abc',
  'n,,n=\0,r=abc',
  'n,,n=a@b,r=abc',
  'n,,n=a/b,r=abc',
  'n,,n= ,r=abc',
  'n,,n=\u00ad,r=abc',
  'n,b=x,n=romeo,r=abc',
  'n,a=,n=romeo,r=abc',
  'n,a=x\0,n=romeo,r=abc',
  'z,,n=romeo,r=abc',
  'N,,n=romeo,r=abc',
  'p,,n=romeo,r=abc',
  `n,,n=${'x'.repeat(1024)},r=abc`,
  `n,,n=romeo,r=${'x'.repeat(513)}`,
  `n,a=${'x'.repeat(4000)},n=romeo,r=abc`,
  `${'n,,'.repeat(1000)}n=romeo,r=abc`,
  Buffer.of(0x6e, 0x2c, 0x2c, 0x6e, 0x3d, 0xff, 0x2c, 0x72, 0x3d, 0x61),
]
story(
  'row 13: broken first messages get a SASL failure, and the stream can still log in',
  async (tell) => {
    const witness = await tell.client('juliet', 'w')
    const username = local(await tell.account('romeo'))
    for (const first of BROKEN_FIRSTS) {
      const c = await fresh(tell)
      const initial = first.length === 0 ? '=' : base64(first)
      const refused = await answered(c, auth('SCRAM-SHA-256', initial))
      assert.match(
        refused,
        /^<failure .*<(malformed-request|not-authorized|invalid-authzid|incorrect-encoding)\/>/,
        String(first),
      )
      await authenticate(c, { username, password: PASSWORD })
      c.destroy()
    }
    await witness.receivesNothing()
  },
  { servers: 1 },
)

story(
  'row 13: broken last messages get a SASL failure and prove nothing',
  async (tell) => {
    const username = local(await tell.account('romeo'))
    const good = new ScramClient({ mechanism: 'SCRAM-SHA-256', username, password: PASSWORD })
    for (const spoil of [
      (final: string) => final.replace('c=biws', 'c=eSws'),
      (final: string) => final.replace('c=biws', 'c=biw='),
      (final: string) => final.replace(',r=', ',r=x'),
      (final: string) => final.replace(',p=', ',x=y,p='),
      (final: string) => `${final},x=y`,
      (final: string) => `${final}=`,
      (final: string) => final.replace(/,p=.*/, ',p='),
      (final: string) => final.replace(/,p=.*/, ''),
      (final: string) => final.replace(/,p=.*/, `,p=${base64(Buffer.alloc(31))}`),
      (final: string) => `${final}${final}`,
      () => 'e=other-error',
      () => `v=${base64(Buffer.alloc(32))}`,
    ]) {
      const c = await fresh(tell)
      const challenge = await answered(c, auth('SCRAM-SHA-256', base64(good.first())))
      const refused = await answered(c, response(spoil(good.final(textOf(challenge)))))
      assert.match(refused, /^<failure /, spoil.toString())
      assert.match(await answered(c, response(good.final(textOf(challenge)))), /^<failure /, 'the exchange is over')
      c.destroy()
    }
  },
  { servers: 1 },
)
