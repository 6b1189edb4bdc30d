import assert from 'node:assert/strict'
import type { Element } from '../../src/xmpp/element.ts'
import { write } from '../helpers/match-element.ts'
import { bounce, story } from '../helpers/story.ts'
import type { XmppClient } from '../helpers/xmpp-client.ts'

const NS_ROSTER = 'jabber:iq:roster'
/** Every item has a name: Kontalk's store has no room for one without. */
const push = (client: XmppClient, item: string): string =>
  `<iq type='set' id='{any}' from='${client.bare}' to='${client.jid}'><query xmlns='${NS_ROSTER}' ver='{any}'>${item}</query></iq>`

/** Receives a roster push and answers it. */
async function hearsPush(client: XmppClient, item: string): Promise<void> {
  const iq = await client.receives(push(client, item))
  await client.sends(`<iq type='result' id='${iq.attrs.id}'/>`)
}
/** Fetches the roster, which makes the device interested in pushes. */
async function roster(client: XmppClient): Promise<Element[]> {
  const answer = await client.asks('get', `<query xmlns='${NS_ROSTER}'/>`)
  const [query] = answer.children
  assert.ok(typeof query === 'object')
  return query.children.filter((c): c is Element => typeof c !== 'string')
}

story('an item is set, pushed to every interested device, changed and removed', async ({ client, account }) => {
  const juliet = await account('juliet')
  const phone = await client('romeo', 'phone')
  const laptop = await client('romeo', 'laptop')
  const uninterested = await client('romeo', 'tablet')
  assert.deepEqual(await roster(phone), [])
  await roster(laptop)
  const set = (item: string): string => `<iq type='set' id='s'><query xmlns='${NS_ROSTER}'>${item}</query></iq>`
  await phone.sends(set(`<item jid='${juliet}' name='Juliet'><group>Friends</group></item>`))
  const item = `<item jid='${juliet}' name='Juliet' subscription='none'><group>Friends</group></item>`
  const heard = new Set<string>()
  for (let i = 0; i < 2; i++) heard.add((await phone.receivesAny()).attrs.type ?? '')
  assert.deepEqual([...heard].toSorted(), ['result', 'set'])
  await hearsPush(laptop, item)
  await uninterested.receivesNothing()
  await laptop.sends(set(`<item jid='${juliet}' name='J'/>`))
  await hearsPush(phone, `<item jid='${juliet}' name='J' subscription='none'/>`)
  for (let i = 0; i < 2; i++) await laptop.receivesAny()
  assert.equal((await roster(phone)).length, 1)
  await laptop.sends(set(`<item jid='${juliet}' subscription='remove'/>`))
  await hearsPush(phone, `<item jid='${juliet}' subscription='remove'/>`)
  assert.deepEqual(await roster(phone), [])
})

story('a roster version spares the roster, or brings only what changed', async ({ client, account }) => {
  const phone = await client('romeo', 'phone')
  await phone.asks('set', `<query xmlns='${NS_ROSTER}'><item jid='${await account('juliet')}'/></query>`)
  const whole = await phone.asks('get', `<query xmlns='${NS_ROSTER}' ver=''/>`)
  const [query] = whole.children
  assert.ok(typeof query === 'object')
  const version = query.attrs.ver
  assert.ok(version !== undefined && version !== '')
  const same = await phone.asks('get', `<query xmlns='${NS_ROSTER}' ver='${version}'/>`)
  assert.equal(same.attrs.type, 'result')
  assert.deepEqual(same.children, [])
  const laptop = await client('romeo', 'laptop')
  const unknown = await laptop.asks('get', `<query xmlns='${NS_ROSTER}' ver='never-given'/>`)
  assert.ok(typeof unknown.children[0] === 'object')
})

story('faulty roster sets are refused and change nothing', async ({ client, account }) => {
  const romeo = await client('romeo', 'phone')
  const juliet = await account('juliet')
  const cases: readonly (readonly [string, string])[] = [
    [`<item/>`, 'bad-request'],
    [`<item jid='${juliet}'/><item jid='${juliet}2'/>`, 'bad-request'],
    ['', 'bad-request'],
    [`<item jid='@'/>`, 'jid-malformed|bad-request'],
    [`<item jid='${juliet}' subscription='remove'/>`, 'item-not-found'],
    [`<item jid='${juliet}' name='${'x'.repeat(1024)}'/>`, 'not-acceptable'],
    [`<item jid='${juliet}'><group/></item>`, 'not-acceptable'],
    [`<item jid='${juliet}'><group>a</group><group>a</group></item>`, 'bad-request'],
  ]
  for (const [items, condition] of cases) {
    const answer = await romeo.asks('set', `<query xmlns='${NS_ROSTER}'>${items}</query>`)
    assert.equal(answer.attrs.type, 'error', items)
    assert.match(JSON.stringify(answer), new RegExp(condition), items)
  }
  assert.deepEqual(await roster(romeo), [])
})

story('nobody else may read or set a roster', async ({ client, stranger }) => {
  const romeo = await client('romeo', 'phone')
  const tybalt = await client('tybalt', 'street')
  for (const to of [romeo.bare, stranger('nobody')]) {
    for (const [type, error] of [
      ['get', `<error type='cancel'><service-unavailable `],
      // §2.1.5: «return a <forbidden/> error».
      ['set', `<error type='auth'><forbidden `],
    ] as const) {
      const answer = await tybalt.asks(type, `<query xmlns='${NS_ROSTER}'><item jid='x@localhost'/></query>`, to)
      assert.equal(answer.attrs.type, 'error')
      assert.ok(write(answer).includes(error), write(answer))
    }
  }
  assert.deepEqual(await roster(romeo), [])
})

story('a roster push from a stranger does not reach a device', async ({ client }) => {
  const romeo = await client('romeo', 'phone')
  const tybalt = await client('tybalt', 'street')
  await romeo.isAvailable()
  await tybalt.sends(
    `<iq type='set' id='spoof' to='${romeo.jid}'><query xmlns='${NS_ROSTER}'><item jid='evil@localhost' subscription='both'/></query></iq>`,
  )
  await tybalt.receives(bounce('iq', { from: romeo.jid, to: tybalt.jid, id: 'spoof' }, 'cancel', 'service-unavailable'))
  await romeo.receivesNothing()
})

story('subscriptions: asked for, granted, returned, cancelled', async ({ client }) => {
  const romeo = await client('romeo', 'garden', { hearsPresence: true })
  const juliet = await client('juliet', 'balcony', { hearsPresence: true })
  await roster(romeo)
  await roster(juliet)
  await romeo.isAvailable()
  await juliet.isAvailable()

  await romeo.sends(`<presence to='${juliet.bare}' type='subscribe' id='s1'/>`)
  await hearsPush(romeo, `<item jid='${juliet.bare}' name='{any}' subscription='none' ask='subscribe'/>`)
  await juliet.receives(`<presence from='${romeo.bare}' to='${juliet.bare}' type='subscribe' id='s1'/>`)

  await juliet.sends(`<presence to='${romeo.bare}' type='subscribed'/>`)
  await hearsPush(juliet, `<item jid='${romeo.bare}' name='{any}' subscription='from'/>`)
  await romeo.receivesAnyOrder(
    `<presence from='${juliet.bare}' to='${romeo.bare}' type='subscribed'/>`,
    push(romeo, `<item jid='${juliet.bare}' name='{any}' subscription='to'/>`),
    `<presence from='${juliet.jid}' to='{any}'/>`,
  )
  await juliet.receivesNothing()

  await juliet.sends(`<presence to='${romeo.bare}' type='subscribe'/>`)
  await hearsPush(juliet, `<item jid='${romeo.bare}' name='{any}' subscription='from' ask='subscribe'/>`)
  await romeo.receives(`<presence from='${juliet.bare}' to='${romeo.bare}' type='subscribe'/>`)
  await romeo.sends(`<presence to='${juliet.bare}' type='subscribed'/>`)
  await hearsPush(romeo, `<item jid='${juliet.bare}' name='{any}' subscription='both'/>`)
  await juliet.receivesAnyOrder(
    `<presence from='${romeo.bare}' to='${juliet.bare}' type='subscribed'/>`,
    push(juliet, `<item jid='${romeo.bare}' name='{any}' subscription='both'/>`),
    `<presence from='${romeo.jid}' to='{any}'/>`,
  )

  await romeo.sends(`<presence to='${juliet.bare}' type='unsubscribed'/>`)
  await hearsPush(romeo, `<item jid='${juliet.bare}' name='{any}' subscription='to'/>`)
  await juliet.receivesAnyOrder(
    `<presence from='${romeo.bare}' to='${juliet.bare}' type='unsubscribed'/>`,
    push(juliet, `<item jid='${romeo.bare}' name='{any}' subscription='from'/>`),
    `<presence from='${romeo.jid}' to='{any}' type='unavailable'/>`,
  )
  await romeo.sends(`<presence to='${juliet.bare}' type='unsubscribe'/>`)
  await romeo.receivesAnyOrder(
    push(romeo, `<item jid='${juliet.bare}' name='{any}' subscription='none'/>`),
    `<presence from='${juliet.jid}' to='{any}' type='unavailable'/>`,
  )
  await juliet.receivesAnyOrder(
    `<presence from='${romeo.bare}' to='${juliet.bare}' type='unsubscribe'/>`,
    push(juliet, `<item jid='${romeo.bare}' name='{any}' subscription='none'/>`),
  )
  await romeo.receivesNothing()
  await juliet.receivesNothing()
})

story('a request waits for whoever is away, until it is answered', async ({ client, device }) => {
  const romeo = await client('romeo', 'garden', { hearsPresence: true })
  const juliet = await device('juliet', 'phone', { hearsPresence: true })
  await roster(romeo)
  await romeo.isAvailable()
  await juliet.connects()
  const bare = juliet.bare
  await juliet.disconnects()
  await romeo.sends(`<presence to='${bare}' type='subscribe'><status>It is I</status></presence>`)
  await hearsPush(romeo, `<item jid='${bare}' name='{any}' subscription='none' ask='subscribe'/>`)
  for (let times = 0; times < 2; times++) {
    await juliet.connects()
    await juliet.isAvailable()
    await juliet.receives(
      `<presence from='${romeo.bare}' to='${bare}' type='subscribe'><status>It is I</status></presence>`,
    )
    await juliet.disconnects()
  }
  await juliet.connects()
  await juliet.isAvailable()
  await juliet.receives(
    `<presence from='${romeo.bare}' to='${bare}' type='subscribe'><status>It is I</status></presence>`,
  )
  await juliet.sends(`<presence to='${romeo.bare}' type='unsubscribed'/>`)
  await romeo.receivesAnyOrder(
    `<presence from='${bare}' to='${romeo.bare}' type='unsubscribed'/>`,
    push(romeo, `<item jid='${bare}' name='{any}' subscription='none'/>`),
  )
  await juliet.disconnects()
  await juliet.connects()
  await juliet.isAvailable()
  await juliet.receivesNothing()
})

story('a request to an account that does not exist is dropped in silence', async ({ client, stranger }) => {
  const romeo = await client('romeo', 'garden', { hearsPresence: true })
  await romeo.isAvailable()
  await romeo.sends(`<presence to='${stranger('nobody')}' type='subscribe'/>`)
  await romeo.receivesNothing()
})

story('a removed item ends the subscription both ways', async ({ client }) => {
  const romeo = await client('romeo', 'garden', { hearsPresence: true })
  const juliet = await client('juliet', 'balcony', { hearsPresence: true })
  await befriend(romeo, juliet)
  await romeo.sends(
    `<iq type='set' id='rm'><query xmlns='${NS_ROSTER}'><item jid='${juliet.bare}' subscription='remove'/></query></iq>`,
  )
  await romeo.receivesAnyOrder(
    push(romeo, `<item jid='${juliet.bare}' subscription='remove'/>`),
    `<iq type='result' id='rm' from='${romeo.bare}' to='${romeo.jid}'/>`,
    `<presence from='${juliet.jid}' to='{any}' type='unavailable'/>`,
  )
  await juliet.receivesAnyOrder(
    `<presence from='${romeo.bare}' to='${juliet.bare}' type='unsubscribe'/>`,
    push(juliet, `<item jid='${romeo.bare}' name='{any}' subscription='to'/>`),
    `<presence from='${romeo.bare}' to='${juliet.bare}' type='unsubscribed'/>`,
    push(juliet, `<item jid='${romeo.bare}' name='{any}' subscription='none'/>`),
    `<presence from='${romeo.jid}' to='{any}' type='unavailable'/>`,
  )
  await romeo.receivesNothing()
  await juliet.receivesNothing()
})

/** Both available and interested, both subscribed, everything heard. */
async function befriend(a: XmppClient, b: XmppClient): Promise<void> {
  await roster(a)
  await roster(b)
  await a.isAvailable()
  await b.isAvailable()
  const grants = async (asker: XmppClient, owner: XmppClient, before: string, after: string): Promise<void> => {
    await asker.sends(`<presence to='${owner.bare}' type='subscribe'/>`)
    await hearsPush(asker, `<item jid='${owner.bare}' name='{any}' subscription='${before}' ask='subscribe'/>`)
    await owner.receives(`<presence from='${asker.bare}' to='${owner.bare}' type='subscribe'/>`)
    await owner.sends(`<presence to='${asker.bare}' type='subscribed'/>`)
    await hearsPush(
      owner,
      `<item jid='${asker.bare}' name='{any}' subscription='${before === 'none' ? 'from' : 'both'}'/>`,
    )
    await asker.receivesAnyOrder(
      `<presence from='${owner.bare}' to='${asker.bare}' type='subscribed'/>`,
      push(asker, `<item jid='${owner.bare}' name='{any}' subscription='${after}'/>`),
      `<presence from='${owner.jid}' to='{any}'/>`,
    )
  }
  await grants(a, b, 'none', 'to')
  await grants(b, a, 'from', 'both')
}

story('pre-approval: a later request is granted without asking', async ({ client }) => {
  const romeo = await client('romeo', 'garden', { hearsPresence: true })
  const juliet = await client('juliet', 'balcony', { hearsPresence: true })
  await roster(romeo)
  await roster(juliet)
  await romeo.isAvailable()
  await juliet.isAvailable()
  await juliet.sends(`<presence to='${romeo.bare}' type='subscribed'/>`)
  await hearsPush(juliet, `<item jid='${romeo.bare}' name='{any}' subscription='none' approved='true'/>`)
  await romeo.receivesNothing()
  await romeo.sends(`<presence to='${juliet.bare}' type='subscribe'/>`)
  await romeo.receivesAnyOrder(
    push(romeo, `<item jid='${juliet.bare}' name='{any}' subscription='none' ask='subscribe'/>`),
    `<presence from='${juliet.bare}' to='${romeo.bare}' type='subscribed'/>`,
    push(romeo, `<item jid='${juliet.bare}' name='{any}' subscription='to'/>`),
    `<presence from='${juliet.jid}' to='{any}'/>`,
  )
  await juliet.receives(push(juliet, `<item jid='${romeo.bare}' name='{any}' subscription='from' approved='{any}'/>`))
  await juliet.receivesNothing()
})

story(
  'a roster has a bound',
  async ({ client }) => {
    const romeo = await client('romeo', 'garden')
    for (let i = 0; i < 3; i++) {
      const ok = await romeo.asks('set', `<query xmlns='${NS_ROSTER}'><item jid='c${i}@localhost'/></query>`)
      assert.equal(ok.attrs.type, 'result')
    }
    const full = await romeo.asks('set', `<query xmlns='${NS_ROSTER}'><item jid='c3@localhost'/></query>`)
    assert.equal(full.attrs.type, 'error')
    assert.match(JSON.stringify(full), /resource-constraint|not-allowed|policy-violation/)
  },
  { config: { limits: { roster: { max_items: 3 } } } },
)
