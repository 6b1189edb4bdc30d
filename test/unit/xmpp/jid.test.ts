import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { asciiDomain } from '../../../src/xmpp/domainpart.ts'
import {
  bareOf,
  domainOf,
  isFull,
  localOf,
  parseJid,
  prepareDomain,
  prepareLocal,
  prepareResource,
  resourceOf,
} from '../../../src/xmpp/jid.ts'

const VALID: readonly (readonly [string, string])[] = [
  // RFC 7622 §3.5, the valid examples.
  ['juliet@example.com', 'juliet@example.com'],
  ['juliet@example.com/foo', 'juliet@example.com/foo'],
  ['juliet@example.com/foo bar', 'juliet@example.com/foo bar'],
  ['juliet@example.com/foo@bar', 'juliet@example.com/foo@bar'],
  ['foo\\20bar@example.com', 'foo\\20bar@example.com'],
  ['fussball@example.com', 'fussball@example.com'],
  ['fu\u00dfball@example.com', 'fu\u00dfball@example.com'],
  ['\u03c0@example.com', '\u03c0@example.com'],
  ['\u03a3@example.com/foo', '\u03c3@example.com/foo'],
  ['\u03c3@example.com/foo', '\u03c3@example.com/foo'],
  ['\u03c2@example.com/foo', '\u03c2@example.com/foo'],
  ['king@example.com/\u265a', 'king@example.com/\u265a'],
  ['example.com', 'example.com'],
  ['example.com/foobar', 'example.com/foobar'],
  ['a.example.com/b@example.net', 'a.example.com/b@example.net'],
  // Case, width, composition, the dot at the end.
  ['JULIET@Example.COM./Balcony', 'juliet@example.com/Balcony'],
  ['\uff4a\uff55\uff4c@example.com', 'jul@example.com'],
  ['a\u0301@example.com', '\u00e1@example.com'],
  ['a@example.com/a\u0301', 'a@example.com/\u00e1'],
  ['a@example.com/\u3000b\u00a0', 'a@example.com/ b '],
  ['a@example.com/ ', 'a@example.com/ '],
  ['a@example.com//', 'a@example.com//'],
  // Domains.
  ['a@localhost', 'a@localhost'],
  ['a@1a.2b', 'a@1a.2b'],
  ['a@127.0.0.1', 'a@127.0.0.1'],
  // A name, and not what the WHATWG's URLs make of it.
  ['a@0x7f.1', 'a@0x7f.1'],
  ['a@[::1]/b', 'a@[::1]/b'],
  ['a@[2001:DB8:0::1]', 'a@[2001:db8::1]'],
  ['a@M\u00fcnchen.de', 'a@m\u00fcnchen.de'],
  ['a@mu\u0308nchen.de', 'a@m\u00fcnchen.de'],
  ['a@xn--mnchen-3ya.de', 'a@m\u00fcnchen.de'],
  ['a@fa\u00df.de', 'a@fa\u00df.de'],
  ['a@\u65e5\u672c\u8a9e.jp', 'a@\u65e5\u672c\u8a9e.jp'],
  [`a@${'b'.repeat(63)}.c`, `a@${'b'.repeat(63)}.c`],
  // Context and direction.
  ['l\u00b7l@a', 'l\u00b7l@a'],
  ['\u0375\u03b1@a', '\u0375\u03b1@a'],
  ['\u05d0\u05f3@a', '\u05d0\u05f3@a'],
  ['\u30a2\u30fb@a', '\u30a2\u30fb@a'],
  ['\u0915\u094d\u200d\u0937@a', '\u0915\u094d\u200d\u0937@a'],
  ['\u0628\u200c\u0628@a', '\u0628\u200c\u0628@a'],
  ['\u05d0@a', '\u05d0@a'],
  ['\u05d01@a', '\u05d01@a'],
  [`${'a'.repeat(1023)}@b/${'c'.repeat(1023)}`, `${'a'.repeat(1023)}@b/${'c'.repeat(1023)}`],
]
const INVALID: readonly string[] = [
  // RFC 7622 §3.5, the invalid examples.
  '"juliet"@example.com',
  'foo bar@example.com',
  'henry\u2163@example.com',
  '\u265a@example.com',
  'juliet@',
  '/foobar',
  'juliet@example.com/',
  '@example.com',
  '@example.com/a',
  '',
  '/',
  '@',
  // What a localpart must not have (§3.3.1), plain and in its wide form.
  ...Array.from('"&\'/:<>@ ', (c) => `a${c}b@example.com`).filter((jid) => !jid.includes('/')),
  ...Array.from('"&\'/:<>@', (c) => `a${String.fromCodePoint((c.codePointAt(0) as number) + 0xfee0)}b@example.com`),
  'a\u00adb@example.com',
  'a\u200bb@example.com',
  'a\u2028b@example.com',
  'a\0b@example.com',
  'a\x7fb@example.com',
  'a\u{e0001}b@example.com',
  'a\ud800b@example.com',
  'a\u0378@example.com',
  '\u2126@example.com',
  '\u212a@example.com',
  'a@example.com/\0',
  'a@example.com/b\tc',
  'a@example.com/b\u00adc',
  'a@example.com/b\ud800',
  'a@example.com/\u1100',
  // Domains.
  'a@b@c',
  'a@.',
  'a@b..c',
  'a@.b',
  'a@b..',
  'a@-b',
  'a@b-',
  'a@b.-c',
  'a@b_c',
  'a@b c',
  'a@b:5222',
  'a@ab--c.de',
  'a@xn--',
  'a@xn--a',
  'a@xn--a-.de',
  'a@1.2',
  'a@256.1.1.1',
  'a@[1.2.3.4]',
  'a@[::1',
  'a@::1',
  'a@[fe80::1%eth0]',
  'a@[::1].b',
  'a@exam\u00adple.org',
  'a@b\u3002c',
  'a@\u2603.net',
  'a@\u{1f600}.net',
  'a@\u2460.net',
  'a@\u05d0a.net',
  'a@\u0301a.net',
  `a@${'b'.repeat(64)}`,
  `a@${'b'.repeat(63)}.${'b'.repeat(63)}.${'b'.repeat(63)}.${'b'.repeat(63)}`,
  // Context and direction.
  'a\u00b7l@a',
  '\u0375a@a',
  'a\u05f3@a',
  'a\u30fb@a',
  'a\u200d@a',
  'a\u200cb@a',
  '\u0660\u06f0@a',
  '\u05d0a@a',
  'a\u05d0@a',
  '1\u05d0@a',
  '\u05d01\u0661@a',
  '\u05d0-@a',
  // Lengths, in octets.
  `${'a'.repeat(1024)}@b`,
  `${'\u00e4'.repeat(512)}@b`,
  `a@b/${'c'.repeat(1024)}`,
  `a@b/${'\u20ac'.repeat(342)}`,
  `a@b/${'c'.repeat(1_000_000)}`,
  '@'.repeat(3000),
]

describe('parseJid', () => {
  for (const [text, prepared] of VALID) {
    it(`prepares ${JSON.stringify(text.slice(0, 40))}`, () => assert.equal(parseJid(text), prepared))
  }
  for (const text of INVALID) {
    it(`refuses ${JSON.stringify(text.slice(0, 40))}`, () => assert.equal(parseJid(text), undefined))
  }

  it('changes nothing that is prepared', () => {
    const unit = fc.oneof(
      fc.constantFrom(...'aA.-@/ :\u00e4\u0301\u03a3\u05d0\u0661\uff21\u200d\u094d\u00df\u0130\u1e9e\u00b7\u{1f600}'),
      fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
    )
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 12 }), fc.string({ unit, maxLength: 12 }), (a, b) => {
        for (const text of [a, `${a}@example.org/${b}`, `a@${a}/${b}`]) {
          const jid = parseJid(text)
          if (jid === undefined) continue
          assert.equal(parseJid(jid), jid)
          const [local, resource] = [localOf(jid), resourceOf(jid)]
          assert.equal(
            `${local === undefined ? '' : `${local}@`}${domainOf(jid)}${resource === undefined ? '' : `/${resource}`}`,
            jid,
          )
          if (local !== undefined) assert.equal(prepareLocal(local), local)
          if (resource !== undefined) assert.equal(prepareResource(resource), resource)
          assert.equal(prepareDomain(domainOf(jid)), domainOf(jid))
        }
      }),
      { numRuns: 200 },
    )
  })
})

describe('the parts of an address', () => {
  it('are told apart by the first slash', () => {
    const jid = parseJid('example.org/a@b/c')
    assert(jid !== undefined)
    assert.equal(localOf(jid), undefined)
    assert.equal(domainOf(jid), 'example.org')
    assert.equal(resourceOf(jid), 'a@b/c')
    assert.equal(bareOf(jid), 'example.org')
    assert.equal(isFull(jid), true)
  })
  it('are none when empty or too long', () => {
    for (const prepare of [prepareLocal, prepareDomain, prepareResource]) {
      assert.equal(prepare(''), undefined)
      assert.equal(prepare('a'.repeat(1024)), undefined)
    }
  })
  it('have a form for DNS', () => {
    assert.equal(asciiDomain('m\u00fcnchen.de'), 'xn--mnchen-3ya.de')
    assert.equal(asciiDomain('example.org'), 'example.org')
    assert.equal(asciiDomain('[::1]'), '::1')
  })
})
