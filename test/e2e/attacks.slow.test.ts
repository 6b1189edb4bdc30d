import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import forge from 'node-forge'
import { authenticate, NS_SASL, secureStream } from '../helpers/login.ts'
import { PASSWORD, type Story, story } from '../helpers/story.ts'
import { DEADLINE_MS, NS_STREAMS, streamHeader, type XmppConnection } from '../helpers/xmpp-connection.ts'

/** Rows of the list of attacks (docs/testing.md) as they come over the wire. */

const HEADER = streamHeader({ to: 'localhost' })

/** A self-signed certificate with these names and nothing of ours. */
function certificateOf(subject: Readonly<Record<string, string>>): { readonly cert: string; readonly key: string } {
  const key = generateKeyPairSync('rsa', { modulusLength: 2048 })
    .privateKey.export({ type: 'pkcs8', format: 'pem' })
    .toString()
  const certificate = forge.pki.createCertificate()
  const privateKey = forge.pki.privateKeyFromPem(key)
  certificate.publicKey = forge.pki.setRsaPublicKey(privateKey.n, privateKey.e)
  certificate.serialNumber = '01'
  certificate.validity.notAfter = new Date(Date.now() + 86_400_000)
  const attributes = Object.entries(subject).map(([shortName, value]) => ({ shortName, value }))
  certificate.setSubject(attributes)
  certificate.setIssuer(attributes)
  certificate.sign(privateKey, forge.md.sha256.create())
  return { cert: forge.pki.certificateToPem(certificate), key }
}

/** Another's session works on, whatever was done. */
async function isUnharmed(tell: Story): Promise<void> {
  const witness = await tell.client('witness', 'w')
  await witness.receivesNothing()
}

const RESTRICTED: readonly (readonly [string, string])[] = [
  [
    'a DOCTYPE with entities',
    `<?xml version='1.0'?><!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;">]>${HEADER.slice(21)}`,
  ],
  ['a processing instruction before the header', `<?php echo 1 ?>${HEADER}`],
  ['a comment before the header', `<!-- hello -->${HEADER}`],
  ['a comment in the stream', `${HEADER}<!-- hello -->`],
  ['a processing instruction in the stream', `${HEADER}<?target data?>`],
  ['a DOCTYPE in the stream', `${HEADER}<!DOCTYPE x>`],
]
for (const [what, bytes] of RESTRICTED) {
  story(
    `row 1: ${what} is restricted XML`,
    async (tell) => {
      const c = await tell.connection()
      c.write(bytes)
      await c.endsWith('restricted-xml').catch((error: Error) => {
        // Before the header an encoder may as well see no XML.
        if (!/not-well-formed/.test(error.message)) throw error
      })
    },
    { servers: 1 },
  )
}

story(
  'row 1: an entity that nobody declared is not well-formed',
  async (tell) => {
    const romeo = await tell.client('romeo', 'r')
    romeo.connection.write(`<message to='${romeo.bare}'><body>&lol;</body></message>`)
    const error = await romeo.connection.endsWith('not-well-formed').catch((e: Error) => e)
    if (error instanceof Error) assert.match(error.message, /restricted-xml/)
    await isUnharmed(tell)
  },
  { servers: 1 },
)

const AMPLIFIED: readonly (readonly [string, string])[] = [
  ['16,000 elements', `<x xmlns='urn:x'>${'<a/>'.repeat(16_000)}</x>`],
  ['10,000 attributes', `<x xmlns='urn:x' ${Array.from({ length: 10_000 }, (_, i) => `a${i}=''`).join(' ')}/>`],
  [
    '10,000 namespaces',
    `<x xmlns='urn:x' ${Array.from({ length: 10_000 }, (_, i) => `xmlns:a${i}='urn:${i}'`).join(' ')}/>`,
  ],
  ['a depth of 10,000', `${`<a xmlns='urn:x'>`.repeat(10_000)}${'</a>'.repeat(10_000)}`],
  ['a name of 1 MB', `<${'x'.repeat(1_000_000)} xmlns='urn:x'/>`],
  ['an attribute of 1 MB', `<x xmlns='urn:x' a='${'x'.repeat(1_000_000)}'/>`],
  ['a text of 1 MB', `<x xmlns='urn:x'>${'x'.repeat(1_000_000)}</x>`],
]
for (const [what, bytes] of AMPLIFIED) {
  story(
    `row 2: ${what} before login is a policy violation`,
    async (tell) => {
      const c = await tell.connection({ directTls: true })
      await secureStream(c)
      c.write(bytes)
      await c.endsWith('policy-violation')
      await isUnharmed(tell)
    },
    { servers: 1 },
  )
}

story(
  'row 2: a header of 1 MB is a policy violation',
  async (tell) => {
    const c = await tell.connection()
    c.write(
      `<stream:stream to='localhost' version='1.0' xmlns='jabber:client' xmlns:stream='${NS_STREAMS}' a='${'x'.repeat(1_000_000)}'>`,
    )
    await c.endsWith('policy-violation')
  },
  { servers: 1 },
)

story(
  'row 2: a stanza beyond the limits after login is a policy violation; one within them is not',
  async (tell) => {
    const juliet = await tell.client('juliet', 'j')
    await juliet.isAvailable()
    const romeo = await tell.client('romeo', 'r')
    const body = 'x'.repeat(200_000)
    await romeo.sends(`<message to='${juliet.bare}' type='chat' id='m'><body>${body}</body></message>`)
    assert.equal((await juliet.receivesAny()).attrs.id, 'm')
    romeo.connection.write(`<message to='${juliet.bare}' type='chat' id='n'><body>${body}${body}</body></message>`)
    await romeo.connection.endsWith('policy-violation')
    await juliet.receivesNothing()
  },
  { servers: 1 },
)

story(
  'row 3: thousands of connections that come and go leave nothing behind',
  async (tell) => {
    const [server] = tell.servers
    assert.ok(server !== undefined)
    const open = async (): Promise<number> => {
      const page = await (await fetch(`http://127.0.0.1:${server.opsPort}/metrics`)).text()
      return Number(/^fernruf_c2s_connections(?:\{[^}]*\})? (\d+)/m.exec(page)?.[1] ?? Number.NaN)
    }
    const before = await open()
    for (let round = 0; round < 20; round++) {
      const connections = await Promise.all(Array.from({ length: 50 }, () => tell.connection()))
      for (const c of connections) {
        c.write(HEADER)
        c.destroy()
      }
    }
    await isUnharmed(tell)
    // Each is counted until its end was seen. The witness stays.
    const deadline = Date.now() + DEADLINE_MS
    while ((await open()) > before + 1 && Date.now() < deadline);
    assert.equal(await open(), before + 1)
  },
  { servers: 1 },
)

story(
  'rows 3 and 8: who does not log in is closed in time, whatever he sends',
  async (tell) => {
    const silent = await tell.connection()
    const busy = await tell.connection({ directTls: true })
    await secureStream(busy)
    let ended = false
    const pings = (async () => {
      while (!ended && !busy.ended) {
        busy.write(' ')
        await new Promise((done) => setImmediate(done))
      }
    })()
    await silent.closes()
    await busy.closes()
    ended = true
    await pings
  },
  { servers: 1, config: { limits: { stream: { login_timeout: '1s' } } } },
)

story(
  'row 8: connections of one address are bounded',
  async (tell) => {
    const kept: XmppConnection[] = []
    for (let i = 0; i < 3; i++) {
      const c = await tell.connection()
      await c.openStream()
      kept.push(c)
    }
    const more = await tell.connection()
    more.write(HEADER)
    await more.closes()
    assert.ok(kept.every((c) => !c.ended))
  },
  { servers: 1, config: { limits: { connections: { before_login_per_address: 3 } } } },
)

const SMUGGLED: readonly (readonly [string, Buffer])[] = [
  ['an overlong encoding', Buffer.from([0xc0, 0xbc])],
  ['a lone surrogate', Buffer.from([0xed, 0xa0, 0x80])],
  ['a byte F8', Buffer.from([0xf8, 0x88, 0x80, 0x80, 0x80])],
  ['a byte FF', Buffer.from([0xff])],
  ['a truncated sequence', Buffer.from([0xe2, 0x82])],
  ['U+FFFF', Buffer.from([0xef, 0xbf, 0xbf])],
  ['a code point beyond Unicode', Buffer.from([0xf4, 0x90, 0x80, 0x80])],
  ['a NUL', Buffer.from([0])],
  ['a control character', Buffer.from([8])],
]
for (const [what, bytes] of SMUGGLED) {
  story(
    `row 5: ${what} ends the stream and reaches nobody`,
    async (tell) => {
      const juliet = await tell.client('juliet', 'j')
      await juliet.isAvailable()
      for (const [before, after] of [
        [`<message to='${juliet.bare}'><body>a`, 'b</body></message>'],
        [`<message to='${juliet.bare}'><body>x</body><x xmlns='urn:a`, `'/></message>`],
      ]) {
        const romeo = await tell.client('romeo', 'r')
        romeo.connection.write(Buffer.concat([Buffer.from(before ?? ''), bytes, Buffer.from(after ?? '')]))
        await romeo.connection.endsWith('not-well-formed')
      }
      await juliet.receivesNothing()
    },
    { servers: 1 },
  )
}

const MALFORMED: readonly string[] = [
  `<message><body></message>`,
  `<message to='a' to='b'/>`,
  `<message x='1' x='2'/>`,
  `<message a:x='1'/>`,
  `<a:message xmlns:a=''/>`,
  `<message xmlns:a='urn:a' xmlns:b='urn:a' a:x='1' b:x='2'/>`,
  `<message xmlns:xml='urn:other'/>`,
  `<message xmlns:xmlns='urn:other'/>`,
  `<message><body>]]></body></message>`,
  `<message to='<'/>`,
  `<message to=x/>`,
  `<message><body>&#0;</body></message>`,
  `<message><body>&#xFFFF;</body></message>`,
  `<message><body>&#xD800;</body></message>`,
  `<message><body>&#99999999999;</body></message>`,
  `<message><1/></message>`,
  `<message/ >`,
  `text between stanzas`,
  `</message>`,
]
story(
  'row 5: what is not well-formed ends the stream with the right error',
  async (tell) => {
    for (const xml of MALFORMED) {
      const romeo = await tell.client('romeo', 'r')
      romeo.connection.write(`${xml}<iq/>`)
      await romeo.connection.endsWith('').catch((error: Error) => {
        assert.match(
          error.message,
          /not-well-formed|bad-namespace-prefix|invalid-xml|bad-format/,
          `${xml}: ${error.message}`,
        )
      })
    }
    await isUnharmed(tell)
  },
  { servers: 1 },
)

story(
  'row 5: what is passed on is the same to another parser, whatever prefixes and quotes it came with',
  async (tell) => {
    const juliet = await tell.client('juliet', 'j')
    const romeo = await tell.client('romeo', 'r')
    await juliet.isAvailable()
    romeo.connection.write(
      `<c:message xmlns:c="jabber:client" to="${juliet.bare}" type='chat' id='m'><c:body>&#x3c;x&#62;</c:body><p:x xmlns:p='urn:a' xmlns:q="urn:b" q:a='"'><y xmlns=''/><p:z/></p:x></c:message>`,
    )
    await juliet.receives(
      `<message from='${romeo.jid}' to='${juliet.bare}' type='chat' id='m'><body>&lt;x></body><x xmlns='urn:a' xmlns:q='urn:b' q:a='"'><y xmlns=''/><z/></x></message>`,
    )
  },
  { servers: 1 },
)

story(
  'row 7: bytes one by one, and characters torn apart, are the same as whole ones',
  async (tell) => {
    const username = (await tell.account('romeo')).split('@')[0] ?? ''
    const juliet = await tell.client('juliet', 'j')
    await juliet.isAvailable()
    const c = await tell.connection({ directTls: true })
    await c.drip(HEADER)
    assert.equal((await c.next()).kind, 'header')
    await c.features()
    await authenticate(c, { username, password: PASSWORD })
    await c.openStream()
    await c.features()
    await c.drip(
      `<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>ré</resource></bind></iq>`,
    )
    await c.element()
    await c.drip(`<message to='${juliet.bare}' type='chat' id='m'><body>🌹 Grüße &amp; 世界</body></message>`)
    await juliet.receives(
      `<message from='{any}' to='${juliet.bare}' type='chat' id='m'><body>🌹 Grüße &amp; 世界</body></message>`,
    )
  },
  { servers: 1 },
)

story(
  'row 11: a certificate that holds no key of ours logs nobody in, whatever its names say',
  async (tell) => {
    const jid = await tell.account('romeo')
    for (const subject of [
      { CN: jid },
      { O: jid, CN: 'x' },
      { OU: `CN=${jid},`, CN: 'x' },
      { CN: `${jid}\0.example` },
    ]) {
      const c = await tell.connection({ directTls: true, certificate: certificateOf(subject) })
      await secureStream(c)
      for (const initial of ['=', Buffer.from(jid).toString('base64')]) {
        c.write(`<auth xmlns='${NS_SASL}' mechanism='EXTERNAL'>${initial}</auth>`)
        const answer = await c.element()
        assert.equal(answer.name, 'failure')
      }
      c.destroy()
    }
  },
  { servers: 1 },
)

story(
  'row 14: ids are long and never the same',
  async (tell) => {
    const ids = new Set<string>()
    for (let i = 0; i < 30; i++) {
      const c = await tell.connection()
      const { id = '' } = await c.openStream()
      assert.ok(id.length >= 22)
      ids.add(id)
      const romeo = await tell.client('romeo', `r${i % 10}`)
      await romeo.enablesAcks({ resume: true })
      assert.ok((romeo.smid ?? '').length >= 22)
      ids.add(romeo.smid ?? '')
      romeo.drops()
    }
    assert.equal(ids.size, 60)
  },
  { servers: 1 },
)

story(
  'row 28: look-alike and broken addresses are no way to another account',
  async (tell) => {
    const romeo = await tell.account('romeo')
    const tybalt = await tell.client('tybalt', 't')
    const name = romeo.split('@')[0] ?? ''
    for (const to of [
      `${name}\u00ad@localhost`,
      `${name}\uff20localhost`,
      `${name}@\uff4cocalhost\u200d`,
      `${'x'.repeat(1024)}@localhost`,
      `${name}@${'l'.repeat(300)}`,
      `${name}@localhost/${'r'.repeat(1024)}`,
      `&quot;${name}&quot;@localhost`,
      `${name}&apos;@localhost`,
    ]) {
      await tybalt.sends(`<message to='${to}' type='chat' id='m'><body>?</body></message>`)
      const answer = await tybalt.receivesAny()
      assert.equal(answer.attrs.type, 'error', to)
    }
    const victim = await tell.client('romeo', 'r')
    await victim.isAvailable()
    await victim.receivesNothing()
    await tybalt.sends(
      `<message to='${name.toUpperCase()}@LOCALHOST' type='chat' id='same'><body>case does not matter</body></message>`,
    )
    assert.equal((await victim.receivesAny()).attrs.id, 'same')
  },
  { servers: 1 },
)

story(
  'row 29: names of JavaScript objects are names like others',
  async (tell) => {
    const juliet = await tell.client('juliet', 'j')
    const romeo = await tell.client('romeo', 'r')
    await juliet.isAvailable()
    for (const name of ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty']) {
      const xml = `<message to='${juliet.bare}' type='chat' id='${name}'><body>x</body><${name} xmlns='${name}' ${name}='${name}'>${name}</${name}></message>`
      await romeo.sends(xml)
      await juliet.receives(xml.replace('<message ', `<message from='${romeo.jid}' `))
      const answer = await romeo.asks('get', `<${name} xmlns='${name}'/>`, 'localhost')
      assert.equal(answer.attrs.type, 'error')
    }
    assert.equal(({} as Record<string, unknown>).polluted, undefined)
  },
  { servers: 1 },
)

story(
  'row 30: TLS 1.2 is not renegotiated for ever',
  async (tell) => {
    const c = await tell.connection({ directTls: true, tls: { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } })
    await secureStream(c)
    for (let i = 0; i < 10 && !c.ended; i++) {
      const { tls } = c
      if (tls === undefined) break
      const refused = await new Promise<boolean>((done) => {
        const end = (): void => done(true)
        tls.once('close', end)
        if (!tls.renegotiate({ rejectUnauthorized: false }, (error) => done(error !== null))) done(true)
      })
      if (refused) break
      assert.ok(i < 5, 'renegotiated again and again')
    }
    await isUnharmed(tell)
  },
  { servers: 1 },
)

story(
  'row 31: detached sessions of one account are bounded',
  async (tell) => {
    for (let i = 0; i < 12; i++) {
      const romeo = await tell.client('romeo', `r${i}`)
      await romeo.enablesAcks({ resume: true })
      romeo.drops()
    }
    const last = await tell.client('romeo', 'last')
    await last.receivesNothing()
  },
  { servers: 1 },
)
