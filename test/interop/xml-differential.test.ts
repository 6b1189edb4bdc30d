import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { describe, it } from 'node:test'
import { NS_CLIENT } from '../../src/xmpp/ns.ts'
import { serialize } from '../../src/xmpp/serialize.ts'
import { StreamError } from '../../src/xmpp/stream-error.ts'
import { elementOf, FOOTER, GOOD, HEADER, HOSTILE, type Plain, plain } from '../unit/xmpp/xml-samples.ts'

const PYTHON = '/usr/bin/python3'
/** Reads a JSON list of base64 documents; answers each with its tree, or with the fault as a string. */
const EXPAT = `
import base64, json, sys, xml.parsers.expat
XML = 'http://www.w3.org/XML/1998/namespace'
def name(n):
    return n.split('|', 1) if '|' in n else ['', n]
def attribute(n):
    ns, local = name(n)
    return local if ns == '' else 'xml:' + local if ns == XML else '{' + ns + '}' + local
def read(document):
    root = {'children': []}
    stack = [root]
    parser = xml.parsers.expat.ParserCreate('UTF-8', '|')
    parser.buffer_text = True
    def start(n, attrs):
        ns, local = name(n)
        found = sorted(([attribute(k), v] for k, v in attrs.items()), key=lambda a: a[0].encode('utf-16-be'))
        e = {'name': local, 'ns': ns, 'attrs': found, 'children': []}
        stack[-1]['children'].append(e)
        stack.append(e)
    def end(n):
        stack.pop()
    def text(t):
        list = stack[-1]['children']
        if list and isinstance(list[-1], str):
            list[-1] += t
        else:
            list.append(t)
    def forbidden(*args):
        raise ValueError('restricted XML')
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.CommentHandler = forbidden
    parser.ProcessingInstructionHandler = forbidden
    parser.StartDoctypeDeclHandler = forbidden
    parser.Parse(document, True)
    return root['children'][0]
def outcome(document):
    try:
        return read(base64.b64decode(document))
    except Exception as fault:
        return 'fault: ' + str(fault)
json.dump([outcome(d) for d in json.load(sys.stdin)], sys.stdout)
`
function expat(documents: readonly (string | Buffer)[]): (Plain | string)[] {
  const input = JSON.stringify(documents.map((d) => Buffer.from(d).toString('base64')))
  const { status, stdout, stderr } = spawnSync(PYTHON, ['-c', EXPAT], { input, encoding: 'utf8', maxBuffer: 1 << 26 })
  assert.equal(status, 0, stderr)
  return JSON.parse(stdout) as (Plain | string)[]
}
const inner = (tree: Plain | string | undefined): unknown =>
  typeof tree === 'object' ? tree.children.find((c) => typeof c !== 'string') : tree

/** A small generator of its own, so that a failure can be run again. */
function* damaged(count: number): Generator<string> {
  const pieces = [
    '<',
    '>',
    '/',
    '&',
    ';',
    "'",
    '=',
    ':',
    ' ',
    '\r',
    ']]>',
    '<![CDATA[',
    '&#13;',
    'xmlns',
    'é',
    "xmlns:p='u'",
    'p:',
    '\ufffe',
    '',
  ]
  let state = 1
  const next = (below: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
    return (state >>> 8) % below
  }
  const samples = GOOD.filter((xml) => xml.length < 400)
  for (let i = 0; i < count; i++) {
    let xml = samples[next(samples.length)] as string
    for (let n = 0; n <= next(2); n++) {
      const at = next(xml.length)
      xml = xml.slice(0, at) + (pieces[next(pieces.length)] as string) + xml.slice(at + next(3))
    }
    yield xml.toWellFormed()
  }
}

describe('against expat', { skip: existsSync(PYTHON) ? false : `${PYTHON} is not there` }, () => {
  it('sees in what we pass on what we saw in it', () => {
    const accepted: [string, Plain, string | undefined][] = []
    for (const xml of [...GOOD, ...damaged(3000)]) {
      try {
        const raw = elementOf(xml)
        if (raw.size !== Buffer.byteLength(xml.trim())) continue
        const tree = plain(raw.element)
        const content = raw.content === undefined ? undefined : `<w xmlns='${raw.ns}'>${raw.content}</w>`
        accepted.push([xml, tree, content])
        // Written anew it must mean the same too.
        accepted.push([xml, tree, `<w xmlns='${NS_CLIENT}'>${serialize(raw.element, NS_CLIENT)}</w>`])
      } catch (error) {
        assert(
          error instanceof StreamError || (error instanceof Error && error.message === 'no element'),
          String(error),
        )
      }
    }
    assert(accepted.length > 2 * GOOD.length)
    const received = expat(accepted.map(([xml]) => HEADER + xml + FOOTER))
    const passed = expat(accepted.map(([, , content]) => content ?? '<none/>'))
    for (const [i, [xml, tree, content]] of accepted.entries()) {
      assert.deepEqual(inner(received[i]), tree, xml)
      const again = passed[i]
      if (content === undefined) continue
      assert(typeof again === 'object', `${content}: ${again}`)
      assert.deepEqual(again.children, i % 2 === 0 ? tree.children : [tree], content)
    }
  })

  it('refuses what we refuse as malformed', () => {
    // Limits, the stream's top level and white space in namespace names are ours; so are two forms only newer parsers take.
    const malformed = HOSTILE.filter(
      ([xml, condition]) =>
        condition !== 'policy-violation' &&
        condition !== 'invalid-xml' &&
        !/xmlns(:b)?='a(\n|&#10;| )b'/.test(xml.toString()),
    )
    const answers = expat(
      malformed.map(([xml]) => Buffer.concat([Buffer.from(HEADER), Buffer.from(xml), Buffer.from(FOOTER)])),
    )
    for (const [i, [xml]] of malformed.entries()) assert.equal(typeof answers[i], 'string', xml.toString().slice(0, 80))
  })
})
