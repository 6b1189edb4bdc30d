import assert from 'node:assert/strict'
import type { Element } from '../../src/xmpp/element.ts'
import { difference, parse, write } from '../helpers/match-element.ts'
import { story } from '../helpers/story.ts'
import type { XmppClient } from '../helpers/xmpp-client.ts'

const NS = 'jabber:iq:private'
const query = (xml: string) => `<query xmlns='${NS}'>${xml}</query>`
const keeps = async (client: XmppClient, xml: string): Promise<void> => {
  const answer = await client.asks('set', query(xml))
  assert.equal(answer.attrs.type, 'result', write(answer))
}
const finds = async (client: XmppClient, asked: string, expected: string): Promise<void> => {
  const answer = await client.asks('get', query(asked))
  assert.equal(answer.attrs.type, 'result', write(answer))
  assert.equal(difference(parse(query(expected)), answer.children[0] as Element), undefined, write(answer))
}
const refused = async (client: XmppClient, type: 'get' | 'set', xml: string, condition: string, to?: string) => {
  const answer = await client.asks(type, query(xml), to)
  assert.match(write(answer), new RegExp(`type='error'.*<${condition} `), xml)
}

const PREFS = `<exodus xmlns='exodus:prefs'><defaultnick>Hamlet</defaultnick></exodus>`

story('what a device keeps, another finds; what is not there is answered empty', async ({ client }) => {
  const phone = await client('hamlet', 'phone')
  const laptop = await client('hamlet', 'laptop')
  await finds(phone, `<exodus xmlns='exodus:prefs'/>`, `<exodus xmlns='exodus:prefs'/>`)
  await keeps(phone, PREFS)
  await finds(laptop, `<exodus xmlns='exodus:prefs'/>`, PREFS)
  await finds(laptop, `<exodus xmlns='exodus:prefs'><ignored/></exodus>`, PREFS)
  await finds(laptop, `<other xmlns='exodus:prefs'/>`, `<other xmlns='exodus:prefs'/>`)
  await keeps(laptop, `<exodus xmlns='exodus:prefs'/><other xmlns='urn:o'>1</other><other xmlns='urn:p'>2</other>`)
  await finds(phone, `<exodus xmlns='exodus:prefs'/>`, `<exodus xmlns='exodus:prefs'/>`)
  await finds(phone, `<other xmlns='urn:o'/>`, `<other xmlns='urn:o'>1</other>`)
  await finds(phone, `<other xmlns='urn:p'/>`, `<other xmlns='urn:p'>2</other>`)
  const answer = await phone.asks('get', query(`<other xmlns='urn:o'/>`), phone.bare)
  assert.equal(answer.attrs.type, 'result')
})

story('what was kept is what is found: namespaces, attributes, entities, other alphabets', async ({ client }) => {
  const hamlet = await client('hamlet', 'phone')
  for (const xml of [
    `<a:x xmlns:a='urn:t' a:y='1' z='&lt;&#9;&apos;"' xml:lang='de'><b xmlns='urn:b'><a:c/></b>&amp; 世界 🌹<d xmlns=''>]]&gt;</d></a:x>`,
    `<x xmlns='urn:t'><message xmlns='jabber:client' to='a@b'><body>not sent</body></message></x>`,
    `<storage xmlns='storage:bookmarks'><conference jid='a@b' autojoin='true' name='x'/></storage>`,
    `<x xmlns='urn:t' __proto__='1' constructor='2'/>`,
  ]) {
    await keeps(hamlet, xml)
    const { name, ns } = parse(xml)
    await finds(hamlet, `<${name} xmlns='${ns}'/>`, xml)
  }
})

story('what is malformed is refused, and nothing of it kept', async ({ client }) => {
  const hamlet = await client('hamlet', 'phone')
  await refused(hamlet, 'set', '', 'not-acceptable')
  await refused(hamlet, 'set', 'text', 'not-acceptable')
  await refused(hamlet, 'set', '<exodus/>', 'not-acceptable')
  await refused(hamlet, 'set', `${PREFS}<exodus xmlns=''/>`, 'not-acceptable')
  await refused(hamlet, 'set', `<x xmlns='urn:${'x'.repeat(1024)}'/>`, 'not-acceptable')
  await refused(hamlet, 'get', '', 'bad-request')
  await refused(hamlet, 'get', `<a xmlns='urn:a'/><b xmlns='urn:b'/>`, 'bad-request')
  await refused(hamlet, 'get', '<exodus/>', 'not-acceptable')
  await finds(hamlet, `<exodus xmlns='exodus:prefs'/>`, `<exodus xmlns='exodus:prefs'/>`)
})

story('nobody finds or changes what another keeps, nor learns whether there is another', async (tell) => {
  const hamlet = await tell.client('hamlet', 'phone')
  const macbeth = await tell.client('macbeth', 'castle')
  await keeps(hamlet, PREFS)
  for (const to of [hamlet.bare, tell.stranger('nobody'), tell.domain]) {
    await refused(macbeth, 'get', `<exodus xmlns='exodus:prefs'/>`, 'service-unavailable', to)
    await refused(macbeth, 'set', `<exodus xmlns='exodus:prefs'/>`, 'service-unavailable', to)
  }
  await finds(macbeth, `<exodus xmlns='exodus:prefs'/>`, `<exodus xmlns='exodus:prefs'/>`)
  await finds(hamlet, `<exodus xmlns='exodus:prefs'/>`, PREFS)
})

story(
  'no more elements and bytes are kept than may be',
  async ({ client }) => {
    const hamlet = await client('hamlet', 'phone')
    await keeps(hamlet, `<x xmlns='urn:1'>1</x><x xmlns='urn:2'>2</x>`)
    await refused(hamlet, 'set', `<x xmlns='urn:1'>9</x><x xmlns='urn:3'>3</x>`, 'resource-constraint')
    await finds(hamlet, `<x xmlns='urn:1'/>`, `<x xmlns='urn:1'>1</x>`)
    await refused(hamlet, 'set', `<x xmlns='urn:1'>${'y'.repeat(1000)}</x>`, 'resource-constraint')
    await keeps(hamlet, `<x xmlns='urn:1'/>`)
    await keeps(hamlet, `<x xmlns='urn:3'>${'y'.repeat(900)}</x>`)
  },
  { config: { features: { private_xml: { max_elements: 2, max_bytes: '1000B' } } } },
)
