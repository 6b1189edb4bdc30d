import type { Element } from '../../../src/xmpp/element.ts'
import type { StreamCondition } from '../../../src/xmpp/stream-error.ts'
import { type RawElement, type Token, Tokenizer, type TokenizerLimits } from '../../../src/xmpp/tokenizer.ts'

export const LIMITS: TokenizerLimits = {
  maxBytes: 10_000,
  maxDepth: 20,
  maxElements: 200,
  maxAttributes: 40,
  maxNamespaces: 40,
}
export const HEADER =
  "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' " +
  "xmlns:root='urn:root' to='example.org' version='1.0' xml:lang='en'>"
export const FOOTER = '</stream:stream>'

/** Well-formed children of a stream. */
export const GOOD: readonly string[] = [
  '<presence/>',
  "<message to='a@example.org/b' from='c@example.org' id='1' type='chat' xml:lang='de'><body>hello</body></message>",
  `<message to="a'b" id='c"d'><body>q</body></message>`,
  "<message id='&lt;&amp;&gt;&apos;&quot;&#65;&#x42;&#10;'><body>&lt;&amp;&gt;&apos;&quot;&#65;&#x1F600;&#13;&#9;</body></message>",
  '<message><body>ä € 😀 \u{10ffff} \ud7ff \ue000 \ufffd \u0085 \u007f</body></message>',
  "<message id='ä € 😀'/>",
  '<message><body>a\r\nb\rc\n\td</body></message>',
  "<message id='a\r\nb\rc\nd\te'/>",
  '<message><body><![CDATA[<b>&amp;]]]]><![CDATA[>\r\n]]>x<![CDATA[]]></body></message>',
  "<x:message xmlns:x='jabber:client'><x:body>prefixed</x:body><body>not</body></x:message>",
  "<m:message xmlns:m='urn:m' xmlns='urn:d'><m:a/><b/><c xmlns=''/></m:message>",
  "<message xmlns='jabber:client'><body/></message>",
  "<message xmlns='urn:other'><body/><b xmlns='jabber:client'/></message>",
  '<root:message root:a="1" a="2"><root:b root:a="3"/></root:message>',
  '<message><root:b root:a="3"/></message>',
  '<stream:error><a xmlns="urn:ietf:params:xml:ns:xmpp-streams"/></stream:error>',
  "<message><p:a xmlns:p='urn:p' p:x='1' x='2' q:x='3' xmlns:q='urn:q'><p:b xmlns:p='urn:r'/><p:c/></p:a></message>",
  "<message><a b:c='1' xmlns:b='urn:b'/><a b:c='1' xmlns:b='urn:c'/></message>",
  "<message xmlns:p='urn:p'><p:a/></message>",
  "<message xml:space='preserve'><body xml:lang='fr' xml:base='x'>  </body></message>",
  "<message><a xmlns:xml='http://www.w3.org/XML/1998/namespace'/></message>",
  '<message \t\n\r to \n = \r "x"\t><a \n></a \t\n\r></message\n>',
  "<iq type='set' id='1'><query xmlns='jabber:iq:roster'><item jid='a@b'/></query></iq>",
  '<message><größe ñ="1">é</größe><中 文="x"/></message>',
  "<message><a.b-c_d _e.f-9='1'/></message>",
  '<message>]]<body>]]&gt; ]] > ]]</body>]</message>',
  "<message __proto__='a' constructor='b'><__proto__/><constructor xmlns='urn:c' toString='1'/></message>",
  `<message>${'<a>'.repeat(18)}${'</a>'.repeat(18)}</message>`,
  `<message ${Array.from({ length: 30 }, (_, i) => `a${i}='${i}'`).join(' ')}/>`,
  `<message><body>${'0123456789 ä'.repeat(150)}</body></message>`,
]

const utf8 = (...octets: number[]): Buffer =>
  Buffer.from([...Buffer.from('<message><body>'), ...octets, ...Buffer.from('</body></message>')])

/** What has to end the stream, and how. */
export const HOSTILE: readonly (readonly [string | Buffer, StreamCondition])[] = [
  ['<message>&foo;</message>', 'not-well-formed'],
  ['<message>&#0;</message>', 'not-well-formed'],
  ['<message>&#xD800;</message>', 'not-well-formed'],
  ['<message>&#xFFFE;</message>', 'not-well-formed'],
  ['<message>&#x110000;</message>', 'not-well-formed'],
  ['<message>&#99999999999999999999;</message>', 'not-well-formed'],
  ['<message>&#;</message>', 'not-well-formed'],
  ['<message>&#x;</message>', 'not-well-formed'],
  ['<message>&#X41;</message>', 'not-well-formed'],
  ['<message>&;</message>', 'not-well-formed'],
  ['<message>&AMP;</message>', 'not-well-formed'],
  ['<message>&constructor;</message>', 'not-well-formed'],
  ['<message>AT&T ... ;</message>', 'not-well-formed'],
  ['<message>a & b</message>', 'not-well-formed'],
  ["<message id='&foo;'/>", 'not-well-formed'],
  ["<message id='a&b'/>", 'not-well-formed'],
  ['</a>', 'not-well-formed'],
  ['<message></body></message>', 'not-well-formed'],
  ['<message></messag></message>', 'not-well-formed'],
  ['<message></messages>', 'not-well-formed'],
  ['<message><a></message></a>', 'not-well-formed'],
  ['<message>\0</message>', 'not-well-formed'],
  ['<message>\x01</message>', 'not-well-formed'],
  ['<message>\x0b</message>', 'not-well-formed'],
  ['<message>\x1b</message>', 'not-well-formed'],
  ["<message id='\x00'/>", 'not-well-formed'],
  ['<message>\ufffe</message>', 'not-well-formed'],
  ['<message>\uffff</message>', 'not-well-formed'],
  ["<message id='\uffff'/>", 'not-well-formed'],
  ['<message><![CDATA[\0]]></message>', 'not-well-formed'],
  ['<message><![CDATA[\uffff]]></message>', 'not-well-formed'],
  [utf8(0xc0, 0xaf), 'not-well-formed'],
  [utf8(0xc1, 0xbf), 'not-well-formed'],
  [utf8(0xe0, 0x9f, 0xbf), 'not-well-formed'],
  [utf8(0xf0, 0x8f, 0xbf, 0xbf), 'not-well-formed'],
  [utf8(0xf4, 0x90, 0x80, 0x80), 'not-well-formed'],
  [utf8(0xf8, 0x88, 0x80, 0x80, 0x80), 'not-well-formed'],
  [utf8(0xff), 'not-well-formed'],
  [utf8(0xed, 0xa0, 0x80), 'not-well-formed'],
  [utf8(0xed, 0xbf, 0xbf), 'not-well-formed'],
  [utf8(0x80), 'not-well-formed'],
  [utf8(0xc3), 'not-well-formed'],
  [utf8(0xe2, 0x82), 'not-well-formed'],
  [utf8(0xf0, 0x9f, 0x98), 'not-well-formed'],
  ["<!DOCTYPE a [<!ENTITY b 'c'>]>", 'restricted-xml'],
  ['<message><!DOCTYPE a></message>', 'restricted-xml'],
  ["<message><!ENTITY a 'b'></message>", 'restricted-xml'],
  ['<!-- a -->', 'restricted-xml'],
  ['<message><!-- a --></message>', 'restricted-xml'],
  ['<?php a?>', 'restricted-xml'],
  ['<message><?a?></message>', 'restricted-xml'],
  ["<?xml version='1.0'?>", 'restricted-xml'],
  ["<message><?xml version='1.0'?></message>", 'restricted-xml'],
  ['<![CDATA[a]]>', 'invalid-xml'],
  ['text', 'invalid-xml'],
  ['<presence/>text', 'invalid-xml'],
  ["<message to='a' to='b'/>", 'not-well-formed'],
  ["<message a='a' a='a'/>", 'not-well-formed'],
  ["<message xmlns='jabber:client' xmlns='jabber:client'/>", 'not-well-formed'],
  ["<message xmlns:a='u' xmlns:b='u' a:c='1' b:c='2'/>", 'not-well-formed'],
  [`<message ${Array.from({ length: 20 }, (_, i) => `a${i % 19}=''`).join(' ')}/>`, 'not-well-formed'],
  ["<message to=a@b type='chat'/>", 'not-well-formed'],
  ["<message foo><body bar='x'></body></message>", 'not-well-formed'],
  ["<message a='<'/>", 'not-well-formed'],
  ["<message a='1'b='2'/>", 'not-well-formed'],
  ["<message a=''/ >", 'not-well-formed'],
  ['<message a/>', 'not-well-formed'],
  ["<message ='a'/>", 'not-well-formed'],
  ['<1a/>', 'not-well-formed'],
  ['<-a/>', 'not-well-formed'],
  ['<a:1/>', 'not-well-formed'],
  ['< a/>', 'not-well-formed'],
  ['<x:y:z/>', 'not-well-formed'],
  ['<:a/>', 'not-well-formed'],
  ['<a:/>', 'not-well-formed'],
  ["<a :b=''/>", 'not-well-formed'],
  ['<message><\u{10000}/></message>', 'not-well-formed'],
  ['<message><\u2070/></message>', 'not-well-formed'],
  ['<message>]]></message>', 'not-well-formed'],
  ['<message><a/>x]]></message>', 'not-well-formed'],
  ['<x:a/>', 'bad-namespace-prefix'],
  ["<a x:b=''/>", 'bad-namespace-prefix'],
  ["<message><a xmlns:p='u'/><p:b/></message>", 'bad-namespace-prefix'],
  ['<xmlns:a/>', 'bad-namespace-prefix'],
  ["<message xmlns:a=''/>", 'bad-namespace-prefix'],
  ["<message xmlns:xml='urn:a'/>", 'bad-namespace-prefix'],
  ["<message xmlns:xmlns='urn:a'/>", 'bad-namespace-prefix'],
  ["<message xmlns:a='http://www.w3.org/XML/1998/namespace'/>", 'bad-namespace-prefix'],
  ["<message xmlns='http://www.w3.org/2000/xmlns/'/>", 'bad-namespace-prefix'],
  ["<message xmlns='&#104;ttp://www.w3.org/2000/xmlns/'/>", 'bad-namespace-prefix'],
  ["<message><a xmlns='a\nb'/></message>", 'not-well-formed'],
  ["<message><a xmlns:b='a&#10;b'/></message>", 'not-well-formed'],
  ["<message><a xmlns='a b'/></message>", 'not-well-formed'],
  [`<message>${'<a/>'.repeat(200)}</message>`, 'policy-violation'],
  [`<message>${'<a>'.repeat(20)}`, 'policy-violation'],
  [`<message ${Array.from({ length: 41 }, (_, i) => `a${i}=''`).join(' ')}/>`, 'policy-violation'],
  [`<message>${Array.from({ length: 41 }, (_, i) => `<a xmlns='urn:${i}'/>`).join('')}</message>`, 'policy-violation'],
  [
    `<message>${Array.from({ length: 41 }, (_, i) => `<a xmlns:a='urn:${i}'/>`).join('')}</message>`,
    'policy-violation',
  ],
  [`<${'a'.repeat(10_000)}`, 'policy-violation'],
  [`<message a='${'a'.repeat(10_000)}`, 'policy-violation'],
  [`<message>${'a'.repeat(10_000)}`, 'policy-violation'],
  [`<message>${'a'.repeat(9_990)}</message>`, 'policy-violation'],
  [`${FOOTER}<presence/>`, 'not-well-formed'],
  [`${FOOTER}x`, 'not-well-formed'],
  ['</stream:strea>', 'not-well-formed'],
]

/** All tokens of the octets, pushed in pieces of these sizes in turn. */
export function tokensOf(octets: Buffer, sizes: readonly number[] = [], limits = LIMITS): Token[] {
  const tokenizer = new Tokenizer(limits)
  const tokens: Token[] = []
  for (let at = 0, i = 0; at < octets.length; i++) {
    const size = sizes.length === 0 ? octets.length : (sizes[i % sizes.length] as number)
    tokenizer.push(Buffer.from(octets.subarray(at, at + size)))
    for (let token = tokenizer.next(); token !== undefined; token = tokenizer.next()) tokens.push(token)
    at += size
  }
  return tokens
}
/** The only child of a stream. */
export function elementOf(xml: string | Buffer, sizes?: readonly number[]): RawElement {
  const token = tokensOf(Buffer.concat([Buffer.from(HEADER), Buffer.from(xml)]), sizes)[1]
  if (token?.token !== 'element') throw new Error('no element')
  return token
}

/** A tree as plain data, the same from whatever parser. */
export interface Plain {
  readonly name: string
  readonly ns: string
  readonly attrs: readonly (readonly [string, string])[]
  readonly children: readonly (Plain | string)[]
}
export function plain(element: Element): Plain {
  return {
    name: element.name,
    ns: element.ns,
    attrs: Object.entries(element.attrs).sort(byKey),
    children: element.children.map((c) => (typeof c === 'string' ? c : plain(c))),
  }
}
export const byKey = (a: readonly [string, string], b: readonly [string, string]): number =>
  a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0
