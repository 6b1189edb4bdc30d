import assert from 'node:assert/strict'
import { test } from 'node:test'
import preapproval from '../../../src/features/rfc6121-preapproval.ts'
import version from '../../../src/features/xep0092-version.ts'
import ping from '../../../src/features/xep0199-ping.ts'
import { ask, handlersOf, offered } from '../../helpers/feature-handlers.ts'
import { bare, LOCAL, PresenceWorld } from '../../helpers/presence-world.ts'

test('XEP-0092: the server tells its name and version', async () => {
  const software = { name: 'Fernruf', version: '1.2.3' }
  const disco = {
    domains: new Set([LOCAL]),
    serverFeatures: [],
    accountFeatures: [],
    services: [],
    nodes: { find: () => undefined },
    software,
  }
  const handlers = await handlersOf(version, { disco })
  assert.equal(
    await ask(
      handlers,
      { target: 'server', from: bare('romeo'), to: LOCAL },
      'get',
      `<query xmlns='jabber:iq:version'/>`,
    ),
    `<query xmlns='jabber:iq:version'><name>Fernruf</name><version>1.2.3</version></query>`,
  )
})

test('XEP-0199: server and own account answer pings', async () => {
  const handlers = await handlersOf(ping, {})
  const session = await new PresenceWorld().connect('romeo', 'r')
  for (const target of ['server', 'self'] as const) {
    assert.equal(
      await ask(handlers, { target, from: session.jid, session }, 'get', `<ping xmlns='urn:xmpp:ping'/>`),
      '',
    )
  }
  assert.equal(handlers.iq?.length, 2)
})

test('RFC 6121 §3.4: pre-approval is announced before binding', async () => {
  const { feature, xml } = offered(await handlersOf(preapproval, {}), 'sub')
  assert.equal(xml, `<sub xmlns='urn:xmpp:features:pre-approval'/>`)
  assert.deepEqual([feature.needs, feature.until], [['authenticated'], ['bound']])
})
