import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { NS_CLIENT, NS_STREAMS } from '../../../src/xmpp/ns.ts'
import { serialize } from '../../../src/xmpp/serialize.ts'
import { StreamError } from '../../../src/xmpp/stream-error.ts'
import { type Token, Tokenizer } from '../../../src/xmpp/tokenizer.ts'
import { elementOf, FOOTER, GOOD, HEADER, HOSTILE, LIMITS, plain, tokensOf } from './xml-samples.ts'

/** A token as data. */
function told(token: Token): unknown {
  if (token.token !== 'element') return token
  const { name, ns, to, from, id, type, lang, hasOtherAttributes, children, content, size } = token
  const tree = plain(token.element)
  return { name, ns, to, from, id, type, lang, hasOtherAttributes, children, content: content?.toString(), size, tree }
}
/** The tokens of the octets and the error they end with. */
function outcome(octets: Buffer, sizes: readonly number[]): unknown[] {
  const tokenizer = new Tokenizer(LIMITS)
  const seen: unknown[] = []
  try {
    for (let at = 0, i = 0; at < octets.length; i++) {
      const size = sizes[i % sizes.length] as number
      tokenizer.push(Buffer.from(octets.subarray(at, at + size)))
      for (let token = tokenizer.next(); token !== undefined; token = tokenizer.next()) seen.push(told(token))
      at += size
    }
  } catch (error) {
    assert(error instanceof StreamError)
    seen.push(error.condition)
  }
  return seen
}

describe('Tokenizer', () => {
  it('reads the header', () => {
    const [header] = tokensOf(Buffer.from(HEADER))
    assert(header?.token === 'header')
    assert.equal(header.name, 'stream')
    assert.equal(header.ns, NS_STREAMS)
    assert.equal(header.contentNs, NS_CLIENT)
    assert.deepEqual({ ...header.attrs }, { to: 'example.org', version: '1.0', 'xml:lang': 'en' })
  })

  it('reads what a router needs', () => {
    const raw = elementOf(
      "<message to='a&amp;b@example.org' from='ü@example.org' id='&#65;' type='chat' xml:lang='de'>" +
        "<body>x</body><active xmlns='http://jabber.org/protocol/chatstates'/> <x:y xmlns:x='urn:x'><z/></x:y></message>",
    )
    assert.equal(raw.to, 'a&b@example.org')
    assert.equal(raw.from, 'ü@example.org')
    assert.equal(raw.id, 'A')
    assert.equal(raw.type, 'chat')
    assert.equal(raw.lang, 'de')
    assert.equal(raw.hasOtherAttributes, false)
    assert.deepEqual(raw.children, [
      { name: 'body', ns: NS_CLIENT },
      { name: 'active', ns: 'http://jabber.org/protocol/chatstates' },
      { name: 'y', ns: 'urn:x' },
    ])
    assert.equal(elementOf('<presence/>').to, undefined)
  })

  it('takes no address for the last one, however alike', () => {
    const values = [
      'ab@c.example/d',
      'bb@c.example/d',
      'ab@c.example/e',
      'ab@c.example',
      'ab@c.example/dd',
      'ab@d.example/d',
    ]
    const stanzas = values.flatMap((value) =>
      values.map((other) => ({ to: value, from: other, lang: other.slice(0, 2), type: value.slice(0, 2) })),
    )
    const tokens = tokensOf(
      Buffer.from(
        HEADER +
          stanzas
            .map((s) => `<iq to='${s.to}' id='1' from='${s.from}' type='${s.type}' xml:lang='${s.lang}'/>`)
            .join(''),
      ),
    )
    assert.deepEqual(
      tokens.flatMap((t) => (t.token === 'element' ? [{ to: t.to, from: t.from, lang: t.lang, type: t.type }] : [])),
      stanzas,
    )
  })

  it('reads ids of any length', () => {
    const ids = Array.from({ length: 60 }, (_, i) => 'abcdefghij'.repeat(6).slice(0, i))
    const tokens = tokensOf(Buffer.from(HEADER + ids.map((id) => `<message to='a' id='${id}'/>`).join('')))
    assert.deepEqual(
      tokens.flatMap((t) => (t.token === 'element' ? [t.id] : [])),
      ids,
    )
  })

  it('tells attributes beyond those', () => {
    const others = ["a=''", "xmlns:p='urn:p'", "root:to=''", "xmlns='urn:x'", "xml:space='default'"]
    for (const other of others) assert.equal(elementOf(`<iq ${other}/>`).hasOtherAttributes, true, other)
    assert.equal(elementOf("<iq xmlns='jabber:client'/>").hasOtherAttributes, false)
  })

  it('gives one object per frequent name', () => {
    const [a, b] = [
      elementOf('<message><body/></message>'),
      elementOf("<message><x:body xmlns:x='jabber:client'/></message>"),
    ]
    assert.equal(a.children[0], b.children[0])
  })

  for (const [xml, condition] of HOSTILE) {
    it(`refuses ${JSON.stringify(xml.toString().slice(0, 60))}`, () => {
      const octets = Buffer.concat([Buffer.from(HEADER), Buffer.from(xml)])
      for (const sizes of [[octets.length], [1], [7, 2]]) assert.equal(outcome(octets, sizes).at(-1), condition)
    })
  }

  const starts: [string, string][] = [
    ['text', 'not-well-formed'],
    ['GET / HTTP/1.1\r\n', 'not-well-formed'],
    ['\ufeff<a/>', 'not-well-formed'],
    ["<!DOCTYPE a><a xmlns='b'>", 'restricted-xml'],
    ['<!-- a --><a>', 'restricted-xml'],
    ['<?a?><a>', 'restricted-xml'],
    ['<?xml-stylesheet ?>', 'restricted-xml'],
    [" <?xml version='1.0'?>", 'restricted-xml'],
    ["<?xml version='1.0'?><?xml version='1.0'?>", 'restricted-xml'],
    ["<?xml version='1.1'?>", 'not-well-formed'],
    ["<?xml encoding='UTF-8'?>", 'not-well-formed'],
    [`<?xml version='1.0'${' '.repeat(300)}?>`, 'not-well-formed'],
    ["<?xml version='1.0' encoding='ISO-8859-1'?>", 'unsupported-encoding'],
    ["<?xml version='1.0' encoding='UTF-16'?>", 'unsupported-encoding'],
    ['</a>', 'not-well-formed'],
    ['<stream:stream>', 'bad-namespace-prefix'],
    [`<a b='${'c'.repeat(20_000)}`, 'policy-violation'],
    [`<a ${Array.from({ length: 50 }, (_, i) => `a${i}=''`).join(' ')}>`, 'policy-violation'],
  ]
  for (const [xml, condition] of starts) {
    it(`refuses a stream that begins ${JSON.stringify(xml.slice(0, 50))}`, () => {
      for (const sizes of [[100_000], [1]]) assert.deepEqual(outcome(Buffer.from(xml), sizes), [condition])
    })
  }

  it('takes any XML declaration that says UTF-8', () => {
    for (const declaration of [
      '',
      "<?xml version='1.0'?>",
      '<?xml version="1.0" encoding="utf-8" standalone="yes" ?>\r\n',
    ]) {
      const [header] = tokensOf(Buffer.from(`${declaration}<a xmlns='b'>`), [1])
      assert.equal(header?.token, 'header')
    }
  })

  it('says the same however the octets are cut', () => {
    const whole = Buffer.from(`${HEADER} ${GOOD.join('\n')} ${FOOTER} `)
    const expected = outcome(whole, [whole.length])
    assert.equal(expected.length, GOOD.length + 2)
    assert.deepEqual(outcome(whole, [1]), expected)
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 12 }), (sizes) => {
        assert.deepEqual(outcome(whole, sizes), expected)
      }),
      { numRuns: 15 },
    )
  })

  it('fails at the same place however hostile octets are cut', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...HOSTILE.map(([xml]) => xml)),
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 }),
        (xml, sizes) => {
          const octets = Buffer.concat([Buffer.from(`${HEADER}<presence/>`), Buffer.from(xml)])
          assert.deepEqual(outcome(octets, sizes), outcome(octets, [octets.length]))
        },
      ),
      { numRuns: 100 },
    )
  })

  it('stays failed', () => {
    const tokenizer = new Tokenizer(LIMITS)
    tokenizer.push(Buffer.from(`${HEADER}<presence/><a></b><presence/>`))
    assert.equal(tokenizer.next()?.token, 'header')
    assert.equal(tokenizer.next()?.token, 'element')
    assert.throws(() => tokenizer.next(), { condition: 'not-well-formed' })
    tokenizer.push(Buffer.from('<presence/>'))
    assert.throws(() => tokenizer.next(), { condition: 'not-well-formed' })
    assert.equal(tokenizer.buffered, 0)
  })

  it('shares the octets of what came in one piece', () => {
    const tokenizer = new Tokenizer(LIMITS)
    const chunk = Buffer.from(`${HEADER}<message><body>a</body></message><message><body>b</body></message>`)
    tokenizer.push(chunk)
    tokenizer.next()
    for (const body of ['a', 'b']) {
      const token = tokenizer.next()
      assert(token?.token === 'element')
      assert.equal(token.content?.toString(), `<body>${body}</body>`)
      assert.equal(token.content.buffer, chunk.buffer)
    }
  })

  it('counts what is buffered, and no white space', () => {
    const tokenizer = new Tokenizer(LIMITS)
    tokenizer.push(Buffer.from(`${HEADER}  \n `))
    tokenizer.next()
    assert.equal(tokenizer.next(), undefined)
    assert.equal(tokenizer.buffered, 0)
    tokenizer.push(Buffer.from('  <mess'))
    assert.equal(tokenizer.buffered, 7)
    assert.equal(tokenizer.next(), undefined)
    assert.equal(tokenizer.buffered, 5)
    tokenizer.push(Buffer.from('age/><presence/>'))
    assert.equal(tokenizer.next()?.token, 'element')
    assert.equal(tokenizer.buffered, 11)
  })

  it('begins anew after a restart, with what was already there', () => {
    const tokenizer = new Tokenizer(LIMITS)
    tokenizer.push(Buffer.from(`${HEADER}<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>\n${HEADER}<presence/>`))
    assert.equal(tokenizer.next()?.token, 'header')
    assert.equal(tokenizer.next()?.token, 'element')
    tokenizer.restart()
    assert.equal(tokenizer.next()?.token, 'header')
    assert.equal(tokenizer.next()?.token, 'element')
    tokenizer.restart()
    tokenizer.push(Buffer.from("<root:a xmlns:other='urn:o'>"))
    assert.throws(() => tokenizer.next(), { condition: 'bad-namespace-prefix' })
  })

  it('forgets what a tag meant that is the same after a restart', () => {
    const tokenizer = new Tokenizer(LIMITS)
    const stanza = "<message to='a' id='1'><body/></message><message to='a' id='2'><body/></message>"
    const seen: unknown[] = []
    for (const ns of ['jabber:client', 'jabber:server']) {
      tokenizer.restart()
      tokenizer.push(Buffer.from(`<root:x xmlns:root='urn:r' xmlns='${ns}'>${stanza}`))
      for (let token = tokenizer.next(); token !== undefined; token = tokenizer.next()) {
        if (token.token === 'element') seen.push([token.ns, token.id, token.to, token.children[0]?.ns])
      }
    }
    assert.deepEqual(
      seen,
      ['jabber:client', 'jabber:server'].flatMap((ns) => ['1', '2'].map((id) => [ns, id, 'a', ns])),
    )
  })

  it('holds a tag that came before to the limits of now', () => {
    const tokenizer = new Tokenizer(LIMITS)
    const stanza = "<message to='a' id='1' xmlns='urn:x'/>"
    tokenizer.push(Buffer.from(`${HEADER}${stanza.repeat(4)}`))
    for (let i = 0; i < 3; i++) assert.notEqual(tokenizer.next()?.token, 'footer')
    tokenizer.limits = { ...LIMITS, maxAttributes: 3 }
    assert.equal(tokenizer.next()?.token, 'element')
    for (const limits of [{ maxAttributes: 2 }, { maxNamespaces: 0 }]) {
      const other = new Tokenizer(LIMITS)
      other.push(Buffer.from(`${HEADER}${stanza.repeat(3)}`))
      for (let i = 0; i < 3; i++) other.next()
      other.limits = { ...LIMITS, ...limits }
      assert.throws(() => other.next(), { condition: 'policy-violation' })
    }
  })

  it('takes the short way again in a stanza that was cut', () => {
    const stanza = "<message id='1'><body>a</body><active xmlns='http://jabber.org/protocol/chatstates'/></message>"
    for (let cut = 1; cut < stanza.length; cut++) {
      const tokenizer = new Tokenizer(LIMITS)
      tokenizer.push(Buffer.from(`${HEADER}${stanza}${stanza.slice(0, cut)}`))
      tokenizer.next()
      const first = tokenizer.next()
      assert.equal(tokenizer.next(), undefined)
      tokenizer.push(Buffer.from(stanza.slice(cut)))
      const second = tokenizer.next()
      assert(first?.token === 'element' && second?.token === 'element')
      // The state machine makes a list of its own for each.
      assert.equal(second.children, first.children, stanza.slice(0, cut))
    }
  })

  it('finds a fault as soon as it is there, however the stanza was cut', () => {
    for (const fault of ['\x01', '&foo;', '<1', '</x', '<!--', "<a b='<"]) {
      const tokenizer = new Tokenizer(LIMITS)
      tokenizer.push(Buffer.from(`${HEADER}<message><body>text`))
      assert.equal(tokenizer.next()?.token, 'header')
      assert.equal(tokenizer.next(), undefined)
      tokenizer.push(Buffer.from(`more</body> ${fault}`))
      assert.throws(() => tokenizer.next(), StreamError, fault)
    }
  })

  it('takes new limits between two elements', () => {
    const tokenizer = new Tokenizer({ ...LIMITS, maxBytes: 400, maxElements: 2 })
    tokenizer.push(Buffer.from(`${HEADER}<message><a/></message><message><a/><a/></message>`))
    tokenizer.next()
    assert.equal(tokenizer.next()?.token, 'element')
    tokenizer.limits = LIMITS
    assert.equal(tokenizer.next()?.token, 'element')
  })

  it('takes exactly as much as the limits say', () => {
    const xml = `<message ${Array.from({ length: 40 }, (_, i) => `a${i}=''`).join(' ')}>${'<a>'.repeat(19)}${'</a>'.repeat(19)}${'<b/>'.repeat(180)}`
    const full = `${xml}${'x'.repeat(10_000 - xml.length - 10)}</message>`
    assert.equal(elementOf(full).size, 10_000)
  })

  it('ends a stream that was one tag', () => {
    const tokens = tokensOf(Buffer.from("<stream xmlns='a'/> "), [1])
    assert.deepEqual(
      tokens.map((t) => t.token),
      ['header', 'footer'],
    )
  })

  it('takes 400,000 octets one by one, and many chunks pushed before they are read', () => {
    const tokenizer = new Tokenizer({ ...LIMITS, maxBytes: 1_000_000 })
    const octets = Buffer.from(
      `${HEADER}<message id='${'y'.repeat(100_000)}'><body>${'x'.repeat(300_000)}</body></message>`,
    )
    const tokens: Token[] = []
    for (let i = 0; i < octets.length; i++) {
      tokenizer.push(octets.subarray(i, i + 1))
      if (i % 3 === 0) continue
      const token = tokenizer.next()
      if (token !== undefined) tokens.push(token)
    }
    for (let token = tokenizer.next(); token !== undefined; token = tokenizer.next()) tokens.push(token)
    assert.deepEqual(
      tokens.map((t) => t.token),
      ['header', 'element'],
    )
  })
})

describe('canonical content', () => {
  const canonical = [
    ["<message a='1'><body>x</body></message>", '<body>x</body>'],
    ['<presence/>', ''],
    ["<iq id='&#10;'></iq>", ''],
    ['<message>ä &amp; &#13; <a b="&#9;\'"/></message>', 'ä &amp; &#13; <a b="&#9;\'"/>'],
    ["<message><p:a xmlns:p='urn:p' p:b=''/></message>", "<p:a xmlns:p='urn:p' p:b=''/>"],
    ["<message><a xml:lang='de'/></message>", "<a xml:lang='de'/>"],
    ["<message xmlns='urn:m'><a/></message>", '<a/>'],
    ["<m xmlns='urn:d' xmlns:p='urn:p'><a xmlns:p='urn:q'><p:b/></a></m>", "<a xmlns:p='urn:q'><p:b/></a>"],
  ] as const
  for (const [xml, content] of canonical) {
    it(`is what stands in ${xml}`, () => assert.equal(elementOf(xml).content?.toString(), content))
  }

  const not = [
    '<message><root:a/></message>',
    "<message><a root:b=''/></message>",
    "<message xmlns:p='urn:p'><p:a/></message>",
    "<message xmlns:root='urn:root'><root:a/></message>",
    '<message><![CDATA[a]]></message>',
    '<message>a\r\n</message>',
    "<message><a b='\r'/></message>",
    "<message><a b='\n'/></message>",
    '<message><a\r/></message>',
    "<p:message xmlns:p='jabber:client' xmlns='urn:d'><a/></p:message>",
    "<stream:error><a xmlns='urn:a'/></stream:error>",
  ]
  for (const xml of not) {
    it(`is not in ${JSON.stringify(xml)}`, () => {
      const raw = elementOf(xml)
      assert.equal(raw.content, undefined)
      const again = elementOf(serialize(raw.element, NS_CLIENT))
      assert.notEqual(again.content, undefined)
      assert.deepEqual(plain(again.element), plain(raw.element))
    })
  }
})

describe('a doubled xmlns', () => {
  const NS = "xmlns='http://jabber.org/protocol/commands'"
  const read = (xml: string): Token | undefined => {
    const tokenizer = new Tokenizer(LIMITS, { doubledCommandNs: true })
    tokenizer.push(Buffer.from(HEADER + xml))
    tokenizer.next()
    return tokenizer.next()
  }
  it('is dropped from a command when the option says so', () => {
    const token = read(`<iq type='set' id='s1'><command ${NS} ${NS} node='serverlist' action='execute'/></iq>`)
    assert(token?.token === 'element')
    assert.deepEqual(token.children, [{ name: 'command', ns: 'http://jabber.org/protocol/commands' }])
    assert.equal(token.content, undefined)
    assert.equal(
      serialize(token.element, NS_CLIENT),
      "<iq type='set' id='s1'><command xmlns='http://jabber.org/protocol/commands' node='serverlist' action='execute'/></iq>",
    )
  })
  it('ends the stream anywhere else', () => {
    for (const xml of [
      `<message><command ${NS} ${NS}/></message>`,
      `<iq><x ${NS} ${NS}/></iq>`,
      `<iq><x><command ${NS} ${NS}/></x></iq>`,
      `<iq><command ${NS} xmlns='urn:x'/></iq>`,
      `<iq><command ${NS} ${NS} ${NS}/></iq>`,
      `<iq><command ${NS} ${NS} a='' a=''/></iq>`,
      `<iq ${NS} ${NS}/>`,
    ]) {
      assert.throws(() => read(xml), { condition: 'not-well-formed' }, xml)
    }
    assert.throws(() => elementOf(`<iq><command ${NS} ${NS}/></iq>`), { condition: 'not-well-formed' })
  })
})
