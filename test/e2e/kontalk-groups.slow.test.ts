import assert from 'node:assert/strict'
import { ALL } from '../helpers/archive-samples.ts'
import { write } from '../helpers/match-element.ts'
import { bounce, type Story, story } from '../helpers/story.ts'
import type { XmppClient } from '../helpers/xmpp-client.ts'

const NS = 'http://jabber.org/protocol/address'
const GROUP = 'http://kontalk.org/extensions/message#group'
const INFO = 'http://jabber.org/protocol/disco#info'
const BODY = '<body>To the orchard.</body>'
const listOf = (jids: readonly string[], rest = ''): string =>
  `<addresses xmlns='${NS}'>${jids.map((jid) => `<address type='to' jid='${jid}'/>`).join('')}${rest}</addresses>`
const copy = (from: string, to: string, inside = BODY, id = 'g1'): string =>
  `<message from='${from}' to='${to}' type='chat' id='${id}'>${inside}<stanza-id xmlns='urn:xmpp:sid:0' by='${to.split('/')[0]}' id='{any}'/></message>`

/** Three devices that are there. */
async function trio({ client }: Story): Promise<readonly [XmppClient, XmppClient, XmppClient]> {
  const all = [await client('romeo', 'phone'), await client('juliet', 'phone'), await client('nurse', 'phone')] as const
  for (const one of all) await one.isAvailable()
  return all
}

story('quirk 12: what is sent to multicast@ and to the domain itself reaches each member', async (tell) => {
  const [romeo, juliet, nurse] = await trio(tell)
  for (const to of [`multicast@${tell.domain}`, tell.domain]) {
    await romeo.sends(`<message type='chat' to='${to}' id='g1'>${listOf([juliet.bare, nurse.bare])}${BODY}</message>`)
    for (const member of [juliet, nurse]) await member.receives(copy(romeo.jid, member.bare))
    await romeo.receivesNothing()
  }
})

story('flow l: a group is made by one message, whose group element is left as it is', async (tell) => {
  const [romeo, juliet, nurse] = await trio(tell)
  const group =
    `<group xmlns='${GROUP}' id='abc' owner='${romeo.bare}' type='create'><subject>Capulets</subject>` +
    `<member jid='${juliet.bare}'/><member jid='${nurse.bare}'/></group>`
  await romeo.sends(
    `<message type='chat' to='multicast@${tell.domain}' id='g1'>${listOf([juliet.bare, nurse.bare])}${group}${BODY}</message>`,
  )
  for (const member of [juliet, nurse]) await member.receives(copy(romeo.jid, member.bare, group + BODY))
})

story('flow l: members who are away get it when they come', async (tell) => {
  const { client, account } = tell
  const romeo = await client('romeo', 'phone')
  const [juliet, nurse] = [await account('juliet'), await account('nurse')]
  await romeo.enablesAcks()
  await romeo.sends(
    `<message type='chat' to='multicast@${tell.domain}' id='g1'>${listOf([juliet, nurse])}${BODY}</message>`,
  )
  // Counted as received when every copy is safe.
  await romeo.receivesNothing()
  for (const name of ['juliet', 'nurse']) {
    const member = await client(name, 'phone')
    await member.isAvailable()
    const late = await member.receivesAny()
    assert.equal(late.attrs.id, 'g1')
    assert.equal(late.attrs.from, romeo.jid)
    assert.ok(write(late).includes('orchard'))
    assert.ok(!write(late).includes(NS))
  }
})

story(
  'quirk 4: a group message is counted as received once it is safe for every member, whatever became of it',
  async (tell) => {
    const { client, account, stores } = tell
    const romeo = await client('romeo', 'phone')
    const juliet = await client('juliet', 'phone')
    await juliet.isAvailable()
    const away = await Promise.all(Array.from({ length: 20 }, (_, i) => account(`away${i}`)))
    const lady = await account('lady')
    await romeo.asks('set', `<block xmlns='urn:xmpp:blocking'><item jid='${lady}'/></block>`)
    await romeo.enablesAcks()
    const all = [...away, juliet.bare, `${juliet.bare}/gone`, lady, tell.stranger('nobody'), 'abram@other.example']
    await romeo.sends(`<message type='chat' to='${tell.domain}' id='g1'>${listOf(all)}${BODY}</message>`)
    await romeo.sends(`<message type='chat' to='${juliet.bare}' id='m2'>${BODY}</message>`)
    await romeo.isAcknowledged()
    assert.equal(romeo.acknowledged, 2)
    for (const jid of away) {
      const owner = await stores.accounts.find(jid as never)
      assert.equal((await stores.archive.page(owner?.id ?? 0, {}, ALL)).entries.length, 1)
    }
  },
)

story('flow l: each error comes from the member it is about, the others get the message', async (tell) => {
  const [romeo, juliet, nurse] = await trio(tell)
  const lady = await tell.account('lady')
  await juliet.asks('set', `<block xmlns='urn:xmpp:blocking'><item jid='${romeo.bare}'/></block>`)
  await romeo.asks('set', `<block xmlns='urn:xmpp:blocking'><item jid='${lady}'/></block>`)
  const [nobody, far] = [tell.stranger('nobody'), 'abram@other.example']
  await romeo.sends(
    `<message type='chat' to='${tell.domain}' id='g1'>${listOf([far, nobody, juliet.bare, lady, nurse.bare])}${BODY}</message>`,
  )
  const error = (from: string, type: string, condition: string) =>
    bounce('message', { id: 'g1', from, to: romeo.jid }, type, condition)
  await romeo.receivesAnyOrder(
    error(far, 'cancel', 'remote-server-not-found'),
    error(nobody, 'cancel', 'service-unavailable'),
    error(juliet.bare, 'cancel', 'service-unavailable'),
    error(lady, 'cancel', 'not-acceptable'),
  )
  await nurse.receives(copy(romeo.jid, nurse.bare))
  await juliet.receivesNothing({ shut: [romeo] })
})

story('the list goes along where it says more than who gets it, without those in bcc', async (tell) => {
  const [romeo, juliet, nurse] = await trio(tell)
  await romeo.sends(
    `<message type='chat' to='${tell.domain}' id='g1'><addresses xmlns='${NS}'>
       <address type='to' jid='${juliet.bare}' desc='J'/><address type='bcc' jid='${nurse.bare}'/>
       <address type='replyto' jid='friar@cell.example'/><address type='noreply'/>
     </addresses>${BODY}</message>`,
  )
  const shown =
    `<address type='to' jid='${juliet.bare}' desc='J' delivered='true'/>` +
    `<address type='replyto' jid='friar@cell.example'/><address type='noreply'/>`
  const list = (more: string) => `<addresses xmlns='${NS}'>${shown}${more}</addresses>${BODY}`
  await juliet.receives(copy(romeo.jid, juliet.bare, list('')))
  await nurse.receives(copy(romeo.jid, nurse.bare, list(`<address type='bcc' jid='${nurse.bare}'/>`)))
})

story('who is named twice gets it once; whom somebody has served already, not at all', async (tell) => {
  const [romeo, juliet, nurse] = await trio(tell)
  await romeo.sends(
    `<message type='chat' to='${tell.domain}' id='g1'>${listOf(
      [juliet.bare, juliet.bare.toUpperCase()],
      `<address type='to' jid='${nurse.bare}' delivered='true'/>`,
    )}${BODY}</message>`,
  )
  await juliet.receives(copy(romeo.jid, juliet.bare))
  await juliet.receivesNothing()
  await nurse.receivesNothing()
})

story('amplification: no list leads back to the service, none is too long, none too heavy', async (tell) => {
  const [romeo, juliet] = await trio(tell)
  const to = `multicast@${tell.domain}`
  const refused = async (inside: string, type: string, condition: string): Promise<void> => {
    await romeo.sends(`<message type='chat' to='${to}' id='g1'>${inside}${BODY}</message>`)
    await romeo.receives(bounce('message', { id: 'g1', from: to, to: romeo.jid }, type, condition))
  }
  for (const nested of [to, tell.domain, `${tell.domain}/x`, `network@${tell.domain}`])
    await refused(listOf([juliet.bare, nested]), 'cancel', 'not-allowed')
  const many = Array.from({ length: 101 }, (_, i) => tell.stranger(`n${i}`))
  await refused(listOf([juliet.bare, ...many.slice(1)]), 'modify', 'not-acceptable')
  const heavy = `<x xmlns='urn:example'>${'x'.repeat(100_000)}</x>`
  await refused(listOf([juliet.bare, ...many.slice(2)]) + heavy, 'modify', 'not-acceptable')
  await refused(listOf([juliet.bare]) + listOf([juliet.bare]), 'modify', 'bad-request')
  await refused(listOf([]), 'modify', 'bad-request')
  await refused(listOf([], `<address type='noreply'/>`), 'modify', 'bad-request')
  await refused(listOf([juliet.bare, '@']), 'modify', 'jid-malformed')
  await refused(listOf([juliet.bare], `<address type='to'/>`), 'modify', 'jid-malformed')
  await refused(listOf([juliet.bare], `<address type='to' uri='sip:a@b.example'/>`), 'modify', 'jid-malformed')
  await refused(listOf([juliet.bare], `<address type='x' jid='${romeo.bare}'/>`), 'modify', 'bad-request')
  await juliet.receivesNothing()
  // A list as long as may be, of whom one is there.
  await romeo.sends(
    `<message type='headline' to='${to}' id='g2'>${listOf([juliet.bare, ...many.slice(2)])}${BODY}</message>`,
  )
  await juliet.receives(`<message from='${romeo.jid}' to='${juliet.bare}' type='headline' id='g2'>${BODY}</message>`)
})

story('spoofing: a message to many says who sent it, whatever it claims', async (tell) => {
  const [romeo, juliet, nurse] = await trio(tell)
  const to = `multicast@${tell.domain}`
  // What only a room may say of a sender.
  await romeo.sends(
    `<message type='chat' to='${to}' id='g1'>${listOf([juliet.bare], `<address type='ofrom' jid='${nurse.jid}'/>`)}${BODY}</message>`,
  )
  await romeo.receives(bounce('message', { id: 'g1', from: to, to: romeo.jid }, 'modify', 'bad-request'))
  await romeo.sends(
    `<message type='chat' from='${romeo.bare}' to='${to}' id='g2'>${listOf([juliet.bare])}${BODY}</message>`,
  )
  await juliet.receives(copy(romeo.jid, juliet.bare, BODY, 'g2'))
  await romeo.sends(
    `<message type='chat' from='${nurse.jid}' to='${to}' id='g3'>${listOf([juliet.bare])}${BODY}</message>`,
  )
  assert.match(write(await romeo.receivesAny()), /<invalid-from /)
  await juliet.receivesNothing()
})

story('answers, errors and presence to the service are spread to nobody', async (tell) => {
  const [romeo, juliet] = await trio(tell)
  for (const to of [`multicast@${tell.domain}`, tell.domain]) {
    await romeo.sends(`<message type='error' to='${to}' id='g1'>${listOf([juliet.bare])}${BODY}</message>`)
    await romeo.sends(`<presence to='${to}'>${listOf([juliet.bare])}</presence>`)
    for (const [type, at] of [
      ['groupchat', to],
      ['chat', `${to}/x`],
    ]) {
      await romeo.sends(`<message type='${type}' to='${at}' id='g1'>${listOf([juliet.bare])}${BODY}</message>`)
      await romeo.receives(
        bounce('message', { id: 'g1', from: at as string, to: romeo.jid }, 'cancel', 'service-unavailable'),
      )
    }
  }
  await juliet.receivesNothing()
})

story('the domain and its service say that they do it', async ({ client, domain }) => {
  const romeo = await client('romeo', 'phone')
  for (const to of [domain, `multicast@${domain}`])
    assert.ok(write(await romeo.asks('get', `<query xmlns='${INFO}'/>`, to)).includes(`<feature var='${NS}'/>`), to)
})

story(
  'switched off, it is neither announced nor done',
  async ({ client, domain }) => {
    const romeo = await client('romeo', 'phone')
    assert.ok(!write(await romeo.asks('get', `<query xmlns='${INFO}'/>`, domain)).includes(NS))
    await romeo.sends(`<message to='${domain}' id='g1'>${listOf([romeo.bare])}${BODY}</message>`)
    await romeo.receives(bounce('message', { id: 'g1', from: domain, to: romeo.jid }, 'cancel', 'service-unavailable'))
  },
  { servers: 1, config: { features: { multicast: false } } },
)
