import type { Element } from '../../src/xmpp/element.ts'
import type { XmppClient } from './xmpp-client.ts'

const NS_ROSTER = 'jabber:iq:roster'

/** Subscribes two people to each other, both approving beforehand, and hears all that comes of it. They must hear presence. */
export async function befriend(a: XmppClient, b: XmppClient): Promise<void> {
  for (const one of [a, b]) await one.asks('get', `<query xmlns='${NS_ROSTER}'/>`)
  for (const [one, other] of [
    [a, b],
    [b, a],
  ] as const) {
    await one.sends(`<presence to='${other.bare}' type='subscribed'/>`)
    await hears(one, (e) => itemOf(e)?.attrs.approved === 'true')
  }
  for (const [one, other] of [
    [a, b],
    [b, a],
  ] as const) {
    await one.sends(`<presence to='${other.bare}' type='subscribe'/>`)
    const last = one === a ? 'to' : 'both'
    const open = new Set(['granted', 'pushed'])
    await hears(one, (e) => {
      if (e.name === 'presence' && e.attrs.type === 'subscribed') open.delete('granted')
      if (itemOf(e)?.attrs.subscription === last) open.delete('pushed')
      return open.size === 0
    })
    await hears(other, (e) => itemOf(e)?.attrs.subscription === (one === a ? 'from' : 'both'))
  }
}

/** The item of a roster push. */
function itemOf(e: Element): Element | undefined {
  const [query] = e.children
  if (e.name !== 'iq' || e.attrs.type !== 'set' || typeof query !== 'object' || query.ns !== NS_ROSTER) return undefined
  return query.children.find((c): c is Element => typeof c !== 'string')
}

/** Receives, and answers pushes, until it is enough. */
async function hears(client: XmppClient, enough: (e: Element) => boolean): Promise<void> {
  for (;;) {
    const e = await client.receivesAny()
    if (itemOf(e) !== undefined) await client.sends(`<iq type='result' id='${e.attrs.id}'/>`)
    if (enough(e)) return
  }
}
