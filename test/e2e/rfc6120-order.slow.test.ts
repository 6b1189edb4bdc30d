import assert from 'node:assert/strict'
import { befriend } from '../helpers/contacts.ts'
import { write } from '../helpers/match-element.ts'
import { story } from '../helpers/story.ts'
import type { XmppClient } from '../helpers/xmpp-client.ts'

/** RFC 6120 §10.1: what one stream brings for one address, bare or full, is dealt with in its order. */

const hears = { hearsPresence: true } as const
const ROSTER = `<query xmlns='jabber:iq:roster'/>`
const PING = `<ping xmlns='urn:xmpp:ping'/>`

/** What the client hears up to the iq of that id: for each its type, or its name where it has none. */
async function heardUntil(client: XmppClient, id: string): Promise<string[]> {
  const heard: string[] = []
  for (;;) {
    const e = await client.receivesAny()
    heard.push(`${e.name}${e.attrs.type === undefined ? '' : ` ${e.attrs.type}`}`)
    if (e.attrs.id === id) return heard
  }
}

for (const type of ['subscribe', 'subscribed', 'unsubscribe', 'unsubscribed']) {
  story(`nothing overtakes '${type}' on its way to the same account`, async ({ client }) => {
    const romeo = await client('romeo', 'garden', hears)
    const juliet = await client('juliet', 'balcony', hears)
    if (type.startsWith('un')) await befriend(romeo, juliet)
    await juliet.asks('get', ROSTER)
    await juliet.isAvailable()
    if (type === 'subscribed') {
      await romeo.isAvailable()
      await juliet.sends(`<presence to='${romeo.bare}' type='subscribe'/>`)
      await romeo.receives(`<presence from='${juliet.bare}' to='${romeo.bare}' type='subscribe'/>`)
    }
    // It has read what waited: who has not yet met the end of the log is given what is not kept after it.
    await romeo.sends(`<message to='${juliet.bare}' type='chat' id='early'><body>?</body></message>`)
    while ((await juliet.receivesAny()).attrs.id !== 'early');
    await romeo.sends(
      `<presence to='${juliet.bare}' type='${type}'/>` +
        `<message to='${juliet.bare}' type='chat'><body>first</body></message>` +
        `<presence to='${juliet.jid}'><show>dnd</show></presence>` +
        `<message to='${juliet.jid}' type='headline'><body>second</body></message>` +
        `<iq to='${juliet.jid}' type='get' id='last'>${PING}</iq>`,
    )
    const heard = (await heardUntil(juliet, 'last')).filter((e) => !['iq set', 'presence unavailable'].includes(e))
    const first = type === 'subscribed' ? ['presence subscribed', 'presence'] : [`presence ${type}`]
    assert.deepEqual(heard, [...first, 'message chat', 'presence', 'message headline', 'iq get'])
  })
}

type Methods = Record<string, (...args: unknown[]) => Promise<unknown>>
/** Of these methods of a store, to be named before the first request: one call, when so many passed, gets there when it is let go. */
function gated(store: object, ...names: readonly string[]): { holds(after?: number): () => void } {
  const methods = store as Methods
  let next: { passing: number; readonly gate: Promise<void> } | undefined
  for (const name of names) {
    const real = methods[name]?.bind(store) as Methods[string]
    methods[name] = async (...args) => {
      if (next !== undefined && next.passing-- === 0) {
        const { gate } = next
        next = undefined
        await gate
      }
      return real(...args)
    }
  }
  return {
    holds: (passing = 0) => {
      const { promise, resolve } = Promise.withResolvers<void>()
      next = { passing, gate: promise }
      return resolve
    },
  }
}

story(
  'the roster comes before the presence of those who are on it',
  async ({ client, stores }) => {
    const store = gated(stores.rosters, 'load', 'since')
    const romeo = await client('romeo', 'garden', hears)
    const juliet = await client('juliet', 'balcony', hears)
    await befriend(romeo, juliet)
    await juliet.isAvailable()
    const phone = await client('romeo', 'phone', hears)
    for (const ver of ['', ` ver='1-0'`]) {
      await phone.asks('get', ROSTER)
      const go = store.holds()
      await phone.sends(`<iq type='get' id='r'><query xmlns='jabber:iq:roster'${ver}/></iq><presence/>`)
      await phone.asks('get', PING)
      go()
      const first = await phone.receives(`<iq type='result' id='r' to='${phone.jid}' from='${romeo.bare}'>{...}</iq>`)
      if (first.children.length === 0) assert.equal((await phone.receivesAny()).name, 'iq')
      await phone.receivesAnyOrder(
        `<presence from='${phone.jid}' to='{any}'/>`,
        `<presence from='${juliet.jid}' to='{any}'/>`,
      )
      await phone.sends(`<presence type='unavailable'/>`)
      await phone.receives(`<presence type='unavailable' from='${phone.jid}' to='{any}'/>`)
    }
  },
  { config: {} },
)

story(
  'what a client asks of its own account is done in its order',
  async ({ client, account, stores }) => {
    const store = gated(stores.privateXml, 'get', 'set')
    const romeo = await client('romeo', 'garden')
    const juliet = await account('juliet')
    const item = (attrs: string) => `<query xmlns='jabber:iq:roster'><item jid='${juliet}'${attrs}/></query>`
    const note = (content: string) =>
      `<query xmlns='jabber:iq:private'><x xmlns='urn:example:note'>${content}</x></query>`
    const blocklist = `<blocklist xmlns='urn:xmpp:blocking'/>`
    const iq = (type: string, payload: string) => `<iq type='${type}' id='${type}'>${payload}</iq>`
    const answers = async (xml: string): Promise<string> => {
      await romeo.sends(xml)
      let e = await romeo.receivesAny()
      while (e.attrs.id !== 'get') e = await romeo.receivesAny()
      return write(e)
    }
    await romeo.asks('set', item(` name='J'`))
    assert.match(
      await answers(
        `${iq('set', item(` subscription='remove'`))}<presence to='${juliet}' type='subscribe'/>${iq('get', ROSTER)}`,
      ),
      /<item jid='juliet[^>]* name='juliet[^>]* ask='subscribe'/,
    )
    assert.match(
      await answers(`<presence to='${juliet}' type='unsubscribe'/>${iq('set', item(` name='C'`))}${iq('get', ROSTER)}`),
      /<item jid='juliet[^>]* name='C' subscription='none'\/>/,
    )
    const go = store.holds()
    await romeo.sends(iq('set', note('new')) + iq('get', note('')))
    await romeo.asks('get', PING)
    go()
    assert.match(await answers(''), />new</)
    assert.match(
      await answers(
        iq('set', `<block xmlns='urn:xmpp:blocking'><item jid='${juliet}'/></block>`) + iq('get', blocklist),
      ),
      /<item jid='juliet/,
    )
  },
  { config: {} },
)

story(
  'who is gone before its presence had its turn does not come back',
  async ({ client, stores }) => {
    const store = gated(stores.rosters, 'change')
    const romeo = await client('romeo', 'garden', hears)
    const phone = await client('romeo', 'phone', hears)
    const juliet = await client('juliet', 'balcony', hears)
    await phone.isAvailable()
    await juliet.isAvailable()
    // The change of juliet's roster; that of romeo's own has passed.
    const go = store.holds(1)
    await romeo.sends(
      `<presence to='${juliet.bare}' type='subscribe'/><presence to='${juliet.jid}'/><presence to='${phone.jid}' id='mark'/>`,
    )
    await phone.receives(`<presence from='${romeo.jid}' to='${phone.jid}' id='mark'/>`)
    romeo.drops()
    await phone.receives(`<presence from='${romeo.jid}' to='${phone.jid}' type='unavailable'/>`)
    go()
    await juliet.receives(`<presence from='${romeo.bare}' to='${juliet.bare}' type='subscribe'/>`)
    await juliet.receives(`<presence from='${romeo.jid}' to='${juliet.jid}' type='unavailable'/>`)
    await juliet.receivesNothing()
  },
  { config: {} },
)

story('what is blocked is so for the stanza that follows, and not for the one before', async ({ client }) => {
  const romeo = await client('romeo', 'garden', hears)
  const juliet = await client('juliet', 'balcony', hears)
  await juliet.isAvailable()
  const does = (name: string) =>
    `<iq type='set' id='${name}'><${name} xmlns='urn:xmpp:blocking'><item jid='${juliet.bare}'/></${name}></iq>`
  const says = (id: string) => `<message to='${juliet.bare}' type='headline' id='${id}'><body>${id}</body></message>`
  const iq = `<iq to='${juliet.jid}' type='get' id='q'>${PING}</iq>`
  await romeo.sends(
    says('before') +
      does('block') +
      says('blocked') +
      iq +
      does('unblock') +
      says('after') +
      does('block') +
      iq +
      does('unblock'),
  )
  for (const id of ['block', 'blocked', 'q', 'unblock', 'block', 'q', 'unblock']) {
    const e = await romeo.receivesAny()
    assert.equal(e.attrs.id, id)
    if (id === 'blocked' || id === 'q') assert.match(write(e), /<not-acceptable /)
  }
  for (const id of ['before', 'after']) assert.equal((await juliet.receivesAny()).attrs.id, id)
  await juliet.receivesNothing()
})

story('what follows other archive preferences is archived by these', async ({ client, account }) => {
  const romeo = await client('romeo', 'garden')
  const juliet = await account('juliet')
  const prefs = (rule: string) => `<iq type='set' id='p'><prefs xmlns='urn:xmpp:mam:2' default='${rule}'/></iq>`
  const says = (id: string) => `<message to='${juliet}' type='chat' id='${id}'><body>?</body></message>`
  await romeo.sends(`${says('a')}${prefs('never')}${says('b')}${prefs('always')}${says('c')}`)
  for (let i = 0; i < 2; i++) assert.equal((await romeo.receivesAny()).attrs.id, 'p')
  await romeo.enablesAcks()
  await romeo.sends(says('d'))
  await romeo.isAcknowledged()
  await romeo.sends(`<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>`)
  const ids: (string | undefined)[] = []
  for (let e = await romeo.receivesAny(); e.attrs.id !== 'q'; e = await romeo.receivesAny())
    ids.push(/<message [^>]*id='(\w)'/.exec(write(e))?.[1])
  assert.deepEqual(ids, ['a', 'c', 'd'])
})

for (const ver of ['', ` ver=''`, 'known'])
  story(
    `a change from elsewhere is not undone by a roster read before it, with ${ver || 'no version'}`,
    async ({ client, account, stores }) => {
      const methods = stores.rosters as unknown as Methods
      let hold: Promise<void> | undefined
      for (const name of ['load', 'since']) {
        const real = methods[name]?.bind(stores.rosters) as Methods[string]
        methods[name] = async (...args) => {
          const waiting = hold
          hold = undefined
          const answer = await real(...args)
          await waiting
          return answer
        }
      }
      const juliet = await account('juliet')
      const garden = await client('romeo', 'garden')
      const phone = await client('romeo', 'phone')
      const set = (name: string) => `<query xmlns='jabber:iq:roster'><item jid='${juliet}' name='${name}'/></query>`
      await garden.asks('set', set('before'))
      const first = await phone.asks('get', `<query xmlns='jabber:iq:roster' ver=''/>`)
      const known = first.children.find((c) => typeof c !== 'string')?.attrs.ver
      await garden.asks('set', set('between'))
      await phone.receivesAny()
      // What its server reads anew because of the change is read.
      await phone.asks('get', ROSTER)
      const { promise, resolve } = Promise.withResolvers<void>()
      hold = promise
      await phone.sends(
        `<iq type='get' id='r'><query xmlns='jabber:iq:roster'${ver === 'known' ? ` ver='${known}'` : ver}/></iq>`,
      )
      await phone.asks('get', PING)
      await garden.sends(`<iq type='set' id='s'>${set('after')}</iq>`)
      // Where both are at one server the change takes its turn.
      await garden.asks('get', PING, garden.domain)
      await phone.asks('get', PING)
      resolve()
      let last = ''
      for (let heard = ''; !heard.includes(`id='r'`) || !last.includes('after'); ) {
        const e = write(await phone.receivesAny())
        heard += e
        last = /name='(\w+)'/.exec(e)?.[1] ?? last
      }
      await phone.sends(`<iq type='get' id='end'>${PING}</iq>`)
      for (let e = await phone.receivesAny(); e.attrs.id !== 'end'; e = await phone.receivesAny())
        last = /name='(\w+)'/.exec(write(e))?.[1] ?? last
      assert.equal(last, 'after')
    },
    { config: {} },
  )
