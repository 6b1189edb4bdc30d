import assert from 'node:assert/strict'
import type { Element } from '../../src/xmpp/element.ts'
import { befriend } from '../helpers/contacts.ts'
import { write } from '../helpers/match-element.ts'
import { type Story, story } from '../helpers/story.ts'
import type { XmppClient } from '../helpers/xmpp-client.ts'

/**
 * RFC 6121 §8.5 as a table: each kind and type of stanza, to the bare address, to a full one that is connected and to one that is
 * not, in each state an account can be in. Where the RFC leaves a choice, it is DESIGN's: `normal` and `groupchat` to a resource that
 * is gone are refused and not ignored, messages to several resources go to all of them, and a receipt is never refused.
 */

/** Priority of each resource; undefined: connected, and has sent no presence. */
type State = Readonly<Record<string, number | undefined>>
const STATES: Readonly<Record<string, State>> = {
  'nobody is connected': {},
  'one is connected and not available': { silent: undefined },
  'all have negative priority': { low: -1, lower: -128 },
  'one has priority 0': { zero: 0 },
  'one of several has a priority that is not negative': { zero: 0, low: -1, silent: undefined },
  'several have priorities that are not negative': { high: 127, zero: 0, low: -1, silent: undefined },
}
type Target = 'bare' | 'full' | 'gone'
/** What becomes of a stanza: the resources that get it, and what its sender or the inbox gets. */
interface Fate {
  readonly to: readonly string[]
  readonly end?: 'refused' | 'kept'
}
const IGNORED: Fate = { to: [] }
const REFUSED: Fate = { to: [], end: 'refused' }

const BODY = '<body>?</body>'
const ERROR = `<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>`
const RECEIPT = `<received xmlns='urn:xmpp:receipts' id='x'/>`
const UNKNOWN = `<x xmlns='urn:example:unknown'/>`

interface Row {
  readonly kind: 'message' | 'presence' | 'iq'
  readonly type: string
  readonly content: string
  readonly name: string
  readonly fate: (target: Target, state: State, resource: string) => Fate
}
const row = (kind: Row['kind'], type: string, content: string, fate: Row['fate'], name = type): Row => ({
  kind,
  type,
  content,
  name: `${kind} ${name}`,
  fate,
})
const available = (state: State): string[] => Object.keys(state).filter((r) => state[r] !== undefined)
const hearing = (state: State): string[] => available(state).filter((r) => (state[r] as number) >= 0)
/** §8.5.2.1.1, §8.5.2.2.1. */
const toAll = (state: State): Fate => (hearing(state).length === 0 ? { to: [], end: 'kept' } : { to: hearing(state) })

const ROWS: readonly Row[] = [
  row('message', 'chat', BODY, (target, state, r) => (target === 'full' ? { to: [r] } : toAll(state))),
  row('message', 'normal', BODY, (target, state, r) =>
    target === 'full' ? { to: [r] } : target === 'gone' ? REFUSED : toAll(state),
  ),
  row(
    'message',
    'normal',
    RECEIPT,
    (target, state, r) => (target === 'full' ? { to: [r] } : toAll(state)),
    'with a receipt',
  ),
  row('message', 'groupchat', BODY, (target, _, r) => (target === 'full' ? { to: [r] } : REFUSED)),
  row('message', 'headline', BODY, (target, state, r) =>
    target === 'full' ? { to: [r] } : target === 'gone' ? IGNORED : { to: hearing(state) },
  ),
  row('message', 'error', BODY + ERROR, (target, _, r) => (target === 'full' ? { to: [r] } : IGNORED)),
  // §8.5.2.1.2, §8.5.2.2.2, §8.5.3: what is directed at an account reaches whoever is available, whatever the priority.
  ...['', 'unavailable'].map((type) =>
    row(
      'presence',
      type,
      '<status>?</status>',
      (target, state, r) => (target === 'full' ? { to: [r] } : target === 'gone' ? IGNORED : { to: available(state) }),
      type === '' ? 'without type' : type,
    ),
  ),
  // §8.5.2.1.3, §8.5.2.2.3: what is for the account the server answers itself.
  ...['get', 'set'].map((type) =>
    row('iq', type, UNKNOWN, (target, _, r) => (target === 'full' ? { to: [r] } : REFUSED)),
  ),
  ...['result', 'error'].map((type) =>
    row('iq', type, type === 'error' ? ERROR : UNKNOWN, (target, _, r) => (target === 'full' ? { to: [r] } : IGNORED)),
  ),
]
const typed = ({ type }: Row): string => (type === '' || type === 'normal' ? '' : ` type='${type}'`)

/** Everything a client has heard before this request of the sender's reached it, or was answered. */
async function heardUntil(client: XmppClient, id: string): Promise<Element[]> {
  const all: Element[] = []
  for (;;) {
    const e = await client.receivesAny()
    if (e.attrs.id === id) return all
    all.push(e)
  }
}
const hears = { hearsPresence: true } as const

async function connected({ client }: Story, state: State): Promise<Map<string, XmppClient>> {
  const devices = new Map<string, XmppClient>()
  for (const [resource, priority] of Object.entries(state)) {
    const device = await client('juliet', resource, hears)
    await device.enablesAcks()
    if (priority !== undefined) await device.isAvailable({ priority })
    devices.set(resource, device)
  }
  // Each has heard where the others are.
  const count = available(state).length
  for (const resource of available(state)) for (let i = 1; i < count; i++) await devices.get(resource)?.receivesAny()
  return devices
}

for (const [name, state] of Object.entries(STATES)) {
  story(`when ${name}, each stanza goes where RFC 6121 §8.5 says`, async (tell) => {
    const romeo = await tell.client('romeo', 'garden', hears)
    const juliet = await tell.account('juliet')
    const devices = await connected(tell, state)
    const kept: string[] = []
    let cell = 0

    async function check(row: Row, target: Target, resource: string): Promise<void> {
      const id = `cell-${++cell}`
      const to = target === 'bare' ? juliet : `${juliet}/${target === 'full' ? resource : 'gone'}`
      const fate = row.fate(target, state, resource)
      await romeo.sends(`<${row.kind} to='${to}'${typed(row)} id='${id}'>${row.content}</${row.kind}>`)
      const got: string[] = []
      for (const [r, device] of devices) {
        await romeo.sends(`<iq to='${device.jid}' type='result' id='after-${id}'/>`)
        for (const e of await heardUntil(device, `after-${id}`)) {
          if (e.attrs.id !== id) continue
          got.push(r)
          assert.deepEqual([e.name, e.attrs.to, e.attrs.from], [row.kind, to, romeo.jid])
        }
      }
      for (const last of [`${juliet}/never`, tell.domain])
        await romeo.sends(`<iq to='${last}' type='get' id='after-${id}'><ping xmlns='urn:xmpp:ping'/></iq>`)
      const back = [...(await heardUntil(romeo, `after-${id}`)), ...(await heardUntil(romeo, `after-${id}`))]
      const what = `${row.name} to ${target === 'full' ? resource : target}`
      assert.deepEqual(got.toSorted(), fate.to.toSorted(), what)
      if (fate.end === 'refused') {
        assert.equal(back.length, 1, what)
        const [e] = back as [Element]
        assert.deepEqual([e.attrs.type, e.attrs.id, e.attrs.from], ['error', id, to], what)
        assert.match(write(e), /<error type='cancel'><service-unavailable /, what)
      } else {
        assert.deepEqual(
          back.map((e) => write(e)),
          [],
          what,
        )
      }
      if (fate.end === 'kept') kept.push(id)
    }
    for (const row of ROWS) {
      await check(row, 'bare', '')
      await check(row, 'gone', '')
      for (const resource of devices.keys()) await check(row, 'full', resource)
    }
    assert.equal(cell, ROWS.length * (2 + devices.size))

    // A device has what it has acknowledged.
    for (const device of devices.values()) {
      device.acks()
      await device.asks('get', `<ping xmlns='urn:xmpp:ping'/>`, tell.domain)
    }
    // What was kept, and nothing else, is there for the next one that hears, in its order.
    const late = await tell.client('juliet', 'late')
    await late.isAvailable()
    await romeo.sends(`<message to='${late.jid}' type='chat' id='last'>${BODY}</message>`)
    assert.deepEqual(
      (await heardUntil(late, 'last')).map((e) => e.attrs.id),
      kept,
    )
  })

  story(`when ${name}, a probe is answered for whoever is available (§4.3.2)`, async (tell) => {
    const romeo = await tell.client('romeo', 'garden', hears)
    const friend = await tell.client('juliet', 'friend', hears)
    await befriend(romeo, friend)
    await friend.disconnects()
    const juliet = await tell.account('juliet')
    const devices = await connected(tell, state)
    const here = available(state)
    async function check(to: string, shown: readonly string[]): Promise<void> {
      await romeo.sends(`<presence to='${to}' type='probe'/>`)
      const expected = shown.length === 0 ? [`${to} unavailable`] : shown.map((r) => `${juliet}/${r} available`)
      const got: string[] = []
      while (got.length < expected.length) {
        const e = await romeo.receivesAny()
        got.push(`${e.attrs.from} ${e.attrs.type ?? 'available'}`)
      }
      assert.deepEqual(got.toSorted(), expected.toSorted(), to)
    }
    await check(juliet, here)
    await check(`${juliet}/gone`, [])
    for (const r of devices.keys()) await check(`${juliet}/${r}`, here.includes(r) ? [r] : [])
    await romeo.receivesNothing()
  })

  story(`when ${name}, a request to subscribe reaches whoever is available, or waits (§3.1.3)`, async (tell) => {
    const juliet = await tell.account('juliet')
    const devices = await connected(tell, state)
    const asking: string[] = []
    for (const [i, target] of ['', '/gone', ...[...devices.keys()].map((r) => `/${r}`)].entries()) {
      const paris = await tell.client(`paris${i}`, 'square')
      asking.push(paris.bare)
      // What ends or grants a subscription that is none says nothing to anybody.
      for (const type of ['subscribed', 'unsubscribed', 'unsubscribe'])
        await paris.sends(`<presence to='${juliet}${target}' type='${type}' id='none'/>`)
      await paris.sends(`<presence to='${juliet}${target}' type='subscribe' id='request'/>`)
      for (const resource of available(state)) {
        const got = await (devices.get(resource) as XmppClient).receivesAny()
        assert.deepEqual(
          [got.name, got.attrs.type, got.attrs.from, got.attrs.to],
          ['presence', 'subscribe', paris.bare, juliet],
        )
      }
    }
    for (const device of devices.values()) await device.receivesNothing()
    const late = await tell.client('juliet', 'late', hears)
    await late.isAvailable()
    // One that was still being written when the device came may come twice.
    const waited = new Set<string | undefined>()
    while (waited.size < asking.length) {
      const e = await late.receivesAny()
      if (e.attrs.type === 'subscribe') waited.add(e.attrs.from)
    }
    assert.deepEqual([...waited].toSorted(), asking.toSorted())
  })
}

story('where there is no account, nothing is said that its absence would not say (§8.5.1)', async (tell) => {
  const romeo = await tell.client('romeo', 'garden', hears)
  const nobody = tell.stranger('nobody')
  for (const row of ROWS)
    for (const to of [nobody, `${nobody}/gone`]) {
      await romeo.sends(`<${row.kind} to='${to}'${typed(row)} id='cell'>${row.content}</${row.kind}>`)
      for (const last of [`${nobody}/never`, tell.domain])
        await romeo.sends(`<iq to='${last}' type='get' id='after'><ping xmlns='urn:xmpp:ping'/></iq>`)
      const back = [...(await heardUntil(romeo, 'after')), ...(await heardUntil(romeo, 'after'))]
      const isRefused =
        (row.kind === 'message' && row.content === BODY && row.type !== 'headline') ||
        (row.kind === 'iq' && (row.type === 'get' || row.type === 'set'))
      assert.equal(back.length, isRefused ? 1 : 0, `${row.name} to ${to}`)
      for (const e of back) assert.match(write(e), /type='error'.*<error type='cancel'><service-unavailable /)
    }
})
