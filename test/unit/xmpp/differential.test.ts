import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { SaxesParser } from 'saxes'
import { el } from '../../../src/xmpp/element.ts'
import { NS_CLIENT } from '../../../src/xmpp/ns.ts'
import { serialize } from '../../../src/xmpp/serialize.ts'
import { StreamError } from '../../../src/xmpp/stream-error.ts'
import { byKey, elementOf, FOOTER, GOOD, HEADER, HOSTILE, type Plain, plain } from './xml-samples.ts'

/** A document's tree as saxes sees it. @throws when it sees a fault, or what RFC 6120 §11.1 forbids. */
function saxes(xml: string): Plain {
  const parser = new SaxesParser({ xmlns: true, defaultXMLVersion: '1.0', forceXMLVersion: true })
  const fail = (what: unknown): never => {
    throw what instanceof Error ? what : new Error('restricted XML')
  }
  parser.on('error', fail)
  parser.on('doctype', fail)
  parser.on('comment', fail)
  parser.on('processinginstruction', fail)
  interface Open extends Plain {
    readonly children: (Plain | string)[]
  }
  const root: Open = { name: '', ns: '', attrs: [], children: [] }
  const open: Open[] = [root]
  const text = (t: string): void => {
    const list = open.at(-1)?.children as (Plain | string)[]
    const last = list.at(-1)
    if (typeof last === 'string') list[list.length - 1] = last + t
    else if (t !== '') list.push(t)
  }
  parser.on('text', text)
  parser.on('cdata', text)
  parser.on('opentag', (tag) => {
    const attrs: [string, string][] = []
    for (const { prefix, local, uri, value } of Object.values(tag.attributes)) {
      if (prefix === 'xmlns' || (prefix === '' && local === 'xmlns')) continue
      attrs.push([prefix === '' ? local : prefix === 'xml' ? `xml:${local}` : `{${uri}}${local}`, value])
    }
    const element = { name: tag.local, ns: tag.uri, attrs: attrs.sort(byKey), children: [] }
    open.at(-1)?.children.push(element)
    open.push(element)
  })
  parser.on('closetag', () => open.pop())
  parser.write(xml).close()
  return root.children.find((c) => typeof c !== 'string') as Plain
}
const firstElement = (tree: Plain): Plain => tree.children.find((c) => typeof c !== 'string') as Plain

/** What we pass on of a stanza means to saxes what it meant to us. */
function assertSame(xml: string): void {
  const raw = elementOf(xml)
  const ours = plain(raw.element)
  for (const [name, value] of Object.entries(raw.element.attrs))
    if (/^[!-z]+$/.test(name)) assert.equal(raw.attribute(name), value)
  assert.equal(raw.attribute('absent'), undefined)
  assert.deepEqual(firstElement(saxes(HEADER + xml + FOOTER)), ours)
  assert.deepEqual(saxes(serialize(raw.element, '')), ours)
  if (raw.content === undefined) return
  const inside = saxes(`<w xmlns='${raw.ns}'>${raw.content}</w>`)
  assert.deepEqual(inside.children, ours.children)
  assert.deepEqual(
    inside.children.flatMap((c) => (typeof c === 'string' ? [] : [{ name: c.name, ns: c.ns }])),
    raw.children,
  )
}
const fatal = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

describe('against saxes', () => {
  for (const xml of GOOD) it(`agrees on ${JSON.stringify(xml.slice(0, 60))}`, () => assertSame(xml))

  it('accepts nothing hostile that saxes refuses', () => {
    // Our own limits and RFC 6120's top level are beyond saxes; what is left it must refuse as we do.
    const ours = new Set(['policy-violation', 'invalid-xml'])
    // Names of the fifth edition of XML 1.0 alone.
    const stricter = ['<message><\u{10000}/></message>', '<message><\u2070/></message>']
    for (const [xml, condition] of HOSTILE) {
      if (
        ours.has(condition) ||
        stricter.includes(xml.toString()) ||
        /xmlns(:b)?='a(\n|&#10;| )b'/.test(xml.toString())
      )
        continue
      assert.throws(
        () => saxes(`${HEADER}${fatal.decode(Buffer.from(xml))}${FOOTER}`),
        Error,
        xml.toString().slice(0, 80),
      )
    }
  })

  it('agrees on whatever it accepts of damaged input', () => {
    const tokens = [
      '<',
      '>',
      '/',
      '&',
      ';',
      "'",
      '"',
      '=',
      ':',
      ' ',
      '\r',
      '\n',
      ']]>',
      '<![CDATA[',
      '&#13;',
      '\0',
      'xmlns',
      'a',
      'é',
      '!',
      '?',
      '<a>',
      '</a>',
      "xmlns:p='u'",
      'p:',
      '\ufffe',
    ]
    fc.assert(
      fc.property(
        fc.constantFrom(...GOOD.filter((xml) => xml.length < 400)),
        fc.array(fc.tuple(fc.nat(), fc.nat(3), fc.constantFrom(...tokens)), { minLength: 1, maxLength: 3 }),
        (xml, damages) => {
          let damaged = xml
          for (const [at, cut, put] of damages) {
            const place = at % damaged.length
            damaged = damaged.slice(0, place) + put + damaged.slice(place + cut)
          }
          // A surrogate pair may have been cut.
          damaged = damaged.toWellFormed()
          try {
            elementOf(damaged)
          } catch (error) {
            if (error instanceof StreamError || (error instanceof Error && error.message === 'no element')) return
            throw error
          }
          // Only the first element of what may be several now.
          assertSame(damaged.slice(0, elementLength(damaged)))
        },
      ),
      { numRuns: 400 },
    )
  })
})
function elementLength(xml: string): number {
  const raw = elementOf(xml)
  const lead = /^[ \t\r\n]*/.exec(xml)?.[0].length ?? 0
  return lead + Buffer.from(xml.slice(lead)).subarray(0, raw.size).toString().length
}

describe('serialize', () => {
  const name = fc.stringMatching(/^[a-zA-Z_][a-zA-Z0-9._-]{0,8}$/)
  const text = fc.string({
    unit: fc.oneof(
      fc.constantFrom('<', '&', '>', "'", '"', '\t', '\n', '\r', ']', 'é', '😀'),
      fc.string({ minLength: 1, maxLength: 1 }),
    ),
    maxLength: 12,
  })
  const ns = fc.constantFrom(NS_CLIENT, '', 'urn:a', 'urn:b?c=d&e', "it's", 'ä')
  const foreign = fc.tuple(fc.constantFrom('urn:a', 'urn:c'), name).map(([uri, local]) => `{${uri}}${local}`)
  const { tree } = fc.letrec<{ tree: Plain }>((tie) => ({
    tree: fc.record({
      name,
      ns,
      attrs: fc
        .dictionary(
          fc.oneof(
            name.filter((n) => n !== 'xmlns'),
            foreign,
            fc.constant('xml:lang'),
          ),
          text,
          { maxKeys: 4 },
        )
        .map((attrs) => Object.entries(attrs).sort(byKey)),
      children: fc
        .array(
          fc.oneof(
            { maxDepth: 4 },
            text.filter((t) => t !== ''),
            tie('tree'),
          ),
          { maxLength: 3 },
        )
        .map(merged),
    }),
  }))
  function merged(children: (Plain | string)[]): (Plain | string)[] {
    const out: (Plain | string)[] = []
    for (const c of children) {
      const last = out.at(-1)
      if (typeof c === 'string' && typeof last === 'string') out[out.length - 1] = last + c
      else out.push(c)
    }
    return out
  }
  const build = (t: Plain): ReturnType<typeof el> =>
    el(t.name, t.ns, Object.fromEntries(t.attrs), ...t.children.map((c) => (typeof c === 'string' ? c : build(c))))

  it('writes what the tokenizer reads as the same tree, and finds canonical', () => {
    fc.assert(
      fc.property(tree, (expected) => {
        const raw = elementOf(serialize(build(expected), NS_CLIENT))
        assert.deepEqual(plain(raw.element), cleaned(expected))
        if (expected.ns === NS_CLIENT) assert.notEqual(raw.content, undefined)
        assert.deepEqual(saxes(serialize(build(expected), '')), cleaned(expected))
      }),
      { numRuns: 200 },
    )
  })
  /** Characters XML does not have come out as U+FFFD. */
  function cleaned(t: Plain): Plain {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones XML does not have
    const clean = (s: string): string => s.toWellFormed().replace(/[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g, '\ufffd')
    return {
      ...t,
      attrs: t.attrs.map(([k, v]) => [k, clean(v)] as const),
      children: t.children.map((c) => (typeof c === 'string' ? clean(c) : cleaned(c))),
    }
  }

  it('lets no name of JavaScript misbehave', () => {
    const raw = elementOf("<__proto__ __proto__='a' constructor='b' toString='c'><__proto__/></__proto__>")
    assert.deepEqual(Object.keys(raw.element.attrs).sort(), ['__proto__', 'constructor', 'toString'])
    assert.equal(raw.element.attrs.hasOwnProperty, undefined)
    assert.equal(el('a', '', JSON.parse('{"__proto__": "x"}') as Record<string, string>).attrs.__proto__, 'x')
    assert.equal(
      serialize(raw.element, NS_CLIENT),
      "<__proto__ __proto__='a' constructor='b' toString='c'><__proto__/></__proto__>",
    )
  })
})
