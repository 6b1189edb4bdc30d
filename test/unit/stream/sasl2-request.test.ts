import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, test } from 'node:test'
import { advertisedBy } from '../../../src/stream/sasl.ts'
import { readRequest, type Sasl2Request } from '../../../src/stream/sasl2-request.ts'
import { type SaslCondition, SaslError } from '../../../src/xmpp/sasl-error.ts'
import { parse } from '../../helpers/match-element.ts'

const read = (inner: string, attrs = `mechanism='PLAIN'`): Sasl2Request =>
  readRequest(parse(`<authenticate xmlns='urn:xmpp:sasl:2' ${attrs}>${inner}</authenticate>`))
const fails = (inner: string, condition: SaslCondition): void =>
  assert.throws(
    () => read(inner),
    (error) => error instanceof SaslError && error.condition === condition,
  )
const agent = (id: string): string => `<user-agent id='${id}'/>`

describe('what an <authenticate/> asks for', () => {
  test('nothing but a mechanism', () => {
    assert.deepEqual(read(''), {
      mechanism: 'PLAIN',
      initial: undefined,
      agent: undefined,
      upgrades: [],
      resume: undefined,
      bind: undefined,
      wantsToken: undefined,
      fast: undefined,
    })
    assert.equal(read('', '').mechanism, '')
  })
  test('an empty initial response is one', () => {
    assert.deepEqual(read('<initial-response/>').initial, Buffer.alloc(0))
    assert.deepEqual(read('<initial-response>YQ==</initial-response>').initial, Buffer.from('a'))
  })
  test('everything at once', () => {
    const request = read(`
      <user-agent id='d4565fa7-4d72-4749-b3d3-740edbf87770'><software>Some</software><device> Phone </device></user-agent>
      <upgrade xmlns='urn:xmpp:sasl:upgrade:0'>UPGR-SCRAM-SHA-256</upgrade>
      <resume xmlns='urn:xmpp:sm:3' previd='id' h='7'/>
      <bind xmlns='urn:xmpp:bind:0'><tag>Some</tag></bind>
      <request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/>
      <fast xmlns='urn:xmpp:fast:0' count='2147483647' invalidate='1'/>`)
    const id = 'd4565fa7-4d72-4749-b3d3-740edbf87770'
    assert.deepEqual(request.agent, { id, software: 'Some', device: 'Phone' })
    assert.deepEqual(request.upgrades, ['UPGR-SCRAM-SHA-256'])
    assert.deepEqual(request.resume, { previd: 'id', h: 7 })
    assert.equal(request.bind?.tag, 'Some')
    assert.equal(request.wantsToken, 'HT-SHA-256-NONE')
    assert.deepEqual(request.fast, { count: 2 ** 31 - 1, invalidate: true })
  })
  test('elements of the same name in other namespaces are others', () => {
    const request = read(`<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/><fast xmlns='x'/><resume xmlns='y' h='z'/>`)
    assert.deepEqual([request.bind, request.fast, request.resume], [undefined, undefined, undefined])
  })
  for (const id of [
    '',
    'x',
    'd4565fa7-4d72-1749-b3d3-740edbf87770',
    'd4565fa7-4d72-4749-73d3-740edbf87770',
    `${'a'.repeat(8)}-`,
  ])
    test(`a user-agent is not called ${JSON.stringify(id)}`, () => fails(agent(id), 'malformed-request'))
  for (const count of ['', '0', '-1', '+1', '1.0', '0x1', '2147483648', '99999999999', '١'])
    test(`a count is not ${JSON.stringify(count)}`, () =>
      fails(`<fast xmlns='urn:xmpp:fast:0' count='${count}'/>`, 'malformed-request'))
  for (const tag of ['\u202e', 'x'.repeat(129), '\u00ad'])
    test(`a tag is not ${JSON.stringify(tag).slice(0, 20)}`, () =>
      fails(`<bind xmlns='urn:xmpp:bind:0'><tag>${tag}</tag></bind>`, 'malformed-request'))
  test('what a client says of itself is cut, not believed', () => {
    const software = '😀'.repeat(500)
    assert.equal(
      [...(read(`<user-agent><software>${software}</software></user-agent>`).agent?.software ?? '')].length,
      100,
    )
  })
})

test('XEP-0474 §5.3: the example of the specification', () => {
  const offer = advertisedBy(['SCRAM-SHA-1-PLUS', 'SCRAM-SHA-1'], ['tls-server-end-point', 'tls-exporter'])
  assert.equal(createHash('sha1').update(offer).digest('base64'), 'G6k/rBLDqgOhRRaCuuatSDFkJ08=')
  assert.equal(advertisedBy(['B', 'A'], []), 'A\x1eB')
})
