import assert from 'node:assert/strict'
import type { Element } from '../../src/xmpp/element.ts'
import { readArchive } from '../helpers/archive-reader.ts'
import { befriend } from '../helpers/contacts.ts'
import { write } from '../helpers/match-element.ts'
import { bounce, type Story, story } from '../helpers/story.ts'
import type { XmppClient } from '../helpers/xmpp-client.ts'

const NS = 'urn:xmpp:blocking'
const hears = { hearsPresence: true } as const
const item = (jid: string) => `<item jid='${jid}'/>`
const block = (...jids: string[]) => `<block xmlns='${NS}'>${jids.map(item).join('')}</block>`
const unblock = (...jids: string[]) => `<unblock xmlns='${NS}'>${jids.map(item).join('')}</unblock>`
const LIST = `<blocklist xmlns='${NS}'/>`
const push = (client: XmppClient, payload: string) =>
  `<iq type='set' id='{any}' from='${client.bare}' to='${client.jid}'>${payload}</iq>`
const does = async (client: XmppClient, payload: string): Promise<void> => {
  const answer = await client.asks('set', payload)
  assert.equal(answer.attrs.type, 'result', write(answer))
}
/** The error of one's own stanza to an address one has blocked (§3.3). */
const refused = (kind: string, to: string, client: XmppClient, id: string) =>
  `<${kind} type='error' from='${to}' to='${client.jid}' id='${id}'>{...}<error type='cancel'>{...}
    <not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><blocked xmlns='${NS}:errors'/></error></${kind}>`

story('a list is kept, and pushed to the devices that have asked for it', async ({ client, account }) => {
  const phone = await client('juliet', 'phone')
  const laptop = await client('juliet', 'laptop')
  const tablet = await client('juliet', 'tablet')
  const romeo = await account('romeo')
  for (const device of [phone, laptop]) {
    const answer = await device.asks('get', LIST)
    assert.equal(write(answer.children[0] as Element), LIST.replaceAll('"', "'"))
  }
  await does(phone, block(romeo, 'evil.example'))
  for (const device of [phone, laptop]) await device.receives(push(device, block(romeo, 'evil.example')))
  await tablet.receivesNothing()
  const list = await tablet.asks('get', LIST)
  const jids = (list.children[0] as Element).children.map((c) => (c as Element).attrs.jid)
  assert.deepEqual(jids.toSorted(), [romeo, 'evil.example'].toSorted())
  await does(tablet, unblock(romeo))
  for (const device of [phone, laptop, tablet]) await device.receives(push(device, unblock(romeo)))
  await does(phone, unblock())
  for (const device of [phone, laptop, tablet]) await device.receives(push(device, unblock()))
  assert.equal((await phone.asks('get', LIST)).children.map((c) => (c as Element).children.length)[0], 0)
})

story('the server says that it can block and take reports', async ({ client, domain }) => {
  const juliet = await client('juliet', 'balcony')
  const info = await juliet.asks('get', `<query xmlns='http://jabber.org/protocol/disco#info'/>`, domain)
  for (const feature of [NS, 'urn:xmpp:reporting:1']) assert.ok(write(info).includes(`<feature var='${feature}'/>`))
})

story('who is blocked sees the account go, hears nothing more of it, and sees it come back', async ({ client }) => {
  const romeo = await client('romeo', 'garden', hears)
  const juliet = await client('juliet', 'balcony', hears)
  for (const c of [romeo, juliet]) await c.isAvailable()
  await befriend(romeo, juliet)
  await juliet.receives(`<presence from='${romeo.jid}' to='{any}'/>`)

  await does(juliet, block(romeo.bare))
  await romeo.receives(`<presence type='unavailable' from='${juliet.jid}' to='${romeo.bare}'/>`)
  await juliet.sends(`<presence><show>away</show></presence>`)
  await juliet.receives(`<presence from='${juliet.jid}' to='${juliet.bare}'><show>away</show></presence>`)
  await romeo.sends(`<presence><status>hello?</status></presence>`)
  await romeo.receives(`<presence from='${romeo.jid}' to='${romeo.bare}'><status>hello?</status></presence>`)
  await romeo.receivesNothing({ shut: [juliet] })
  await juliet.receivesNothing({ shut: [romeo] })
  // A device that comes later is told of nobody who blocks, and nobody who is blocked.
  const phone = await client('romeo', 'phone', hears)
  await phone.sends('<presence/>')
  await phone.receivesAnyOrder(
    `<presence from='${phone.jid}' to='${romeo.bare}'/>`,
    `<presence from='${romeo.jid}' to='${phone.jid}'><status>hello?</status></presence>`,
    `<presence type='unavailable' from='${juliet.bare}' to='${phone.jid}'>{...}</presence>`,
  )
  await romeo.receives(`<presence from='${phone.jid}' to='${romeo.bare}'/>`)
  await juliet.receivesNothing({ shut: [romeo, phone] })
  const tablet = await client('juliet', 'tablet', hears)
  await tablet.sends('<presence/>')
  await tablet.receivesAnyOrder(
    `<presence from='${tablet.jid}' to='${juliet.bare}'/>`,
    `<presence from='${juliet.jid}' to='${tablet.jid}'><show>away</show></presence>`,
  )
  await juliet.receives(`<presence from='${tablet.jid}' to='${juliet.bare}'/>`)
  await romeo.receivesNothing({ shut: [juliet, tablet] })

  await does(tablet, unblock())
  for (const device of [romeo, phone])
    await device.receivesAnyOrder(
      `<presence from='${juliet.jid}' to='${romeo.bare}'><show>away</show></presence>`,
      `<presence from='${tablet.jid}' to='${romeo.bare}'/>`,
    )
  await romeo.sends(`<message to='${tablet.jid}' type='chat' id='m'><body>at last</body></message>`)
  await tablet.receives(
    `<message from='${romeo.jid}' to='${tablet.jid}' type='chat' id='m'><body>at last</body></message>`,
  )
  await romeo.receivesNothing()
})

story('a request of somebody blocked does not reach the account, nor does its end', async ({ client }) => {
  const romeo = await client('romeo', 'garden', hears)
  const juliet = await client('juliet', 'balcony', hears)
  await juliet.isAvailable()
  await does(juliet, block(romeo.bare))
  for (const type of ['subscribe', 'unsubscribe', 'subscribed', 'unsubscribed', 'probe', 'unavailable'])
    await romeo.sends(`<presence to='${juliet.bare}' type='${type}'/>`)
  await romeo.sends(`<presence to='${juliet.jid}'/>`)
  await juliet.receivesNothing({ shut: [romeo] })
  await romeo.receivesNothing({ shut: [juliet] })
  await does(juliet, unblock(romeo.bare))
  await juliet.receivesNothing()
  await romeo.receivesNothing()
})

story('to a blocked address nothing leaves, by any form of it', async ({ client }) => {
  const romeo = await client('romeo', 'garden')
  const juliet = await client('juliet', 'balcony', hears)
  const phone = await client('juliet', 'phone')
  await romeo.isAvailable()
  for (const listed of [romeo.jid, romeo.bare, romeo.domain]) {
    await does(phone, block(listed))
    if (listed !== romeo.jid) await juliet.receives(push(juliet, block(listed)))
    // Another device, which may be on another server: it knows when it has been told.
    await juliet.asks('get', LIST)
    for (const to of listed === romeo.jid ? [romeo.jid] : [romeo.jid, romeo.bare]) {
      await juliet.sends(`<message to='${to}' type='chat' id='m'><body>?</body></message>`)
      await juliet.receives(refused('message', to, juliet, 'm'))
      await juliet.sends(`<iq to='${to}' type='get' id='q'><ping xmlns='urn:xmpp:ping'/></iq>`)
      await juliet.receives(refused('iq', to, juliet, 'q'))
      await juliet.sends(`<presence to='${to}' id='p'/>`)
      await juliet.receives(refused('presence', to, juliet, 'p'))
      await juliet.sends(`<presence to='${to}' type='subscribe' id='s'/>`)
      const answer = await juliet.receivesAny()
      assert.equal(answer.attrs.type, 'error')
      // What may not be answered with an error is not sent either.
      await juliet.sends(`<iq to='${to}' type='result' id='r'/>`)
      await juliet.sends(`<message to='${to}' type='error' id='e'><error type='cancel'/></message>`)
    }
    await romeo.receivesNothing({ shut: [juliet, phone] })
    await juliet.receivesNothing({ shut: [romeo] })
    await does(phone, unblock())
    await juliet.receives(push(juliet, unblock()))
  }
})

story('one device of a contact may be blocked; the others are not', async ({ client }) => {
  const garden = await client('romeo', 'garden')
  const phone = await client('romeo', 'phone')
  const juliet = await client('juliet', 'balcony')
  for (const c of [garden, phone, juliet]) await c.isAvailable()
  await does(juliet, block(garden.jid))
  await garden.sends(`<message to='${juliet.bare}' type='chat' id='m1'><body>?</body></message>`)
  await garden.receives(
    bounce('message', { from: juliet.bare, to: garden.jid, id: 'm1' }, 'cancel', 'service-unavailable'),
  )
  await phone.sends(`<message to='${juliet.bare}' type='chat' id='m2'><body>!</body></message>`)
  await juliet.receives(`<message from='${phone.jid}' to='${juliet.bare}' type='chat' id='m2'><body>!</body></message>`)
  await juliet.receivesNothing({ shut: [garden] })
})

story('neither one’s own devices nor one’s server can be shut out', async ({ client, domain }) => {
  const phone = await client('juliet', 'phone')
  const laptop = await client('juliet', 'laptop')
  for (const c of [phone, laptop]) await c.isAvailable()
  await does(phone, block(phone.bare, laptop.jid, domain))
  await laptop.sends(`<message to='${phone.jid}' type='chat' id='m'><body>note</body></message>`)
  await phone.receives(`<message from='${laptop.jid}' to='${phone.jid}' type='chat' id='m'><body>note</body></message>`)
  assert.equal((await phone.asks('get', `<ping xmlns='urn:xmpp:ping'/>`, domain)).attrs.type, 'result')
  const stranger = await client('nurse', 'kitchen')
  await stranger.sends(`<message to='${phone.bare}' type='chat' id='m'><body>?</body></message>`)
  await stranger.receives(
    bounce('message', { from: phone.bare, to: stranger.jid, id: 'm' }, 'cancel', 'service-unavailable'),
  )
})

const BODY = '<body>?</body>'
const E2E = `<e2e xmlns='urn:ietf:params:xml:ns:xmpp-e2e'>x</e2e>`
const CONTENTS = [
  BODY,
  '',
  '<subject>s</subject>',
  `<composing xmlns='http://jabber.org/protocol/chatstates'/>`,
  `<received xmlns='urn:xmpp:receipts' id='x'/>`,
  `<request xmlns='urn:xmpp:receipts'/>`,
  `${BODY}<received xmlns='urn:xmpp:receipts' id='x'/>`,
  `${BODY}<no-store xmlns='urn:xmpp:hints'/>`,
  `${BODY}<no-permanent-store xmlns='urn:xmpp:hints'/>`,
  `${BODY}<no-copy xmlns='urn:xmpp:hints'/>`,
  `<store xmlns='urn:xmpp:hints'/>`,
  E2E,
  `<x xmlns='urn:example:other'/>`,
  `<active xmlns='http://jabber.org/protocol/chatstates'/><x xmlns='urn:example:other'/>`,
]
for (const policy of ['first-come', 'exclusive', 'every-device'] as const)
  story(
    `what waits is not delivered once its sender is blocked: ${policy}`,
    async ({ client }) => {
      const romeo = await client('romeo', 'garden')
      const nurse = await client('nurse', 'hall')
      const phone = await client('juliet', 'phone')
      const says = async (from: XmppClient, to: string, id: string): Promise<void> => {
        await from.sends(`<message to='${to}' type='chat' id='${id}'><body>${id}</body></message>`)
        await from.receivesNothing()
      }
      await says(romeo, phone.bare, 'm1')
      await says(nurse, phone.bare, 'm2')
      await says(romeo, phone.bare, 'm3')
      await does(phone, block(romeo.bare))
      await phone.isAvailable()
      assert.equal((await phone.receivesAny()).attrs.id, 'm2')
      await phone.receivesNothing({ shut: [romeo] })
      const archive = (await readArchive(phone)).map(({ body }) => body)
      // Two senders on two nodes: their order is that of the commits.
      assert.deepEqual(archive.sort(), ['m1', 'm2', 'm3'])
      await does(phone, unblock(romeo.bare))
      await says(romeo, phone.bare, 'm4')
      assert.equal((await phone.receivesAny()).attrs.id, 'm4')
      await phone.receivesNothing()
      if (policy !== 'first-come') return
      // Nobody has taken it: whoever comes when the block is over is given it.
      const laptop = await client('juliet', 'laptop')
      await laptop.isAvailable()
      for (const id of ['m1', 'm3']) assert.equal((await laptop.receivesAny()).attrs.id, id)
    },
    { config: { inbox: { delivery: policy } } },
  )

/** Holds all commits up; `go` lets them on. */
function holdsCommits({ stores: { inbox } }: Story): { readonly held: () => boolean; readonly go: () => void } {
  const commit = inbox.commit.bind(inbox)
  const { promise, resolve } = Promise.withResolvers<void>()
  let isHeld = false
  inbox.commit = async (batch) => {
    isHeld ||= batch.entries.length > 0
    await promise
    return commit(batch)
  }
  return {
    held: () => isHeld,
    go: () => {
      inbox.commit = commit
      resolve()
    },
  }
}
story(
  'what is being saved when its sender is blocked, and what waits behind it, does not come either',
  async (told) => {
    const romeo = await told.client('romeo', 'garden')
    const phone = await told.client('juliet', 'phone')
    const tablet = await told.client('juliet', 'tablet')
    await phone.isAvailable()
    await does(tablet, `<enable xmlns='urn:xmpp:carbons:2'/>`)
    await phone.receivesNothing()
    const commits = holdsCommits(told)
    try {
      await romeo.sends(
        `<message to='${phone.bare}' type='chat' id='m1'><body>m1</body></message>` +
          `<message to='${phone.bare}' type='chat' id='m2'><body>m2</body><no-store xmlns='urn:xmpp:hints'/></message>` +
          `<iq to='${phone.jid}' type='get' id='q'><query xmlns='urn:example:other'/></iq>`,
      )
      while (!commits.held()) await romeo.asks('get', `<ping xmlns='urn:xmpp:ping'/>`)
      await does(phone, block(romeo.bare))
    } finally {
      commits.go()
    }
    await romeo.receives(bounce('iq', { id: 'q', from: phone.jid, to: romeo.jid }, 'cancel', 'service-unavailable'))
    for (const device of [phone, tablet]) await device.receivesNothing({ shut: [romeo] })
    await does(phone, unblock(romeo.bare))
    // It waits as what came before the block.
    const laptop = await told.client('juliet', 'laptop')
    await laptop.isAvailable()
    assert.equal((await laptop.receivesAny()).attrs.id, 'm1')
    await laptop.receivesNothing()
  },
)

const QUERIES = [
  `<ping xmlns='urn:xmpp:ping'/>`,
  `<query xmlns='http://jabber.org/protocol/disco#info'/>`,
  `<query xmlns='http://jabber.org/protocol/disco#items'/>`,
  `<query xmlns='jabber:iq:version'/>`,
  `<query xmlns='jabber:iq:roster'/>`,
  `<query xmlns='jabber:iq:last'/>`,
  `<query xmlns='jabber:iq:private'><x xmlns='urn:example'/></query>`,
  `<vCard xmlns='vcard-temp'/>`,
  `<pubkey xmlns='urn:xmpp:pubkey:2'/>`,
  LIST,
  `<x xmlns='urn:example:other'/>`,
]

/** Everything one could send to find out whether somebody is there, with a place for the address. */
function* probes(): Generator<string> {
  for (const slash of ['', '/balcony', '/gone']) {
    for (const type of ['chat', 'normal', 'headline', 'groupchat', 'error'])
      for (const content of CONTENTS) yield `<message to='TO${slash}' type='${type}' id='x'>${content}</message>`
    for (const type of ['get', 'set', 'result', 'error'])
      for (const query of QUERIES) yield `<iq to='TO${slash}' type='${type}' id='x'>${query}</iq>`
    for (const type of ['', 'unavailable', 'probe', 'error'])
      yield `<presence to='TO${slash}'${type === '' ? '' : ` type='${type}'`} id='x'/>`
  }
}

story('who is blocked is answered as if there were no such account', async ({ client, stranger, domain }) => {
  const juliet = await client('juliet', 'balcony', hears)
  const romeo = await client('romeo', 'garden', hears)
  for (const c of [romeo, juliet]) await c.isAvailable()
  // A subscriber, who would be told more than others.
  await befriend(romeo, juliet)
  await juliet.receives(`<presence from='${romeo.jid}' to='{any}'/>`)
  await does(juliet, block(romeo.bare))
  await romeo.receives(`<presence type='unavailable' from='${juliet.jid}' to='${romeo.bare}'/>`)
  const nobody = stranger('nobody')
  /** All that comes back for one stanza: until a request is answered, then a later one to the same address, and one to the server. */
  async function heard(probe: string, address: string): Promise<string[]> {
    await romeo.sends(probe.replace('TO', address))
    const all: string[] = []
    // What spends from a budget is answered when that is written.
    for (let owed = /^<iq .*?type='[gs]et'/.test(probe); owed; ) {
      const e = await romeo.receivesAny()
      owed = e.attrs.id !== 'x'
      all.push(write(e).replaceAll(address, 'TO'))
    }
    for (const last of [`${address}/never`, domain]) {
      await romeo.sends(`<iq type='get' id='done' to='${last}'><ping xmlns='urn:xmpp:ping'/></iq>`)
      for (;;) {
        const e = await romeo.receivesAny()
        if (e.attrs.id === 'done') break
        all.push(write(e).replaceAll(address, 'TO'))
      }
    }
    return all
  }
  let answers = 0
  for (const probe of probes()) {
    const blocked = await heard(probe, juliet.bare)
    answers += blocked.length
    assert.deepEqual(blocked, await heard(probe, nobody), probe)
  }
  assert.ok(answers > 100, `${answers} answers`)
  await juliet.receivesNothing({ shut: [romeo] })
  await romeo.receivesNothing({ shut: [juliet] })
})

story(
  'a list that is full takes nothing more',
  async ({ client }) => {
    const juliet = await client('juliet', 'balcony')
    await does(juliet, block('a.example', 'b.example'))
    const answer = await juliet.asks('set', block('b.example', 'c.example'))
    assert.match(write(answer), /resource-constraint.*The block list is full\./)
    await does(juliet, unblock('a.example'))
    await does(juliet, block('c.example'))
  },
  { config: { features: { blocking: { max_items: 2 } } } },
)

story('commands act in the order in which they were sent', async ({ client }) => {
  const juliet = await client('juliet', 'balcony')
  for (let i = 0; i < 20; i++) {
    juliet.connection.write(`<iq type='set' id='b${i}'>${block('a.example')}</iq>`)
    juliet.connection.write(`<iq type='set' id='u${i}'>${unblock('a.example')}</iq>`)
  }
  juliet.connection.write(`<iq type='set' id='last'>${block('z.example')}</iq>`)
  for (;;) if ((await juliet.receivesAny()).attrs.id === 'last') break
  const list = await juliet.asks('get', LIST)
  assert.equal(write(list.children[0] as Element), `<blocklist xmlns='${NS}'>${item('z.example')}</blocklist>`)
})

story('nobody changes or reads the list of another', async ({ client }) => {
  const juliet = await client('juliet', 'balcony')
  const romeo = await client('romeo', 'garden')
  for (const to of [juliet.bare, juliet.domain])
    for (const [type, payload] of [
      ['get', LIST],
      ['set', block('a.example')],
      ['set', unblock()],
    ] as const)
      assert.match(write(await romeo.asks(type, payload, to)), /service-unavailable/)
  assert.equal((await juliet.asks('get', LIST)).children.map((c) => (c as Element).children.length)[0], 0)
})

story('a report is taken with a block', async ({ client, logged }) => {
  const juliet = await client('juliet', 'balcony')
  const before = logged.length
  await does(
    juliet,
    `<block xmlns='${NS}'><item jid='spam@evil.example'><report xmlns='urn:xmpp:reporting:1' reason='urn:xmpp:reporting:spam'>
      <text xml:lang='en'>never came trouble</text></report></item></block>`,
  )
  const lines = logged.slice(before).filter((line) => line.includes('contact reported'))
  assert.equal(lines.length, 1)
  assert.equal(/juliet|evil|trouble/.test(lines.join('')), false, lines[0])
})

story(
  'a server that does not offer blocking says so, and has no lists',
  async ({ client, domain }) => {
    const juliet = await client('juliet', 'balcony')
    const info = await juliet.asks('get', `<query xmlns='http://jabber.org/protocol/disco#info'/>`, domain)
    assert.equal(write(info).includes(NS), false)
    for (const [type, payload] of [
      ['get', LIST],
      ['set', block('a.example')],
    ] as const)
      assert.match(write(await juliet.asks(type, payload)), /service-unavailable/)
  },
  { config: { features: { blocking: false } }, servers: 1 },
)
