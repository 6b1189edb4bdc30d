import assert from 'node:assert/strict'
import { write } from '../helpers/match-element.ts'
import { bounce, story } from '../helpers/story.ts'

const NS = 'http://jabber.org/protocol/commands'
const NS_LIST = 'http://kontalk.org/extensions/serverlist'
const INFO = 'http://jabber.org/protocol/disco#info'
const ITEMS = 'http://jabber.org/protocol/disco#items'

story('quirk 9: the list is told to a request that says xmlns twice', async ({ client, domain, servers }) => {
  const phone = await client('romeo', 'phone')
  await phone.sends(
    `<iq to='network@${domain}' id='s1' type='set'><command xmlns='${NS}' xmlns='${NS}' node='serverlist' action='execute'/></iq>`,
  )
  const { fingerprint } = servers[0]?.running ?? { fingerprint: '' }
  assert.match(fingerprint, /^[0-9A-F]{40}$/)
  await phone.receives(`
    <iq type='result' id='s1' from='network@${domain}' to='${phone.jid}'>
      <command xmlns='${NS}' node='serverlist' status='completed'>
        <serverlist xmlns='${NS_LIST}'><item node='${domain}' fingerprint='${fingerprint}'/></serverlist>
      </command></iq>`)
  // A well-formed request is answered as well, and the stream is as good as before.
  const again = await phone.asks('set', `<command xmlns='${NS}' node='serverlist'/>`, `network@${domain}`)
  assert.match(write(again), new RegExp(`node='${domain}'`))
})

story(
  'the list names the other servers of the network, and its own domain once',
  async ({ client, domain, servers }) => {
    const phone = await client('romeo', 'phone')
    await phone.sends(
      `<iq to='network@${domain}' id='s1' type='set'><command xmlns='${NS}' node='serverlist' action='execute'/></iq>`,
    )
    const own = servers[0]?.running.fingerprint ?? ''
    await phone.receives(`
      <iq type='result' id='s1' from='network@${domain}' to='${phone.jid}'>
        <command xmlns='${NS}' node='serverlist' status='completed'><serverlist xmlns='${NS_LIST}'>
          <item node='${domain}' fingerprint='${own}'/><item node='prime.example' fingerprint='${'A'.repeat(40)}'/>
        </serverlist></command></iq>`)
  },
  {
    servers: 1,
    config: {
      features: {
        server_list: {
          others: [
            { domain: 'Prime.example', fingerprint: 'a'.repeat(40) },
            { domain: 'localhost', fingerprint: 'b'.repeat(40) },
          ],
        },
      },
    },
  },
)

story(
  'a server that the operator adds is told from then on, and no longer when it is removed',
  async ({ client, domain, servers }) => {
    const phone = await client('romeo', 'phone')
    const admin = servers[0]?.running.admin
    assert.ok(admin !== undefined)
    const told = async (): Promise<readonly string[]> => {
      const list = await phone.asks('set', `<command xmlns='${NS}' node='serverlist'/>`, `network@${domain}`)
      const items = write(list).matchAll(
        /<item (?:node='([^']*)' fingerprint='([^']*)'|fingerprint='([^']*)' node='([^']*)')/g,
      )
      return [...items]
        .map(([, node, key, otherKey, otherNode]) => `${node ?? otherNode} ${(key ?? otherKey)?.[0]}`)
        .slice(1)
    }
    const [a, b] = ['A', 'B'].map((digit) => digit.repeat(40)) as [string, string]
    await admin.addNetworkServer('Beta.example', a)
    assert.deepEqual(await told(), ['prime.example C', 'beta.example A'])
    await admin.addNetworkServer('beta.example', b)
    await admin.addNetworkServer('prime.example', b)
    assert.deepEqual(await told(), ['prime.example B', 'beta.example B'])
    assert.deepEqual(
      (await admin.networkServers()).map((server) => server.domain),
      ['beta.example', 'prime.example'],
    )
    await admin.removeNetworkServer('prime.example')
    await admin.removeNetworkServer('BETA.example')
    assert.deepEqual(await told(), ['prime.example C'])
    await assert.rejects(admin.removeNetworkServer('beta.example'), /was not added/)
    await assert.rejects(admin.addNetworkServer(domain, a), /is served here/)
    await assert.rejects(admin.addNetworkServer('no domain!', a), /is no domain/)
  },
  {
    config: { features: { server_list: { others: [{ domain: 'prime.example', fingerprint: 'c'.repeat(40) }] } } },
  },
)

story('quirk 15: what disco#items lists answers disco#info', async ({ client, domain }) => {
  const phone = await client('romeo', 'phone')
  const listed = await phone.asks('get', `<query xmlns='${ITEMS}'/>`, domain)
  const jids = [...write(listed).matchAll(/jid='([^']+)'/g)].map(([, jid]) => jid as string)
  assert.ok(jids.includes(`network@${domain}`), jids.join())
  for (const jid of jids) {
    assert.equal((await phone.asks('get', `<query xmlns='${INFO}'/>`, jid)).attrs.type, 'result', jid)
    assert.equal((await phone.asks('get', `<query xmlns='${ITEMS}'/>`, jid)).attrs.type, 'result', jid)
  }
  await phone.sends(`<iq type='get' id='d1' to='network@${domain}'><query xmlns='${INFO}'/></iq>`)
  await phone.receives(`
    <iq type='result' id='d1' from='network@${domain}' to='${phone.jid}'><query xmlns='${INFO}'>{...}
      <identity category='component' type='generic' name='Network information'/><feature var='${NS}'/>
    </query></iq>`)
  await phone.sends(`<iq type='get' id='d2' to='network@${domain}'><query xmlns='${ITEMS}' node='${NS}'/></iq>`)
  await phone.receives(`
    <iq type='result' id='d2' from='network@${domain}' to='${phone.jid}'><query xmlns='${ITEMS}' node='${NS}'>
      <item jid='network@${domain}' node='serverlist' name='Network information'/>
    </query></iq>`)
})

story('the service has this one command, and takes nothing else', async ({ client, domain }) => {
  const phone = await client('romeo', 'phone')
  const to = `network@${domain}`
  const refused = async (command: string, type: string, condition: string): Promise<void> => {
    await phone.sends(`<iq to='${to}' id='x' type='set'>${command}</iq>`)
    await phone.receives(bounce('iq', { id: 'x', from: to, to: phone.jid }, type, condition))
  }
  await refused(`<command xmlns='${NS}' node='other'/>`, 'cancel', 'item-not-found')
  await refused(`<command xmlns='${NS}'/>`, 'cancel', 'item-not-found')
  await refused(`<command xmlns='${NS}' node='serverlist' action='cancel'/>`, 'modify', 'bad-request')
  await refused(`<command xmlns='${NS}' node='serverlist' sessionid='1'/>`, 'modify', 'bad-request')
  await refused(`<query xmlns='urn:xmpp:ping'/>`, 'cancel', 'service-unavailable')
  await phone.sends(`<message to='${to}' id='m' type='chat'><body>Hello?</body></message>`)
  await phone.receives(bounce('message', { id: 'm', from: to, to: phone.jid }, 'cancel', 'service-unavailable'))
})

story(
  'switched off, the service is neither listed nor there',
  async ({ client, domain }) => {
    const phone = await client('romeo', 'phone')
    const listed = await phone.asks('get', `<query xmlns='${ITEMS}'/>`, domain)
    assert.ok(!write(listed).includes('network@'))
    const answer = await phone.asks('set', `<command xmlns='${NS}' node='serverlist'/>`, `network@${domain}`)
    assert.match(write(answer), /<service-unavailable /)
  },
  { servers: 1, config: { features: { server_list: false } } },
)
