import assert from 'node:assert/strict'
import { test } from 'node:test'
import { capsHash, infoElement } from '../../../src/xmpp/disco.ts'

const MUC = 'http://jabber.org/protocol/muc'
const CAPS = 'http://jabber.org/protocol/caps'
const INFO = 'http://jabber.org/protocol/disco#info'
const ITEMS = 'http://jabber.org/protocol/disco#items'

test('the hash is that of the example in XEP-0115 §5.2, whatever the order', () => {
  const identities = [{ category: 'client', type: 'pc', name: 'Exodus 0.9.1' }]
  for (const features of [
    [CAPS, INFO, ITEMS, MUC],
    [MUC, ITEMS, CAPS, INFO, MUC],
  ]) {
    assert.equal(capsHash({ identities, features }), 'QgayPKawpkPSDYmwT/WM94uAlu0=')
  }
})

test('sorts by octets, not by UTF-16 units', () => {
  const features = ['\u{10000}', '\uffee']
  const vars = infoElement({ identities: [], features }).children.map((c) => typeof c !== 'string' && c.attrs.var)
  assert.deepEqual(vars, ['\uffee', '\u{10000}'])
})

test('info without a name has none, and repeats the node asked for', () => {
  const info = { identities: [{ category: 'account', type: 'registered' }], features: [] }
  const { attrs, children } = infoElement(info, 'n')
  assert.equal(attrs.node, 'n')
  assert.deepEqual(
    children.map((c) => typeof c !== 'string' && Object.entries(c.attrs)),
    [Object.entries({ category: 'account', type: 'registered' })],
  )
})
