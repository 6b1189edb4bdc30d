import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import disco from '../../../src/features/xep0030-disco.ts'
import caps from '../../../src/features/xep0115-caps.ts'
import type { Domain, Jid } from '../../../src/xmpp/jid.ts'
import { StanzaError } from '../../../src/xmpp/stanza-error.ts'
import { ask, handlersOf, offered } from '../../helpers/feature-handlers.ts'
import { bare, LOCAL, PresenceWorld } from '../../helpers/presence-world.ts'

const INFO = 'http://jabber.org/protocol/disco#info'
const ITEMS = 'http://jabber.org/protocol/disco#items'
const NS_ADDRESS = 'http://jabber.org/protocol/address'
const condition = (expected: string) => (error: unknown) => error instanceof StanzaError && error.condition === expected
const PORT = {
  domains: new Set<Domain>([LOCAL]),
  serverFeatures: ['urn:xmpp:ping', INFO, ITEMS, 'urn:xmpp:ping'],
  accountFeatures: [INFO, ITEMS],
  services: [{ local: 'multicast', name: 'Multicast', category: 'component', type: 'generic', features: [NS_ADDRESS] }],
  nodes: {
    find: ({ node, from, to }: { node: string; from: Jid; to: Jid }) =>
      node === 'known'
        ? {
            info: { identities: [{ category: 'automation', type: 'command-node', name: `for ${from}` }], features: [] },
            items: [{ jid: to, name: 'One', node: '1' }],
          }
        : undefined,
  },
  software: { name: 'Fernruf', version: '0.1.0' },
}

async function setUp() {
  const world = new PresenceWorld()
  await world.befriend('romeo', 'juliet')
  const handlers = await handlersOf(disco, { disco: PORT, views: world.views })
  const server = (xml: string) => ask(handlers, { target: 'server', from: bare('romeo'), to: LOCAL }, 'get', xml)
  const account = (from: string, to: string, xml: string) =>
    ask(handlers, { target: 'account', from: `${from}/x` as Jid, to: bare(to) }, 'get', xml)
  const service = (xml: string) =>
    ask(handlers, { target: 'service', from: bare('romeo'), to: 'multicast@example.org' as Jid }, 'get', xml)
  return { server, account, service }
}

describe('the server', () => {
  const SERVER =
    `<identity category='server' type='im' name='Fernruf'/><feature var='${INFO}'/>` +
    `<feature var='${ITEMS}'/><feature var='urn:xmpp:ping'/></query>`
  test('says what it is and can, each feature once', async () => {
    const { server } = await setUp()
    assert.equal(await server(`<query xmlns='${INFO}'/>`), `<query xmlns='${INFO}'>${SERVER}`)
  })
  test('lists its services', async () => {
    const { server } = await setUp()
    assert.equal(
      await server(`<query xmlns='${ITEMS}'/>`),
      `<query xmlns='${ITEMS}'><item jid='multicast@example.org' name='Multicast'/></query>`,
    )
  })
  test('describes each service, and says of it that it has nothing else', async () => {
    const { service } = await setUp()
    assert.equal(
      await service(`<query xmlns='${INFO}'/>`),
      `<query xmlns='${INFO}'><identity category='component' type='generic' name='Multicast'/><feature var='${NS_ADDRESS}'/>` +
        `<feature var='${INFO}'/><feature var='${ITEMS}'/></query>`,
    )
    assert.equal(await service(`<query xmlns='${ITEMS}'/>`), `<query xmlns='${ITEMS}'/>`)
    for (const ns of [INFO, ITEMS])
      await assert.rejects(service(`<query xmlns='${ns}' node='x'/>`), condition('item-not-found'))
  })
  test('knows no other nodes', async () => {
    const { server } = await setUp()
    await assert.rejects(server(`<query xmlns='${INFO}' node='x'/>`), condition('item-not-found'))
    await assert.rejects(server(`<query xmlns='${ITEMS}' node='x'/>`), condition('item-not-found'))
  })
  test('knows the nodes of features', async () => {
    const { server, account } = await setUp()
    const info = (from: string) =>
      `<query xmlns='${INFO}' node='known'><identity category='automation' type='command-node' name='for ${from}'/></query>`
    assert.equal(await server(`<query xmlns='${INFO}' node='known'/>`), info(bare('romeo')))
    const items = (jid: string) =>
      `<query xmlns='${ITEMS}' node='known'><item jid='${jid}' name='One' node='1'/></query>`
    assert.equal(await server(`<query xmlns='${ITEMS}' node='known'/>`), items(LOCAL))
    const romeo = bare('romeo')
    assert.equal(await account(romeo, 'romeo', `<query xmlns='${INFO}' node='known'/>`), info(`${romeo}/x`))
    assert.equal(await account(romeo, 'romeo', `<query xmlns='${ITEMS}' node='known'/>`), items(romeo))
    const stranger = account(bare('tybalt'), 'juliet', `<query xmlns='${INFO}' node='known'/>`)
    await assert.rejects(stranger, condition('service-unavailable'))
  })
  test('announces a hash of it on the stream, and answers to that (XEP-0115 §6.3)', async () => {
    const { server } = await setUp()
    const { xml, feature } = offered(await handlersOf(caps, { disco: PORT }), 'c')
    // printf 'server/im//Fernruf<…disco#info<…disco#items<urn:xmpp:ping<' | openssl dgst -binary -sha1 | openssl enc -a
    const node = 'xmpp:example.org'
    const ver = /ver='([^']+)'/.exec(xml)?.[1]
    assert.equal(xml, `<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='${node}' ver='${ver}'/>`)
    assert.equal(
      await server(`<query xmlns='${INFO}' node='${node}#${ver}'/>`),
      `<query xmlns='${INFO}' node='${node}#${ver}'>${SERVER}`,
    )
    await assert.rejects(server(`<query xmlns='${INFO}' node='${node}#x'/>`), condition('item-not-found'))
    assert.deepEqual([feature.needs, feature.until], [['authenticated'], ['bound']])
  })
})

describe('an account', () => {
  test('answers its owner and subscribers', async () => {
    const { account } = await setUp()
    const expected =
      `<query xmlns='${INFO}'><identity category='account' type='registered'/>` +
      `<feature var='${INFO}'/><feature var='${ITEMS}'/></query>`
    for (const from of ['romeo@example.org', 'juliet@example.org']) {
      assert.equal(await account(from, 'romeo', `<query xmlns='${INFO}'/>`), expected)
      assert.equal(await account(from, 'romeo', `<query xmlns='${ITEMS}'/>`), `<query xmlns='${ITEMS}'/>`)
      for (const ns of [INFO, ITEMS]) {
        await assert.rejects(account(from, 'romeo', `<query xmlns='${ns}' node='x'/>`), condition('item-not-found'))
      }
    }
  })
  test('looks to a stranger as if it did not exist (§8)', async () => {
    const { account } = await setUp()
    for (const node of ['', ` node='x'`]) {
      for (const ns of [INFO, ITEMS]) {
        const xml = `<query xmlns='${ns}'${node}/>`
        await assert.rejects(account('paris@example.org', 'romeo', xml), condition('service-unavailable'))
      }
    }
  })
})
