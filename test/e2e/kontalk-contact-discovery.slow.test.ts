import assert from 'node:assert/strict'
import { befriend } from '../helpers/contacts.ts'
import { write } from '../helpers/match-element.ts'
import { bounce, story } from '../helpers/story.ts'
import type { XmppClient } from '../helpers/xmpp-client.ts'

const NS = 'http://kontalk.org/extensions/roster'
const INFO = 'http://jabber.org/protocol/disco#info'
const queryOf = (jids: readonly string[]): string =>
  `<query xmlns='${NS}'>${jids.map((jid) => `<item jid='${jid}'/>`).join('')}</query>`

/** What the answer names, in its order. */
async function matches(client: XmppClient, jids: readonly string[], to?: string): Promise<readonly string[]> {
  const answer = await client.asks('get', queryOf(jids), to)
  assert.equal(answer.attrs.type, 'result', write(answer))
  return [...write(answer).matchAll(/<item jid='([^']+)'/g)].map(([, jid]) => jid as string)
}

story('flow g: a phone book is matched; who is not here is simply absent', async (tell) => {
  const { client, account, stranger, domain } = tell
  const phone = await client('romeo', 'phone')
  const [juliet, nurse] = [await account('juliet'), await account('nurse')]
  await phone.sends(`
    <iq type='get' id='N1' to='probe@${domain}'>${queryOf([juliet, stranger('nobody'), nurse])}</iq>`)
  await phone.receives(`
    <iq type='result' id='N1' from='probe@${domain}' to='${phone.jid}'>
      <query xmlns='${NS}'><item jid='${juliet}'/><item jid='${nurse}'/></query></iq>`)
  const [probe, upper] = [`probe@${domain}`, juliet.replace('juliet', 'JULIET')]
  assert.deepEqual(await matches(phone, [upper, juliet, `${juliet}/phone`], probe), [juliet], 'each address once')
  assert.deepEqual(await matches(phone, [`juliet@other.example`, domain, probe], probe), [], 'others’ addresses')
  assert.deepEqual(await matches(phone, [], probe), [])
})

story(
  'flow g, the old form: without an address the account’s server answers',
  async ({ client, account, stranger }) => {
    const phone = await client('romeo', 'phone')
    const juliet = await account('juliet')
    assert.deepEqual(await matches(phone, [stranger('nobody'), juliet]), [juliet])
  },
)

story('flow g: what is no address is refused as Kontalk’s server does', async ({ client, account, domain }) => {
  const phone = await client('romeo', 'phone')
  const to = `probe@${domain}`
  const fails = async (query: string, condition: string): Promise<void> => {
    await phone.sends(`<iq type='get' id='N1' to='${to}'>${query}</iq>`)
    await phone.receives(bounce('iq', { id: 'N1', from: to, to: phone.jid }, 'modify', condition))
  }
  await fails(queryOf([await account('juliet'), '@']), 'bad-request')
  await fails(`<query xmlns='${NS}'><item/></query>`, 'bad-request')
  const many = Array.from({ length: 501 }, (_, i) => `${i}@${domain}`)
  await fails(queryOf(many), 'policy-violation')
  assert.deepEqual(await matches(phone, many.slice(1), to), [], '500 are a request of Kontalk’s app')
})

story('flow g: who blocks the asker is absent, as if there were no account', async ({ client, account, domain }) => {
  const phone = await client('romeo', 'phone')
  const juliet = await client('juliet', 'balcony')
  const nurse = await account('nurse')
  await juliet.asks('set', `<block xmlns='urn:xmpp:blocking'><item jid='${phone.bare}'/></block>`)
  assert.deepEqual(await matches(phone, [juliet.bare, nurse], `probe@${domain}`), [nurse])
})

story('flow g: the service is listed, and says what it is', async ({ client, domain }) => {
  const phone = await client('romeo', 'phone')
  const items = write(await phone.asks('get', `<query xmlns='http://jabber.org/protocol/disco#items'/>`, domain))
  assert.match(items, new RegExp(`<item jid='probe@${domain}' name='Kontalk probe engine'/>`))
  for (const node of ['', ` node='${NS}#probe'`]) {
    const info = write(await phone.asks('get', `<query xmlns='${INFO}'${node}/>`, `probe@${domain}`))
    assert.match(info, /type='result'/)
    assert.ok(info.includes(`<feature var='${NS}'/>`), info)
  }
})

const FEW = { limits: { lookup: { new_per_day: 3 } } } as const

for (const servers of [1, 2] as const)
  story(
    `row 32: enumeration ends with the day’s budget, unseen, and what was asked before stays free (${servers} nodes)`,
    async (tell) => {
      const { client, account, stranger, domain } = tell
      const probe = `probe@${domain}`
      const [phone, tablet] = [await client('romeo', 'phone'), await client('romeo', 'tablet')]
      const here = await Promise.all(['a', 'b', 'c', 'd'].map((name) => account(name)))
      const [a, b, c, d] = here as [string, string, string, string]
      // Addresses without accounts cost the same.
      assert.deepEqual(await matches(phone, [a, stranger('x')], probe), [a])
      assert.deepEqual(await matches(tablet, [a, b, c, d], probe), [a, b], 'one new one was left for all his devices')
      const answer = async (jid: string) =>
        write(await phone.asks('get', queryOf([jid]), probe)).replace(/ id='[^']*'/, '')
      assert.equal(await answer(d), await answer(stranger('y')), 'over the budget all are as if not there')
      assert.deepEqual(await matches(phone, [d, c, b, a], probe), [b, a], 'a later sync repeats what it knows')
      const other = await client('tybalt', 'street')
      assert.deepEqual(await matches(other, [c, d], probe), [c, d], 'each account has its own')
    },
    { servers, config: FEW },
  )

story(
  'flow g: contacts that let themselves be seen cost nothing, a roster item alone does not help',
  async ({ client, account, domain }) => {
    const probe = `probe@${domain}`
    const phone = await client('romeo', 'phone', { hearsPresence: true })
    const juliet = await client('juliet', 'balcony', { hearsPresence: true })
    for (const c of [phone, juliet]) await c.isAvailable()
    await befriend(phone, juliet)
    const names = await Promise.all(['a', 'b', 'c', 'd'].map((name) => account(name)))
    assert.deepEqual(await matches(phone, names, probe), names.slice(0, 3))
    await phone.asks('set', `<query xmlns='jabber:iq:roster'><item jid='${names[3]}'/></query>`)
    assert.deepEqual(await matches(phone, [names[3] as string, juliet.bare, phone.bare], probe), [
      juliet.bare,
      phone.bare,
    ])
  },
  { servers: 1, config: FEW },
)

story(
  'row 32: requests at the same time spend one budget',
  async ({ client, account, domain }) => {
    const phone = await client('romeo', 'phone')
    const names = await Promise.all(Array.from({ length: 12 }, (_, i) => account(`n${i}`)))
    for (const [i, jid] of names.entries())
      await phone.sends(`<iq type='get' id='p${i}' to='probe@${domain}'>${queryOf([jid])}</iq>`)
    let found = 0
    for (const _ of names) if (write(await phone.receivesAny()).includes('<item ')) found++
    assert.equal(found, 3)
  },
  { servers: 1, config: FEW },
)
