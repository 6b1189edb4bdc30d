import assert from 'node:assert/strict'
import type { Element } from '../../src/xmpp/element.ts'
import { archiveSaid } from '../helpers/archive-samples.ts'
import { bounce, type Story, story } from '../helpers/story.ts'
import type { XmppClient } from '../helpers/xmpp-client.ts'

const MAM = 'urn:xmpp:mam:2'
const RSM = 'http://jabber.org/protocol/rsm'
const HOUR = 3_600_000

/** A query, with fields of its form and the inside of its set. */
const query = (fields: Readonly<Record<string, string | readonly string[]>> = {}, set = '', more = ''): string => {
  const written = Object.entries(fields).map(
    ([name, values]) =>
      `<field var='${name}'>${[values]
        .flat()
        .map((value) => `<value>${value}</value>`)
        .join('')}</field>`,
  )
  const form =
    written.length === 0
      ? ''
      : `<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>${MAM}</value></field>${written.join('')}</x>`
  return `<query xmlns='${MAM}' queryid='q1'>${form}${set === '' ? '' : `<set xmlns='${RSM}'>${set}</set>`}${more}</query>`
}
const inside = (parent: Element, ...names: readonly string[]): Element | undefined =>
  names.reduce<Element | undefined>(
    (e, name) => e?.children.find((c): c is Element => typeof c !== 'string' && c.name === name),
    parent,
  )
const textOf = (e: Element | undefined): string | undefined => e?.children.join('')

/** What a query brings: bodies in the order they came, their ids, the end. */
async function results(client: XmppClient, xml: string, to?: string) {
  const id = `q${Math.random()}`
  await client.sends(`<iq type='set' id='${id}'${to === undefined ? '' : ` to='${to}'`}>${xml}</iq>`)
  const found: { readonly id: string; readonly body: string }[] = []
  for (;;) {
    const e = await client.receivesAny()
    const result = inside(e, 'result')
    if (result === undefined) {
      assert.equal(e.attrs.id, id, 'the answer comes after its results')
      if (e.attrs.type === 'error') {
        const error = inside(e, 'error')?.children.find((c): c is Element => typeof c !== 'string' && c.name !== 'text')
        return { condition: error?.name, bodies: '', ids: [], fin: undefined, set: {} }
      }
      const fin = inside(e, 'fin')
      const set = Object.fromEntries(
        (inside(e, 'fin', 'set')?.children ?? []).map((c) => (typeof c === 'string' ? [] : [c.name, textOf(c)])),
      )
      const ids = found.map((r) => r.id)
      return { condition: undefined, bodies: found.map((r) => r.body).join(''), ids, fin: fin?.attrs.complete, set }
    }
    assert.equal(result.attrs.queryid, 'q1')
    assert.equal(e.attrs.from, client.bare)
    assert.equal(e.attrs.to, client.jid)
    found.push({ id: result.attrs.id ?? '', body: textOf(inside(result, 'forwarded', 'message', 'body')) ?? '' })
  }
}
/** Juliet's archive: a conversation with Romeo, one message a minute, and two with her nurse. */
async function conversation({ stores, account }: Story) {
  const [juliet, romeo, nurse] = await Promise.all([account('juliet'), account('romeo'), account('nurse')])
  const at = Date.now() - HOUR
  const said = [
    { from: `${romeo}/orchard`, to: juliet, body: '1', id: 'm1' },
    { from: `${juliet}/balcony`, to: `${romeo}/orchard`, body: '2', id: 'm2' },
    { from: `${nurse}/hall`, to: juliet, body: '3', id: 'm3' },
    { from: `${romeo}/street`, to: `${juliet}/balcony`, body: '4', id: 'm4' },
    { from: `${juliet}/balcony`, to: nurse, body: '5', id: 'm5' },
  ].map((message, i) => ({ ...message, at: at + i * 60_000 }))
  const ids = await archiveSaid(stores, juliet, said)
  const time = (minutes: number): string => new Date(at + minutes * 60_000).toISOString()
  return { juliet, romeo, nurse, ids, time }
}

story('a device reads the archive: each message as it was, in order, then the end', async (tell) => {
  const { juliet, romeo, ids, time } = await conversation(tell)
  const phone = await tell.client('juliet', 'phone')
  await phone.sends(`<iq type='set' id='a1'><query xmlns='${MAM}' queryid='f27'/></iq>`)
  const wrapped = (index: number, message: string): string => `
    <message from='${juliet}' to='${phone.jid}'>
      <result xmlns='${MAM}' queryid='f27' id='${ids[index]}'>
        <forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='${time(index)}'/>${message}</forwarded>
      </result>
    </message>`
  await phone.receives(
    wrapped(
      0,
      `<message xmlns='jabber:client' type='chat' id='m1' from='${romeo}/orchard' to='${juliet}'><body>1</body></message>`,
    ),
  )
  await phone.receives(
    wrapped(
      1,
      `<message xmlns='jabber:client' type='chat' id='m2' from='${juliet}/balcony' to='${romeo}/orchard'><body>2</body></message>`,
    ),
  )
  for (const [index, id] of [
    [2, 'm3'],
    [3, 'm4'],
    [4, 'm5'],
  ] as const) {
    const message = `<message xmlns='jabber:client' type='chat' id='${id}' from='{any}' to='{any}'><body>{any}</body></message>`
    await phone.receives(wrapped(index, message))
  }
  await phone.receives(`
    <iq type='result' id='a1' from='${juliet}' to='${phone.jid}'>
      <fin xmlns='${MAM}' complete='true'>
        <set xmlns='${RSM}'><first>${ids[0]}</first><last>${ids[4]}</last><count>5</count></set>
      </fin>
    </iq>`)
  await phone.receivesNothing()
})

story('by conversation, time and ids, each and together', async (tell) => {
  const { juliet, romeo, nurse, ids, time } = await conversation(tell)
  const phone = await tell.client('juliet', 'phone')
  const [first = '', second = '', third = '', fourth = '', last = ''] = ids
  const table: readonly (readonly [string, Parameters<typeof query>[0]])[] = [
    ['12345', {}],
    ['124', { with: romeo }],
    ['124', { with: romeo.toUpperCase() }],
    ['12', { with: `${romeo}/orchard` }],
    ['35', { with: nurse }],
    ['', { with: juliet }],
    ['', { with: `%@${tell.domain}` }],
    ['2345', { start: time(1) }],
    ['12', { end: time(1) }],
    ['23', { start: time(1), end: time(2) }],
    ['', { start: time(2), end: time(1) }],
    // Times are kept in milliseconds; what is a little later than the first is not the first any more.
    ['2345', { start: time(0).replace('Z', '5Z') }],
    ['12345', { start: time(0).replace('Z', '000000000Z') }],
    ['1', { end: time(0).replace('Z', '9999999999Z') }],
    ['345', { 'after-id': second }],
    ['123', { 'before-id': fourth }],
    ['3', { 'after-id': second, 'before-id': fourth }],
    ['15', { ids: [last, first] }],
    ['4', { with: romeo, start: time(2) }],
    ['2', { with: romeo, 'after-id': first, end: time(2) }],
    ['', { with: nurse, ids: [first] }],
    ['12345', { 'include-groupchat': 'true' }],
    ['12345', { 'include-groupchat': '0' }],
  ]
  for (const [expected, fields] of table) {
    const found = await results(phone, query(fields))
    assert.equal(found.bodies, expected, JSON.stringify(fields))
    assert.equal(found.fin, 'true')
  }
  assert.equal((await results(phone, query({ 'after-id': third }), juliet)).bodies, '45', 'with a to as well')
})

story('page by page, forwards and backwards, until it is complete', async (tell) => {
  const { ids } = await conversation(tell)
  const phone = await tell.client('juliet', 'phone')
  const pages: string[] = []
  const read = async (step: (from: Readonly<Record<string, string>>) => string) => {
    pages.length = 0
    for (let set = '<max>2</max>', known: Readonly<Record<string, string>> = {}; ; ) {
      const found = await results(phone, query({}, set + step(known)))
      pages.push(found.bodies)
      if (found.fin === 'true') return pages.join(' ')
      assert.equal(found.fin, undefined)
      assert.equal(found.set.first, found.ids[0])
      assert.equal(found.set.last, found.ids.at(-1))
      known = found.set
      set = '<max>2</max>'
    }
  }
  assert.equal(await read(({ last }) => (last === undefined ? '' : `<after>${last}</after>`)), '12 34 5')
  assert.equal(await read(({ first }) => `<before>${first ?? ''}</before>`), '45 23 1')
  const flipped = await results(phone, query({}, '<max>3</max><before/>', '<flip-page/>'))
  assert.equal(flipped.bodies, '543')
  assert.deepEqual([flipped.set.first, flipped.set.last], [ids[2], ids[4]])
  const conversationPage = await results(phone, query({ 'after-id': ids[0] ?? '' }, '<max>1</max><before/>'))
  assert.equal(conversationPage.bodies, '5')
  assert.deepEqual((await results(phone, query({}, '<max>0</max>'))).set, { count: '5' })
  // Where a page is to begin does not make the result set smaller (XEP-0059 §2.2).
  for (const edge of [`<after>${ids[2]}</after>`, `<before>${ids[2]}</before>`, '<before/>'])
    assert.deepEqual((await results(phone, query({}, `<max>0</max>${edge}`))).set, { count: '5' })
  assert.deepEqual((await results(phone, query({ 'after-id': ids[2] ?? '' }, '<max>0</max>'))).set, { count: '2' })
  assert.equal((await results(phone, query({}, '<max>99999999999999999999</max>'))).bodies, '12345')
})

story('ids that the archive does not hold, and what is no query, are errors', async (tell) => {
  const { ids, romeo } = await conversation(tell)
  const phone = await tell.client('juliet', 'phone')
  const others = await archiveSaid(tell.stores, romeo, [{ from: `${romeo}/a`, to: romeo, body: 'x' }])
  const [known = ''] = ids
  const gone = String(Number(known) - 1)
  const table: readonly (readonly [string, string])[] = [
    ['item-not-found', query({ 'after-id': gone })],
    ['item-not-found', query({ 'before-id': 'x' })],
    ['item-not-found', query({ ids: [known, gone] })],
    ['item-not-found', query({ ids: [others[0] === known ? gone : (others[0] ?? '')] })],
    ['item-not-found', query({}, `<after>${gone}</after>`)],
    ['item-not-found', query({}, `<before>0${known}</before>`)],
    ['item-not-found', query({}, `<max>0</max><after>${gone}</after>`)],
    ['bad-request', query({}, '<max>-1</max>')],
    ['bad-request', query({}, '<max>many</max>')],
    ['feature-not-implemented', query({}, '<max>1</max><index>3</index>')],
    ['feature-not-implemented', query({ '{http://example.com/}free-text-search': 'love' })],
    ['jid-malformed', query({ with: '%' })],
    ['jid-malformed', query({ with: [] })],
    ['bad-request', query({ start: 'yesterday' })],
    ['bad-request', query({ end: '2026-02-31T00:00:00Z' })],
    ['bad-request', query({ 'include-groupchat': 'perhaps' })],
    ['policy-violation', query({ ids: Array.from({ length: 101 }, () => known) })],
    ['policy-violation', query().replace('q1', 'q'.repeat(257))],
    ['feature-not-implemented', query().replace('queryid', `node='urn:xmpp:microblog:0' queryid`)],
    ['bad-request', query({ with: romeo }).replace(`<value>${MAM}`, '<value>urn:xmpp:mam:1')],
    ['bad-request', query({ with: romeo }).replace(`'submit'`, `'form'`)],
  ]
  for (const [condition, xml] of table) assert.equal((await results(phone, xml)).condition, condition, xml)
  await phone.receivesNothing()
})

story('what the archive holds, and which fields a query may have', async (tell) => {
  const { account, client } = tell
  const empty = await client('tybalt', 'phone')
  await empty.sends(`<iq type='get' id='m1'><metadata xmlns='${MAM}'/></iq>`)
  await empty.receives(
    `<iq type='result' id='m1' from='${empty.bare}' to='${empty.jid}'><metadata xmlns='${MAM}'/></iq>`,
  )
  const nothing = await results(empty, query())
  assert.deepEqual([nothing.fin, nothing.set], ['true', { count: '0' }])
  const { ids, time } = await conversation(tell)
  const phone = await client('juliet', 'phone')
  await phone.sends(`<iq type='get' id='m2' to='${await account('juliet')}'><metadata xmlns='${MAM}'/></iq>`)
  await phone.receives(`
    <iq type='result' id='m2' from='${phone.bare}' to='${phone.jid}'><metadata xmlns='${MAM}'>
      <start id='${ids[0]}' timestamp='${time(0)}'/><end id='${ids[4]}' timestamp='${time(4)}'/>
    </metadata></iq>`)
  const form = await phone.asks('get', `<query xmlns='${MAM}'/>`)
  const fields = (inside(form, 'query', 'x')?.children ?? []) as readonly Element[]
  assert.deepEqual(
    fields.map((field) => [field.attrs.var, field.attrs.type]),
    [
      ['FORM_TYPE', 'hidden'],
      ['with', 'jid-single'],
      ['start', 'text-single'],
      ['end', 'text-single'],
      ['before-id', 'text-single'],
      ['after-id', 'text-single'],
      ['ids', 'list-multi'],
      ['include-groupchat', 'boolean'],
    ],
  )
  const info = await phone.asks('get', `<query xmlns='http://jabber.org/protocol/disco#info'/>`, phone.bare)
  const features = (inside(info, 'query')?.children ?? []).map((c) => typeof c !== 'string' && c.attrs.var)
  for (const feature of [MAM, `${MAM}#extended`, `${MAM}#groupchat-field`, RSM]) assert.ok(features.includes(feature))
})

story('strangers and contacts get what they get from no account', async (tell) => {
  const { juliet } = await conversation(tell)
  const romeo = await tell.client('romeo', 'orchard')
  for (const to of [juliet, tell.stranger('nobody'), tell.domain]) {
    for (const [type, payload] of [
      ['set', query()],
      ['get', `<query xmlns='${MAM}'/>`],
      ['get', `<metadata xmlns='${MAM}'/>`],
    ]) {
      await romeo.sends(`<iq type='${type}' id='x1' to='${to}'>${payload}</iq>`)
      await romeo.receives(bounce('iq', { id: 'x1', from: to, to: romeo.jid }, 'cancel', 'service-unavailable'))
    }
  }
  assert.deepEqual((await results(romeo, query())).bodies, '')
})

story('row 20: results that a client makes up do not reach anybody', async ({ client }) => {
  const mallory = await client('mallory', 'm')
  const juliet = await client('juliet', 'balcony')
  await juliet.isAvailable()
  const forged = `<result xmlns='${MAM}' id='1'><forwarded xmlns='urn:xmpp:forward:0'>
    <message xmlns='jabber:client' from='romeo@${juliet.domain}/a' to='${juliet.bare}'><body>Farewell</body></message>
  </forwarded></result>`
  for (const to of [juliet.jid, juliet.bare]) {
    await mallory.sends(`<message to='${to}' id='f1'>${forged}</message>`)
    await mallory.receives(bounce('message', { id: 'f1', from: to, to: mallory.jid }, 'cancel', 'not-allowed'))
  }
  await juliet.receivesNothing()
})

story('a page is bounded in entries and in bytes', async ({ client, stores, account }) => {
  const [juliet, romeo] = [await account('juliet'), await account('romeo')]
  await archiveSaid(
    stores,
    juliet,
    Array.from({ length: 300 }, (_, i) => ({ from: `${romeo}/a`, to: juliet, body: String(i % 10) })),
  )
  const phone = await client('juliet', 'phone')
  const asked = await results(phone, query({}, '<max>1000</max>'))
  assert.deepEqual([asked.bodies.length, asked.fin], [250, undefined])
  assert.equal((await results(phone, query())).bodies.length, 50)
  const large = 'x'.repeat(100_000)
  await archiveSaid(
    stores,
    juliet,
    Array.from({ length: 5 }, () => ({ from: `${romeo}/a`, to: juliet, body: large })),
  )
  const rest = await results(phone, query({}, `<max>100</max><before/>`))
  assert.deepEqual([rest.ids.length, rest.fin], [3, undefined])
  const more = await results(phone, query({}, `<max>100</max><after>${rest.set.first}</after>`))
  assert.deepEqual([more.ids.length, more.fin], [2, 'true'])
})

story(
  'a device that asks many things at once gets each answer whole',
  async (tell) => {
    const { client } = tell
    await conversation(tell)
    const phone = await client('juliet', 'phone')
    for (let i = 0; i < 20; i++) await phone.sends(`<iq type='set' id='p${i}'>${query({}, '<max>2</max>')}</iq>`)
    for (let i = 0; i < 20; i++) {
      for (const body of ['1', '2'])
        assert.equal(textOf(inside(await phone.receivesAny(), 'result', 'forwarded', 'message', 'body')), body)
      assert.equal((await phone.receivesAny()).attrs.id, `p${i}`)
    }
  },
  { servers: 1 },
)

story(
  'results keep their order, ahead of the end, while older messages still wait for the device',
  async (tell) => {
    const { juliet } = await conversation(tell)
    const romeo = await tell.client('romeo', 'orchard')
    const phone = await tell.client('juliet', 'phone', { manualAcks: true })
    await phone.enablesAcks()
    await romeo.enablesAcks()
    for (let i = 0; i < 15; i++)
      await romeo.sends(`<message to='${juliet}' type='chat' id='w${i}'><body>w</body></message>`)
    await romeo.isAcknowledged()
    phone.connection.write('<presence/>')
    const waited: (string | undefined)[] = []
    while (waited.length < 10) {
      const e = await phone.receivesAny()
      if (e.name === 'message') waited.push(e.attrs.id)
    }
    // It confirms nothing, so the rest stays in the log for now.
    await phone.sends(`<iq type='set' id='q'>${query({}, '<max>5</max>')}</iq>`)
    const heard: (string | undefined)[] = []
    while (heard.at(-1) !== 'q') {
      const e = await phone.receivesAny()
      if (e.name === 'message' || e.name === 'iq')
        heard.push(textOf(inside(e, 'result', 'forwarded', 'message', 'body')) ?? e.attrs.id)
    }
    assert.deepEqual(heard, ['1', '2', '3', '4', '5', 'q'])
  },
  { config: { limits: { session: { unacknowledged: 10 } } } },
)
