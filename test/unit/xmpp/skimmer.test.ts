import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { Attributes } from '../../../src/xmpp/attributes.ts'
import { Opening } from '../../../src/xmpp/opening.ts'
import { CUT, Skimmer, WAITING, WHOLE } from '../../../src/xmpp/skimmer.ts'
import { StreamError } from '../../../src/xmpp/stream-error.ts'
import { Tokenizer, type TokenizerLimits } from '../../../src/xmpp/tokenizer.ts'
import { GOOD, HEADER, HOSTILE, LIMITS, plain } from './xml-samples.ts'

const TIGHT: TokenizerLimits = { maxBytes: 10_000, maxDepth: 4, maxElements: 6, maxAttributes: 4, maxNamespaces: 2 }

/** All there is to know of the tokens, and how they end. Pieces of one octet never hold an element: the state machine reads them. */
function outcome(octets: Buffer, size: number, limits: TokenizerLimits): unknown[] {
  const tokenizer = new Tokenizer(LIMITS)
  tokenizer.push(Buffer.from(HEADER))
  tokenizer.next()
  tokenizer.limits = limits
  const seen: unknown[] = []
  try {
    for (let at = 0; at < octets.length; at += size) {
      tokenizer.push(Buffer.from(octets.subarray(at, at + size)))
      for (let token = tokenizer.next(); token !== undefined; token = tokenizer.next()) {
        if (token.token !== 'element') seen.push(token.token)
        else {
          const { name, ns, to, from, id, type, lang, hasOtherAttributes, children, size: length, element } = token
          const fields = { name, ns, to, from, id, type, lang, hasOtherAttributes, children, length }
          seen.push({ ...fields, content: token.content?.toString('latin1'), element: plain(element) })
        }
      }
    }
  } catch (error) {
    if (!(error instanceof StreamError)) throw error
    seen.push([error.condition, error.message])
  }
  return seen
}
function assertSame(xml: string | Buffer, limits: TokenizerLimits): void {
  const octets = Buffer.from(xml)
  const expected = outcome(octets, 1, limits)
  assert.deepEqual(outcome(octets, octets.length, limits), expected)
  // In pieces: the one way goes on where the other was cut, and takes over again.
  for (const size of [Math.ceil((octets.length * 2) / 3), Math.ceil(octets.length / 4), 23]) {
    assert.deepEqual(outcome(octets, size, limits), expected)
  }
}

const skimmer = (): Skimmer => new Skimmer(new Opening(new Attributes(), false))
const viewOf = (octets: Buffer): DataView => new DataView(octets.buffer, octets.byteOffset, octets.length)
function skims(xml: string, limits = LIMITS): boolean {
  const octets = Buffer.from(xml)
  return skimmer().skim(octets, viewOf(octets), 0, octets.length, limits) === WHOLE
}

describe('Skimmer', () => {
  const stanzas = [
    '<presence/>',
    "<message to='a@example.org/b' from=\"c@example.org\" id='1' type='chat' xml:lang='de'><body>hello</body></message>",
    "<message><body>ä &amp; 😀 ]] > '\"\n\t</body> <active xmlns='http://jabber.org/protocol/chatstates'/></message>",
    "<iq type='set' id='1'><query xmlns='jabber:iq:roster'><item jid='a' name='b' subscription='c'/></query></iq >",
    "<message  a='1'  b='2' ><a.b-c_d></a.b-c_d></message>",
    `<message>${'<a>'.repeat(15)}${'</a>'.repeat(15)}</message>`,
  ]
  for (const xml of stanzas) {
    const last = xml.endsWith('</iq >')
    it(`${last ? 'leaves' : 'takes'} ${xml.slice(0, 70)}`, () => assert.equal(skims(xml), !last))
  }
  it('takes nothing that is not whole', () => {
    for (const xml of stanzas.slice(0, 4)) {
      for (let length = 1; length < xml.length; length++) {
        assert.equal(skims(xml.slice(0, length)), false, xml.slice(0, length))
      }
    }
  })
  it('takes what follows in the same octets as it does what stands alone', () => {
    const octets = Buffer.from(`${stanzas[1]}${stanzas[2]}<message><bo`)
    const [first, second, cut] = [`${stanzas[1]}`, `${stanzas[2]}`, '<message><bo']
    const reader = skimmer()
    let unit = 0
    for (const xml of [first, second]) {
      assert.equal(reader.skim(octets, viewOf(octets), unit, octets.length, LIMITS), WHOLE)
      unit += Buffer.byteLength(xml)
      assert.equal(reader.after, unit)
      reader.begin()
    }
    assert.equal(reader.skim(octets, viewOf(octets), unit, octets.length, LIMITS), CUT)
    assert.equal(octets.toString('latin1', unit + reader.at), '<bo')
    assert.equal(unit + cut.length, octets.length)
  })
  it('goes on where it was cut, wherever that was', () => {
    for (const xml of stanzas.slice(0, 3)) {
      const octets = Buffer.from(xml)
      for (let first = 1; first < octets.length; first++) {
        const reader = skimmer()
        let at = 0
        for (let end = first; end < octets.length; end += 7) {
          const came = reader.skim(octets, viewOf(octets), 0, end, LIMITS)
          const tag = octets.lastIndexOf('>', end - 1) + 1
          assert.equal(came, tag > at ? CUT : WAITING, `${xml.slice(0, end)}|`)
          // No further than to the last tag that is whole, and no less far.
          assert.equal(reader.at, tag)
          at = tag
        }
        assert.equal(reader.skim(octets, viewOf(octets), 0, octets.length, LIMITS), WHOLE)
        assert.equal(reader.after, octets.length)
      }
    }
  })
  it('leaves what the limits forbid', () => {
    const xml = "<a b='' c='' d='' e=''><a xmlns='a'><a xmlns='b'><a/></a></a><a/><a/></a>"
    assert(skims(xml, TIGHT))
    for (const limit of ['maxDepth', 'maxElements', 'maxAttributes', 'maxNamespaces'] as const) {
      assert.equal(skims(xml, { ...TIGHT, [limit]: TIGHT[limit] - 1 }), false, limit)
    }
  })
})

describe('both ways', () => {
  it('say the same of all samples', () => {
    for (const xml of GOOD) assertSame(`${xml}${xml}<presence/>`, LIMITS)
    for (const [xml, condition] of HOSTILE) {
      // Which of two faults comes first depends on how much is looked at before sizes are compared.
      if (condition !== 'policy-violation')
        assertSame(Buffer.concat([Buffer.from(GOOD[1] ?? ''), Buffer.from(xml)]), LIMITS)
    }
  })

  const name = fc.constantFrom(
    'message',
    'body',
    'active',
    'x',
    'query',
    'item',
    'request',
    'requested',
    'b',
    'é',
    'root:y',
  )
  const text = fc.constantFrom(
    '',
    '',
    'hello',
    ' ',
    'a > b',
    ']]>',
    '&amp;',
    '&#0;',
    'ä😀',
    '\r\n',
    '\x01',
    '<![CDATA[a]]>',
  )
  const attribute = fc
    .tuple(
      fc.constantFrom(
        'to',
        'from',
        'id',
        'type',
        'xml:lang',
        'xmlns',
        'a',
        'b',
        'ab',
        'xmlns:p',
        'p:a',
        'xml:space',
        'tö',
      ),
      fc.constantFrom('=', '=', '=', '=', '=', ' = '),
      fc.constantFrom("'", '"'),
      fc.constantFrom(
        '',
        'chat',
        'a@example.org',
        'a@example.org/b',
        'jabber:client',
        'urn:xmpp:receipts',
        'a b',
        '>',
        '&lt;',
        'ü',
        '<',
      ),
    )
    .map(([key, equals, quote, value]) => `${key}${equals}${quote}${value}${quote}`)
  const { element } = fc.letrec<{ element: string }>((tie) => ({
    element: fc
      .record({
        name,
        space: fc.constantFrom(' ', ' ', ' ', ' ', '  ', '\n', ''),
        attributes: fc.array(attribute, { maxLength: 5 }),
        children: fc.array(fc.oneof({ maxDepth: 5 }, text, tie('element')), { maxLength: 4 }),
        end: fc.constantFrom('', '', '', '', ' '),
      })
      .map((e) => {
        const start = `<${[e.name, ...e.attributes].join(e.space)}`
        const inner = e.children.join('')
        return inner === '' ? `${start}/>` : `${start}>${inner}</${e.name}${e.end}>`
      }),
  }))
  it('say the same of whatever is generated', () => {
    fc.assert(
      fc.property(fc.array(element, { minLength: 1, maxLength: 4 }), fc.constantFrom(LIMITS, TIGHT), (list, limits) =>
        assertSame(list.join(''), limits),
      ),
      { numRuns: 400 },
    )
  })
  it('say the same of tags that are nearly the same as the last', () => {
    const part = (...texts: string[]): fc.Arbitrary<string> =>
      fc.oneof(
        { weight: 6, arbitrary: fc.constant(texts[0] ?? '') },
        { weight: 1, arbitrary: fc.constantFrom(...texts) },
      )
    const tag = fc
      .tuple(
        part('message', 'messages', 'mess', 'iq'),
        part(
          " to='a@example.org/b'",
          " to='z@example.org/b'",
          " to='a@example.org/'",
          " to='a@example.org/bc'",
          ' to="a@example.org/b"',
          " to='a>b'",
          '',
        ),
        part('', " from='c@example.org'", " from='&amp;'", " to='a@example.org/b'", " xml:lang='de'"),
        fc.constantFrom(
          " id='1'",
          " id='23'",
          ' id="1"',
          " id=''",
          " id='a\"b'",
          " id='>'",
          " id='ü'",
          " id='&lt;'",
          '',
        ),
        part(" type='chat'", " type='other'", " type='chat'  ", " other='chat'", " id='2'", ''),
        part('', " xmlns='jabber:client'", " xmlns='urn:x'", ' xmlns="jabber:client"', " xmlns='a b'"),
        part('<body>x</body>', '<body/>', "<active xmlns='http://jabber.org/protocol/chatstates'/>", ''),
        part(
          '<a>',
          '<active xmlns="http://jabber.org/protocol/chatstates"></active>',
          "<body xmlns='urn:y'/>",
          "<body a=''/>",
        ),
      )
      .map(([name, ...rest]) => {
        const attributes = rest.slice(0, 5).join('')
        const content = rest.slice(5).join('').replace('<a>', '')
        return content === '' ? `<${name}${attributes}/>` : `<${name}${attributes}>${content}</${name}>`
      })
    fc.assert(
      fc.property(fc.array(tag, { minLength: 2, maxLength: 8 }), fc.constantFrom(LIMITS, TIGHT), (tags, limits) =>
        assertSame(tags.join(''), limits),
      ),
      { numRuns: 600 },
    )
  })
  it('say the same of what is damaged', () => {
    const octet = fc.oneof(fc.constantFrom(...Buffer.from('<>/&;\'"=: ]![abtox\r\n\0é')), fc.nat(255))
    const place = fc.record({ at: fc.nat(), cut: fc.nat(2), put: fc.array(octet, { maxLength: 2 }) })
    const samples = fc.constantFrom(...GOOD.filter((xml) => xml.length < 400))
    fc.assert(
      fc.property(samples, fc.array(place, { minLength: 1, maxLength: 3 }), (xml, places) => {
        let octets = Buffer.from(xml + xml)
        for (const { at, cut, put } of places) {
          const start = at % octets.length
          octets = Buffer.concat([octets.subarray(0, start), Buffer.from(put), octets.subarray(start + cut)])
        }
        assertSame(octets, LIMITS)
      }),
      { numRuns: 600 },
    )
  })
})
