import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { bounce, story } from '../helpers/story.ts'

story(
  'an unknown request gets service-unavailable from whomever it was for',
  async ({ client, account, stranger, domain }) => {
    const romeo = await client('romeo', 'garden')
    const juliet = await client('juliet', 'balcony')
    const payload = `<query xmlns='urn:example:unknown'/>`
    for (const to of [
      domain,
      romeo.bare,
      juliet.bare,
      await account('tybalt'),
      stranger('nobody'),
      `${juliet.bare}/gone`,
      `${stranger('nobody')}/x`,
    ]) {
      for (const type of ['get', 'set']) {
        await romeo.sends(`<iq type='${type}' id='q' to='${to}'>${payload}</iq>`)
        await romeo.receives(bounce('iq', { from: to, to: romeo.jid, id: 'q' }, 'cancel', 'service-unavailable'))
      }
    }
    await romeo.sends(`<iq type='get' id='q'>${payload}</iq>`)
    await romeo.receives(bounce('iq', { from: '{any}', to: romeo.jid, id: 'q' }, 'cancel', 'service-unavailable'))
    await juliet.receivesNothing()
  },
)

story('a result or error for nobody is dropped', async ({ client, stranger, domain }) => {
  const romeo = await client('romeo', 'garden')
  for (const to of [domain, stranger('nobody'), `${romeo.bare}/gone`]) {
    await romeo.sends(`<iq type='result' id='r' to='${to}'/>`)
    await romeo.sends(
      `<iq type='error' id='e' to='${to}'><error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>`,
    )
  }
  await romeo.receivesNothing()
})

story('faulty requests get bad-request', async ({ client, domain }) => {
  const romeo = await client('romeo', 'garden')
  for (const xml of [
    `<iq type='get' id='b' to='${domain}'/>`,
    `<iq type='get' id='b' to='${domain}'><a xmlns='urn:a'/><b xmlns='urn:b'/></iq>`,
    `<iq type='fetch' id='b' to='${domain}'><a xmlns='urn:a'/></iq>`,
    `<iq id='b' to='${domain}'><a xmlns='urn:a'/></iq>`,
    `<iq type='get' to='${domain}'><a xmlns='urn:a'/></iq>`,
  ]) {
    await romeo.sends(xml)
    const answer = await romeo.receivesAny()
    assert.equal(answer.attrs.type, 'error', xml)
    assert.match(JSON.stringify(answer), /bad-request/, xml)
  }
  await romeo.receivesNothing()
})

story('a request between two devices reaches the other and its answer comes back', async ({ client }) => {
  const romeo = await client('romeo', 'garden')
  const juliet = await client('juliet', 'balcony')
  await romeo.sends(`<iq type='get' id='v' to='${juliet.jid}'><query xmlns='jabber:iq:version'/></iq>`)
  await juliet.receives(
    `<iq type='get' id='v' from='${romeo.jid}' to='${juliet.jid}'><query xmlns='jabber:iq:version'/></iq>`,
  )
  await juliet.sends(
    `<iq type='result' id='v' to='${romeo.jid}'><query xmlns='jabber:iq:version'><name>Test</name></query></iq>`,
  )
  await romeo.receives(
    `<iq type='result' id='v' from='${juliet.jid}' to='${romeo.jid}'><query xmlns='jabber:iq:version'><name>Test</name></query></iq>`,
  )
})

story('XEP-0199: the server and the own account answer pings', async ({ client, domain }) => {
  const romeo = await client('romeo', 'garden')
  const ping = `<ping xmlns='urn:xmpp:ping'/>`
  await romeo.sends(`<iq type='get' id='p1' to='${domain}'>${ping}</iq>`)
  await romeo.receives(`<iq type='result' id='p1' from='${domain}' to='${romeo.jid}'/>`)
  await romeo.sends(`<iq type='get' id='p2' to='${romeo.bare}'>${ping}</iq>`)
  await romeo.receives(`<iq type='result' id='p2' from='${romeo.bare}' to='${romeo.jid}'/>`)
  await romeo.sends(`<iq type='get' id='p3'>${ping}</iq>`)
  await romeo.receives(`<iq type='result' id='p3' from='{any}' to='${romeo.jid}'/>`)
})

story('XEP-0092: the server names itself', async ({ client, domain }) => {
  const romeo = await client('romeo', 'garden')
  await romeo.sends(`<iq type='get' id='v' to='${domain}'><query xmlns='jabber:iq:version'/></iq>`)
  await romeo.receives(
    `<iq type='result' id='v' from='${domain}' to='${romeo.jid}'><query xmlns='jabber:iq:version'>{...}<name>Fernruf</name></query></iq>`,
  )
})

story('XEP-0030: the server says what it can, and nothing that it cannot', async ({ client, domain }) => {
  const romeo = await client('romeo', 'garden')
  const info = `http://jabber.org/protocol/disco#info`
  await romeo.sends(`<iq type='get' id='d' to='${domain}'><query xmlns='${info}'/></iq>`)
  const answer = await romeo.receives(
    `<iq type='result' id='d' from='${domain}' to='${romeo.jid}'><query xmlns='${info}'>{...}
       <identity category='server' type='im' name='{any}'/>
       <feature var='${info}'/><feature var='http://jabber.org/protocol/disco#items'/>
       <feature var='urn:xmpp:ping'/><feature var='jabber:iq:version'/><feature var='msgoffline'/>
       <feature var='urn:xmpp:carbons:2'/><feature var='urn:xmpp:sid:0'/><feature var='http://jabber.org/protocol/commands'/>
     </query></iq>`,
  )
  const text = JSON.stringify(answer)
  assert.ok(!text.includes('urn:xmpp:mam:2'), 'accounts have archives, their domain has none')
  await romeo.sends(`<iq type='get' id='i' to='${domain}'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>`)
  const items = await romeo.receivesAny()
  assert.equal(items.attrs.type, 'result')
  await romeo.sends(
    `<iq type='get' id='n' to='${domain}'><query xmlns='${info}' node='urn:example:no-such-node'/></iq>`,
  )
  await romeo.receives(bounce('iq', { from: domain, to: romeo.jid, id: 'n' }, 'cancel', 'item-not-found'))
})

story('XEP-0030: an account shows itself to its owner and its contacts only', async ({ client, stranger }) => {
  const romeo = await client('romeo', 'garden')
  const tybalt = await client('tybalt', 'street')
  const query = `<query xmlns='http://jabber.org/protocol/disco#info'/>`
  await romeo.sends(`<iq type='get' id='d' to='${romeo.bare}'>${query}</iq>`)
  await romeo.receives(
    `<iq type='result' id='d' from='${romeo.bare}' to='${romeo.jid}'><query xmlns='http://jabber.org/protocol/disco#info'>{...}<identity category='account' type='registered'/></query></iq>`,
  )
  for (const to of [romeo.bare, stranger('nobody')]) {
    await tybalt.sends(`<iq type='get' id='d' to='${to}'>${query}</iq>`)
    await tybalt.receives(bounce('iq', { from: to, to: tybalt.jid, id: 'd' }, 'cancel', 'service-unavailable'))
  }
})

story('XEP-0115: the hash in the stream features is that of the disco answer', async ({ client, device, domain }) => {
  const romeo = await device('romeo', 'garden')
  const features = await romeo.authenticates()
  const caps = features.children.find((c) => typeof c !== 'string' && c.name === 'c')
  assert.ok(typeof caps === 'object')
  assert.equal(caps.attrs.hash, 'sha-1')
  romeo.drops()
  const phone = await client('romeo', 'phone')
  const node = `${caps.attrs.node}#${caps.attrs.ver}`
  const answer = await phone.asks(
    'get',
    `<query xmlns='http://jabber.org/protocol/disco#info' node='${node}'/>`,
    domain,
  )
  assert.equal(answer.attrs.type, 'result')

  const [query] = answer.children
  assert.ok(typeof query === 'object')
  const parts = query.children.filter((c) => typeof c !== 'string')
  const identities = parts
    .filter((c) => c.name === 'identity')
    .map((c) => `${c.attrs.category}/${c.attrs.type}/${c.attrs['xml:lang'] ?? ''}/${c.attrs.name ?? ''}<`)
  // §5.1: sorted first, then divided: `a` comes before `a#b`.
  const vars = parts
    .filter((c) => c.name === 'feature')
    .map((c) => c.attrs.var ?? '')
    .toSorted()
    .map((name) => `${name}<`)
  if (!parts.some((c) => c.name === 'x')) {
    const text = identities.toSorted().join('') + vars.join('')
    assert.equal(createHash('sha1').update(text).digest('base64'), caps.attrs.ver)
  }
})
