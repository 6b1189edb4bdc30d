import assert from 'node:assert/strict'
import type { Element } from '../../src/xmpp/element.ts'
import { authenticate, mechanismsOf, secureStream } from '../helpers/login.ts'
import { PASSWORD, story } from '../helpers/story.ts'
import { NS_STREAMS, NS_TLS, streamHeader } from '../helpers/xmpp-connection.ts'

const namesOf = (features: Element): string[] =>
  features.children.filter((c): c is Element => typeof c !== 'string').map((c) => `${c.name} ${c.ns}`)

story(
  'a stream in clear offers STARTTLS, requires it, and offers nothing else',
  async ({ connection, domain }) => {
    const c = await connection()
    const header = await c.openStream()
    assert.equal(header.from, domain)
    assert.equal(header.version, '1.0')
    assert.ok((header.id ?? '').length >= 22, 'a stream id has 128 bits or more')
    const features = await c.features()
    assert.deepEqual(namesOf(features), [`starttls ${NS_TLS}`])
    assert.deepEqual(features.children[0], {
      name: 'starttls',
      ns: NS_TLS,
      attrs: {},
      children: [{ name: 'required', ns: NS_TLS, attrs: {}, children: [] }],
    })
  },
  { servers: 1 },
)

story(
  'SASL in clear is refused',
  async ({ connection }) => {
    const c = await connection()
    await c.openStream()
    await c.features()
    c.write(`<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGEAYg==</auth>`)
    const answer = await c.next()
    if (answer.kind === 'element' && answer.element.name === 'failure')
      assert.match(JSON.stringify(answer.element), /encryption-required/)
    else await c.closes()
  },
  { servers: 1 },
)

for (const [name, directTls] of [
  ['STARTTLS', false],
  ['direct TLS', true],
] as const) {
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    story(
      `${name} with ${version} leads to mechanisms, and login to a session`,
      async ({ client }) => {
        const romeo = await client('romeo', 'orchard', { directTls, tls: { minVersion: version, maxVersion: version } })
        assert.equal(romeo.connection.tls?.getProtocol(), version)
        if (directTls) assert.equal(romeo.connection.tls?.alpnProtocol, 'xmpp-client')
        await romeo.receivesNothing()
        await romeo.disconnects()
      },
      { servers: 1 },
    )
  }
}

story(
  'TLS 1.1 is refused',
  async ({ connection }) => {
    await assert.rejects(
      connection({
        directTls: true,
        tls: { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' },
      }),
    )
  },
  { servers: 1 },
)

story(
  'features come in their order: mechanisms first, then bind and stream management',
  async ({ connection, account }) => {
    const jid = await account('romeo')
    const c = await connection()
    const before = await secureStream(c)
    const mechanisms = mechanismsOf(before)
    assert.deepEqual(
      mechanisms.filter((m) => m.startsWith('SCRAM') || m === 'PLAIN'),
      [
        'SCRAM-SHA-512-PLUS',
        'SCRAM-SHA-256-PLUS',
        'SCRAM-SHA-1-PLUS',
        'SCRAM-SHA-512',
        'SCRAM-SHA-256',
        'SCRAM-SHA-1',
        'PLAIN',
      ],
    )
    assert.ok(namesOf(before).includes('sasl-channel-binding urn:xmpp:sasl-cb:0'))
    assert.ok(!namesOf(before).some((n) => n.startsWith('bind ') || n.startsWith('starttls ')))
    await authenticate(c, { username: jid.split('@')[0] ?? '', password: PASSWORD })
    const first = await c.openStream()
    const after = namesOf(await c.features())
    assert.ok(after.includes('bind urn:ietf:params:xml:ns:xmpp-bind'))
    assert.ok(after.includes('sm urn:xmpp:sm:3'))
    assert.ok(after.includes('c http://jabber.org/protocol/caps'))
    assert.ok(after.includes('ver urn:xmpp:features:rosterver'))
    assert.ok(!after.some((n) => n.startsWith('mechanisms ')))
    assert.ok(first.id !== undefined)
  },
  { servers: 1 },
)

const faultyHeaders: readonly (readonly [string, string, string])[] = [
  ['an unknown host', streamHeader({ to: 'elsewhere.example' }), 'host-unknown'],
  ['no `to`', streamHeader({ to: '' }), 'host-unknown'],
  [
    'another root element',
    `<?xml version='1.0'?><stream:flow to='localhost' version='1.0' xmlns='jabber:client' xmlns:stream='${NS_STREAMS}'>`,
    'bad-format',
  ],
  [
    'another stream namespace',
    `<stream:stream to='localhost' version='1.0' xmlns='jabber:client' xmlns:stream='urn:wrong'>`,
    'invalid-namespace',
  ],
  [
    'another content namespace',
    `<stream:stream to='localhost' version='1.0' xmlns='jabber:server' xmlns:stream='${NS_STREAMS}'>`,
    'invalid-namespace',
  ],
  [
    'no version',
    `<stream:stream to='localhost' xmlns='jabber:client' xmlns:stream='${NS_STREAMS}'>`,
    'unsupported-version',
  ],
  [
    'another encoding',
    `<?xml version='1.0' encoding='ISO-8859-1'?>${streamHeader({ to: 'localhost' }).slice(21)}`,
    'unsupported-encoding',
  ],
  ['no XML at all', 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n', 'not-well-formed'],
]
for (const [what, header, condition] of faultyHeaders) {
  story(
    `a header with ${what} is answered with a header and ${condition}`,
    async ({ connection }) => {
      const c = await connection()
      c.write(header)
      const first = await c.next()
      assert.equal(first.kind, 'header')
      await c.endsWith(condition)
    },
    { servers: 1 },
  )
}

story(
  'a stanza before login ends the stream',
  async ({ connection }) => {
    const c = await connection()
    await secureStream(c)
    c.write(`<message to='romeo@localhost'><body>hello</body></message>`)
    await c.endsWith('not-authorized')
  },
  { servers: 1 },
)

story(
  'an element in a foreign namespace ends an authenticated stream',
  async ({ client }) => {
    const romeo = await client('romeo', 'orchard')
    romeo.connection.write(`<thing xmlns='urn:example:unknown'/>`)
    await romeo.isDisconnected('unsupported-stanza-type')
  },
  { servers: 1 },
)

story(
  'the closing handshake: the server closes its stream too',
  async ({ client }) => {
    const romeo = await client('romeo', 'orchard')
    romeo.connection.write('</stream:stream>')
    assert.equal((await romeo.connection.next()).kind, 'footer')
    assert.equal((await romeo.connection.next()).kind, 'closed')
  },
  { servers: 1 },
)

story(
  'white space between stanzas keeps the connection and does nothing',
  async ({ client }) => {
    const romeo = await client('romeo', 'orchard')
    romeo.connection.write(' \n\t ')
    await romeo.receivesNothing()
  },
  { servers: 1 },
)

story(
  'after login the stream may not be restarted to another domain',
  async ({ connection, account }) => {
    const jid = await account('romeo')
    const c = await connection()
    await secureStream(c)
    await authenticate(c, { username: jid.split('@')[0] ?? '', password: PASSWORD })
    c.write(streamHeader({ to: 'second.example' }))
    await c.endsWith('host-unknown').catch(() => c.closes())
    assert.ok(c.ended)
  },
  { servers: 1, config: { domain: undefined, domains: ['localhost', 'second.example'] } },
)
