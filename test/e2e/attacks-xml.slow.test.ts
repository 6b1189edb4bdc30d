import assert from 'node:assert/strict'
import { authenticate, secureStream } from '../helpers/login.ts'
import { parse, write } from '../helpers/match-element.ts'
import { PASSWORD, type Story, story } from '../helpers/story.ts'
import type { XmppClient } from '../helpers/xmpp-client.ts'
import { streamHeader, type XmppConnection } from '../helpers/xmpp-connection.ts'

/** Rows 1, 5, 7 and 29 of the attacks, where they need a session, or more than one reader of XML. */

const HEADER = streamHeader({ to: 'localhost' })
const local = (jid: string): string => jid.slice(0, jid.indexOf('@'))
const isUnharmed = async (witness: XmppClient): Promise<void> => {
  const answer = await witness.asks('get', `<ping xmlns='urn:xmpp:ping'/>`, witness.domain)
  assert.equal(answer.attrs.type, 'result')
}
/** The condition that a stream ended with. */
async function endOf(c: XmppConnection): Promise<string> {
  const ended = await c.endsWith('').catch((error: Error) => error.message)
  return /<([a-z-]+) xmlns='urn:ietf:params:xml:ns:xmpp-streams'/.exec(String(ended))?.[1] ?? String(ended)
}
/** A reader and a writer with sessions. */
async function pair(tell: Story): Promise<[XmppClient, XmppClient]> {
  const juliet = await tell.client('juliet', 'j')
  await juliet.isAvailable()
  return [juliet, await tell.client('romeo', 'r')]
}

story(
  'row 1: in a session, too, comments, instructions, types and entities are restricted XML, wherever they stand',
  async (tell) => {
    const juliet = await tell.client('juliet', 'j')
    await juliet.isAvailable()
    const within = (xml: string): string => `<message to='${juliet.bare}'><body>a${xml}b</body></message>`
    const laughs = Array.from({ length: 30_000 }, (_, i) => `<!ENTITY l${i} "&l${i + 1};&l${i + 1};">`).join('')
    for (const xml of [
      '<!-- c -->',
      '<?php echo 1 ?>',
      `<?xml version='1.0'?>`,
      '<!DOCTYPE x>',
      `<!DOCTYPE x [${laughs}]>`,
      `<!DOCTYPE x SYSTEM 'file:///etc/passwd'>`,
      '<!ENTITY x "y">',
      '<!ELEMENT x ANY>',
    ]) {
      for (const bytes of [xml, within(xml)]) {
        const romeo = await tell.client('romeo', 'r')
        romeo.connection.write(bytes)
        const ended = await endOf(romeo.connection)
        assert.match(ended, /^(restricted-xml|not-well-formed|policy-violation)$/, bytes.slice(0, 80))
        if (xml.startsWith('<!--') || xml.startsWith('<?php')) assert.equal(ended, 'restricted-xml')
      }
    }
    for (const entity of [
      '&x;',
      '&#x;',
      '&#;',
      '&;',
      '&amp',
      '&lt ;',
      '&AMP;',
      '&xxe;',
      '&#1;',
      '&#xD800;',
      '&#x110000;',
    ]) {
      const romeo = await tell.client('romeo', 'r')
      romeo.connection.write(within(`${entity}<`))
      assert.match(await endOf(romeo.connection), /^(restricted-xml|not-well-formed)$/, entity)
    }
    await juliet.receivesNothing()
  },
  { servers: 1 },
)

story(
  'row 1: other encodings than UTF-8 are refused',
  async (tell) => {
    for (const bytes of [
      Buffer.from(HEADER, 'utf16le'),
      Buffer.concat([Buffer.of(0xff, 0xfe), Buffer.from(HEADER, 'utf16le')]),
      Buffer.concat([Buffer.of(0xfe, 0xff), Buffer.from(HEADER, 'utf16le').swap16()]),
      Buffer.from(HEADER.replace(`'1.0'?`, `'1.0' encoding='ISO-8859-1'?`)),
      Buffer.from(HEADER.replace(`'1.0'?`, `'1.0' encoding='UTF-7'?`)),
      Buffer.from(HEADER.replace(`'1.0'?`, `'1.1'?`)),
    ]) {
      const c = await tell.connection()
      c.write(bytes)
      assert.match(await endOf(c), /^(unsupported-encoding|not-well-formed|restricted-xml|invalid-xml|bad-format)$/)
    }
  },
  { servers: 1 },
)

/** Allowed, and read wrongly by one parser or another; with another spelling where the test's own reader needs one. */
const TRICKY: readonly (string | readonly [string, string])[] = [
  `<x xmlns='urn:a'><message xmlns='jabber:client' from='admin@localhost'><body>x</body></message></x>`,
  `<x xmlns='urn:a' xmlns:stream='urn:b'><stream:error/></x>`,
  `<a:x xmlns:a='urn:a'><a:y xmlns:a='urn:b'><a:z/></a:y><a:z/></a:x>`,
  `<x xmlns='urn:a'><y xmlns=''><z xmlns='urn:a'/></y></x>`,
  `<x xmlns='urn:a' xml:lang='de'>&#x3c;/x&#62;&amp;lt;</x>`,
  `<x xmlns='urn:a&#x3e;&#x27;&#34;'>'"</x>`,
  `<x xmlns='urn:a' a='&#10;&#9;&#13;' b='&lt;'>x&#13;&#10;y</x>`,
  [
    `<x xmlns='urn:a'><![CDATA[</message><message to='x'>&amp;]]></x>`,
    `<x xmlns='urn:a'>&lt;/message>&lt;message to='x'>&amp;amp;</x>`,
  ],
  `<x xmlns='urn:a'>]]&gt; ]] ></x>`,
  [`<x xmlns='urn:a'>a<![CDATA[]]>b<![CDATA[<]]>c</x>`, `<x xmlns='urn:a'>ab&lt;c</x>`],
  `<x xmlns='urn:a'>\u{10ffff}\u{1f339}\ufffd\u0085\u2028x</x>`,
  `<x:x xmlns:x='jabber:client' x:to='a' xmlns:y='urn:y' y:to='b'/>`,
  `<_ xmlns='urn:a'><__proto__ constructor='1'/><a.b-c/></_>`,
  `<été xmlns='urn:a' naïf='1'/>`,
  `<body xmlns='http://www.w3.org/1999/xhtml'><p style='x'/></body>`,
]
story(
  'row 5: whatever is allowed arrives as the same tree, read by a parser that shares nothing with ours',
  async (tell) => {
    const [juliet, romeo] = await pair(tell)
    for (const [i, tricky] of TRICKY.entries()) {
      const [payload, same] = typeof tricky === 'string' ? [tricky, tricky] : tricky
      const message = (content: string): string =>
        `<message to='${juliet.bare}' type='chat' id='t${i}'><body>b</body>${content}</message>`
      await romeo.sends(message(payload))
      const got = await juliet.receivesAny()
      const expected = parse(message(same))
      // The archive's id comes last.
      const own = got.children.at(-1)
      assert.ok(typeof own === 'object' && own.name === 'stanza-id' && own.attrs.by === juliet.bare, write(got))
      const children = got.children.slice(0, -1)
      assert.deepEqual({ ...got, attrs: {}, children }, { ...expected, attrs: {} }, `${payload}\n${write(got)}`)
      assert.equal(got.attrs.from, romeo.jid)
    }
    await isUnharmed(romeo)
  },
  { servers: 1 },
)

story(
  'row 5: what would break out of a stanza ends the stream of who sent it, and of nobody else',
  async (tell) => {
    const juliet = await tell.client('juliet', 'j')
    await juliet.isAvailable()
    for (const payload of [
      `<x xmlns='urn:\u0001a'/>`,
      `<x xmlns='urn:\ufffe'/>`,
      `<x xmlns='urn:a\uffff'/>`,
      `<x xmlns:xml='urn:a'/>`,
      `<x xmlns:a='http://www.w3.org/XML/1998/namespace'/>`,
      `<x xmlns='http://www.w3.org/2000/xmlns/'/>`,
      `<a:x xmlns:a='urn:a'></b:x>`,
      `<a:x xmlns:a='urn:a' xmlns:b='urn:a'></b:x>`,
      `<x xmlns:a='urn:a' xmlns:a='urn:b'/>`,
      `<a:b:c xmlns:a='urn:a'/>`,
      `<:x/>`,
      `<x:/>`,
      `<x a='1'b='2'/>`,
      `<x a='1' a='1'/>`,
      `<x a = '<'/>`,
      `<x\u00a0a='1'/>`,
      `</message><message to='${juliet.bare}'><body>smuggled</body>`.replace('</message>', '</body></message></x>'),
      `<x>]]></x>`,
      `<x>&#xFFFF;</x>`,
      `<1x/>`,
      `<x/ >`,
      `< x/>`,
    ]) {
      const romeo = await tell.client('romeo', 'r')
      romeo.connection.write(`<message to='${juliet.bare}' type='chat'><body>b</body>${payload}</message><`)
      romeo.connection.write('!x')
      assert.match(
        await endOf(romeo.connection),
        /^(not-well-formed|bad-namespace-prefix|invalid-xml|restricted-xml)$/,
        payload,
      )
      await isUnharmed(juliet)
    }
    await juliet.receivesNothing()
  },
  { servers: 1 },
)

story(
  'row 7: a character torn at each of its bytes is the same character',
  async (tell) => {
    const [juliet, romeo] = await pair(tell)
    const xml = Buffer.from(
      `<message to='${juliet.bare}' type='chat' id='m'><body>é€𝄞</body><ü xmlns='urn:ß'/></message>`,
    )
    for (let at = xml.indexOf('<body>') + 6; at < xml.length - 20; at++) {
      romeo.connection.write(xml.subarray(0, at))
      await romeo.connection.drained()
      await isUnharmed(juliet)
      romeo.connection.write(xml.subarray(at))
      assert.match(write(await juliet.receivesAny()), /<body>é€𝄞<\/body><ü xmlns='urn:ß'\/>/)
    }
  },
  { servers: 1 },
)

story(
  'row 7: 100,000 bytes one by one cost others nothing',
  async (tell) => {
    const witness = await tell.client('juliet', 'w')
    const c = await tell.connection({ directTls: true })
    await secureStream(c)
    await authenticate(c, { username: local(await tell.account('romeo')), password: PASSWORD })
    await c.openStream()
    await c.features()
    c.write(`<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>`)
    await c.element()
    c.write(`<iq type='get' id='d'><x xmlns='urn:x'>`)
    for (let i = 0; i < 100_000; i++) {
      c.write('x')
      if (i % 1_000 === 0) await isUnharmed(witness)
    }
    c.write('</x></iq>')
    assert.match(write(await c.element()), /id='d'.*service-unavailable/)
  },
  { servers: 1 },
)

story(
  'row 29: names of JavaScript are only names, in every place where a name may stand',
  async (tell) => {
    const [juliet, romeo] = await pair(tell)
    for (const name of ['__proto__', 'constructor', 'hasOwnProperty', 'then', 'toJSON']) {
      for (const xml of [
        `<iq type='get' id='${name}' to='localhost'><query xmlns='jabber:iq:register'><x xmlns='jabber:x:data' type='submit'><field var='${name}'><value>1</value></field></x></query></iq>`,
        `<iq type='set' id='${name}'><query xmlns='jabber:iq:roster'><item jid='${name}@localhost' name='${name}'><group>${name}</group></item></query></iq>`,
        `<iq type='get' id='${name}' to='localhost'><query xmlns='http://jabber.org/protocol/disco#info' node='${name}'/></iq>`,
        `<iq type='get' id='${name}' to='${name}@localhost'><${name} xmlns='${name}'/></iq>`,
      ]) {
        await romeo.sends(xml)
        for (;;) {
          const answer = await romeo.receivesAny()
          if (answer.attrs.id === name && answer.attrs.type !== 'set') break
        }
      }
      const type = await romeo.asks('get', `<ping xmlns='urn:xmpp:ping'/>`, `${local(juliet.bare)}@localhost/${name}`)
      assert.equal(type.attrs.type, 'error')
    }
    assert.equal(({} as Record<string, unknown>).polluted, undefined)
    assert.equal(Object.keys(Object.prototype).length, 0)
    await isUnharmed(juliet)
  },
  { servers: 1 },
)

story(
  'row 29: long runs that make regular expressions backtrack are read in linear time',
  async (tell) => {
    const witness = await tell.client('juliet', 'w')
    const romeo = await tell.client('romeo', 'r')
    const run = (text: string): string => text.repeat(Math.floor(60_000 / text.length))
    for (const text of [
      'a'.repeat(5),
      '@',
      '/',
      '.',
      '..a',
      'a.',
      '-',
      ' ',
      '&amp;',
      '&#x20;',
      '=',
      '+1',
      '\u0301a',
      '\\20',
    ]) {
      const long = run(text)
      for (const xml of [
        `<message to='${long}'><body>x</body></message>`,
        `<message to='a@localhost/${long}'><body>x</body></message>`,
        `<presence to='${long}@localhost' type='subscribe'/>`,
        `<iq type='set' id='x'><query xmlns='jabber:iq:roster'><item jid='${long}'/></query></iq>`,
        `<iq type='set' id='x'><query xmlns='jabber:iq:register'><username>${long}</username><password>${long}</password></query></iq>`,
        `<presence><priority>${long}</priority></presence>`,
      ])
        romeo.connection.write(xml)
      await isUnharmed(witness)
    }
    const answer = await romeo.asks('get', `<ping xmlns='urn:xmpp:ping'/>`, 'localhost')
    assert.equal(answer.attrs.type, 'result')
  },
  { servers: 1 },
)
