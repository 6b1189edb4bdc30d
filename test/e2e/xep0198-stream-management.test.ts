import assert from 'node:assert/strict'
import { bind, logIn, NS_SM } from '../helpers/login.ts'
import { difference, parse, write } from '../helpers/match-element.ts'
import { PASSWORD, story } from '../helpers/story.ts'

const sent = (to: string, id: string): string =>
  `<message to='${to}' type='chat' id='${id}'><body>${id}</body></message>`
const local = (jid: string): string => jid.slice(0, jid.indexOf('@'))

story('acknowledgements count stanzas, and only stanzas', async ({ client, account }) => {
  const romeo = await client('romeo', 'garden')
  const enabled = await romeo.enablesAcks({ resume: true })
  assert.equal(enabled.name, 'enabled')
  assert.ok((enabled.attrs.id ?? '').length >= 22, 'the id cannot be guessed')
  assert.equal(await romeo.asksForAck(), 0)
  await romeo.sends('<presence/>')
  await romeo.sends(`<iq type='get' id='p' to='${romeo.domain}'><ping xmlns='urn:xmpp:ping'/></iq>`)
  await romeo.receives(`<iq type='result' id='p' from='${romeo.domain}' to='${romeo.jid}'/>`)
  await romeo.sends(sent(await account('juliet'), 'm1'))
  await romeo.isAcknowledged()
  assert.equal(romeo.acknowledged, 3)
})

story('a message to somebody away is acknowledged when it is kept; it is there then', async ({ client, account }) => {
  const romeo = await client('romeo', 'garden')
  const juliet = await account('juliet')
  await romeo.enablesAcks()
  for (let i = 0; i < 30; i++) await romeo.sends(sent(juliet, `m${i}`))
  await romeo.isAcknowledged()
  const phone = await client('juliet', 'phone')
  await phone.isAvailable()
  for (let i = 0; i < 30; i++) assert.equal((await phone.receivesAny()).attrs.id, `m${i}`)
})

story(
  'a message is acknowledged when a device has taken it, or it is kept, or bounced',
  async ({ client, stranger }) => {
    const romeo = await client('romeo', 'garden')
    const juliet = await client('juliet', 'phone')
    await romeo.enablesAcks()
    await juliet.enablesAcks()
    await juliet.isAvailable()
    await romeo.sends(sent(juliet.bare, 'm1'))
    await juliet.receives(
      `<message from='${romeo.jid}' to='${juliet.bare}' type='chat' id='m1'><body>m1</body></message>`,
    )
    juliet.acks()
    await romeo.isAcknowledged()
    await romeo.sends(sent(stranger('nobody'), 'm2'))
    await romeo.isAcknowledged()
    // Nobody acknowledges this one: it is committed instead, and nothing stays unsettled.
    const silent = await client('tybalt', 'street', { manualAcks: true })
    await silent.enablesAcks()
    await silent.isAvailable()
    await romeo.sends(sent(silent.bare, 'm3'))
    await romeo.isAcknowledged()
  },
)

story('<r/> is answered when what it asks about is settled', async ({ client }) => {
  const romeo = await client('romeo', 'garden')
  await romeo.enablesAcks()
  for (let i = 1; i <= 5; i++) {
    await romeo.sends('<presence/>')
    assert.equal(await romeo.asksForAck(), i)
  }
})

story('a lost stream is resumed: nothing is lost, doubled or out of order', async ({ client }) => {
  const romeo = await client('romeo', 'garden')
  const juliet = await client('juliet', 'phone', { server: 1 })
  await juliet.enablesAcks({ resume: true })
  await juliet.isAvailable()
  await romeo.sends(sent(juliet.bare, 'm1'))
  await juliet.receives(
    `<message from='${romeo.jid}' to='${juliet.bare}' type='chat' id='m1'><body>m1</body></message>`,
  )
  juliet.drops()
  for (const id of ['m2', 'm3', 'm4']) await romeo.sends(sent(juliet.bare, id))
  const answer = await juliet.resumes()
  assert.equal(difference(parse(`<resumed xmlns='${NS_SM}' previd='${juliet.smid}' h='{any}'/>`), answer), undefined)
  for (const id of ['m2', 'm3', 'm4']) {
    const got = await juliet.receivesAny()
    assert.equal(got.attrs.id, id)
    assert.equal(got.attrs.from, romeo.jid)
  }
  await juliet.receivesNothing()
})

for (const available of [true, false])
  story(
    `what came while a device was away comes in the order in which it was sent, whatever it is; available ${available}`,
    async ({ client }) => {
      const romeo = await client('romeo', 'garden')
      const phone = await client('juliet', 'phone', { hearsPresence: true })
      await phone.enablesAcks({ resume: true })
      if (available) await phone.isAvailable()
      phone.connection.half()
      await phone.connection.closes()
      const { jid } = phone
      await romeo.sends(sent(jid, 'm1'))
      await romeo.sends(`<presence to='${jid}' id='p1'/>`)
      await romeo.sends(sent(jid, 'm2'))
      await romeo.sends(
        `<message to='${jid}' type='chat' id='s1'><active xmlns='http://jabber.org/protocol/chatstates'/></message>`,
      )
      await romeo.sends(`<iq to='${jid}' type='get' id='i1'><ping xmlns='urn:xmpp:ping'/></iq>`)
      await romeo.sends(sent(jid, 'm3'))
      await romeo.sends(`<presence to='${jid}' type='unavailable' id='p2'/>`)
      await romeo.receivesNothing()
      await phone.resumes()
      for (const id of ['m1', 'p1', 'm2', 's1', 'i1', 'm3', 'p2'])
        assert.equal((await phone.receivesAny()).attrs.id, id)
      await phone.receivesNothing()
    },
  )

story('what was sent before the loss and not acknowledged is sent again', async ({ client }) => {
  const romeo = await client('romeo', 'garden')
  const juliet = await client('juliet', 'phone', { server: 1 })
  await juliet.enablesAcks({ resume: true })
  await juliet.isAvailable()
  for (const id of ['m1', 'm2', 'm3']) await romeo.sends(sent(juliet.bare, id))
  for (const id of ['m1', 'm2', 'm3']) assert.equal((await juliet.receivesAny()).attrs.id, id)
  const seen = juliet.handled
  juliet.drops()
  await juliet.resumes({ h: seen - 2 })
  for (const id of ['m2', 'm3']) assert.equal((await juliet.receivesAny()).attrs.id, id)
  await juliet.receivesNothing()
})

story('a client resends after resumption what `h` does not cover, and it arrives once', async ({ client }) => {
  const romeo = await client('romeo', 'garden', { server: 0 })
  const juliet = await client('juliet', 'phone')
  await juliet.isAvailable()
  await romeo.enablesAcks({ resume: true })
  for (let i = 0; i < 20; i++) await romeo.sends(sent(juliet.bare, `m${i}`))
  romeo.drops()
  await romeo.resumes()
  await romeo.sends(sent(juliet.bare, 'last'))
  const ids: string[] = []
  while (ids.at(-1) !== 'last') ids.push((await juliet.receivesAny()).attrs.id ?? '')
  assert.deepEqual(ids, [...Array.from({ length: 20 }, (_, i) => `m${i}`), 'last'])
})

story('an `h` higher than what was sent ends the stream', async ({ client }) => {
  const romeo = await client('romeo', 'garden')
  await romeo.enablesAcks()
  await romeo.receivesNothing()
  romeo.acks(romeo.handled + 1000)
  const error = await romeo.connection.endsWith('undefined-condition')
  assert.match(JSON.stringify(error), /handled-count-too-high/)
})

story('a resume with an `h` that is too high fails', async ({ client }) => {
  const romeo = await client('romeo', 'garden', { server: 0 })
  await romeo.enablesAcks({ resume: true })
  romeo.drops()
  const answer = await romeo.resumes({ h: 4_000_000 })
  assert.match(JSON.stringify(answer), /handled-count-too-high/)
})

story('the stream of another account is not resumed', async ({ client, connection, account }) => {
  const romeo = await client('romeo', 'garden')
  await romeo.enablesAcks({ resume: true })
  const tybalt = await account('tybalt')
  const c = await connection({ directTls: true, server: 0 })
  await logIn(c, { username: local(tybalt), password: PASSWORD })
  for (const previd of [romeo.smid ?? '', '', 'made-up', '__proto__', 'x'.repeat(4000)]) {
    c.write(`<resume xmlns='${NS_SM}' previd='${previd}' h='0'/>`)
    const answer = await c.element()
    assert.equal(answer.name, 'failed')
    assert.match(JSON.stringify(answer), /item-not-found/)
  }
  assert.equal(await bind(c, 'street'), `${tybalt}/street`)
  await romeo.receivesNothing()
})

story('after a failed resume a client may bind', async ({ connection, account }) => {
  const jid = await account('romeo')
  const c = await connection({ directTls: true })
  await logIn(c, { username: local(jid), password: PASSWORD })
  for (const [attrs, condition] of [
    [`previd='gone' h='5'`, 'item-not-found'],
    [`h='5'`, 'item-not-found'],
    [`previd='gone'`, 'bad-request'],
    [`previd='gone' h='-5'`, 'bad-request'],
    ['', 'bad-request'],
  ] as const) {
    c.write(`<resume xmlns='${NS_SM}' ${attrs}/>`)
    const failed = await c.element()
    assert.equal(difference(parse(`<failed xmlns='${NS_SM}'>{...}</failed>`), failed), undefined)
    assert.ok(write(failed).includes(`<${condition} `), attrs)
  }
  assert.equal(await bind(c, 'new'), `${jid}/new`)
  c.write(`<enable xmlns='${NS_SM}'/>`)
  assert.equal((await c.element()).name, 'enabled')
})

story('enable before bind, and twice, fails', async ({ connection, account }) => {
  const jid = await account('romeo')
  const c = await connection({ directTls: true })
  await logIn(c, { username: local(jid), password: PASSWORD })
  c.write(`<enable xmlns='${NS_SM}'/>`)
  const early = await c.element()
  assert.equal(early.name, 'failed')
  assert.match(JSON.stringify(early), /unexpected-request/)
  await bind(c, 'r')
  c.write(`<enable xmlns='${NS_SM}'/>`)
  assert.equal((await c.element()).name, 'enabled')
  c.write(`<enable xmlns='${NS_SM}'/>`)
  const again = await c.next()
  assert.ok(again.kind !== 'element' || again.element.name !== 'enabled')
})

story('a stream that was closed properly cannot be resumed; its messages come to the next one', async ({ client }) => {
  const romeo = await client('romeo', 'garden')
  const juliet = await client('juliet', 'phone', { server: 1 })
  await juliet.enablesAcks({ resume: true })
  await juliet.isAvailable()
  const bare = juliet.bare
  await juliet.disconnects()
  await romeo.sends(sent(bare, 'm1'))
  const answer = await juliet.resumes()
  assert.equal(answer.name, 'failed')
  await bind(juliet.connection, 'phone')
  await juliet.isAvailable()
  assert.equal((await juliet.receivesAny()).attrs.id, 'm1')
})

story(
  'a lost device stays available until the resume time is over; another may take its messages',
  async ({ client }) => {
    const romeo = await client('romeo', 'garden')
    const phone = await client('juliet', 'phone')
    await phone.enablesAcks({ resume: true })
    await phone.isAvailable()
    phone.drops()
    await romeo.sends(sent(phone.bare, 'm1'))
    const laptop = await client('juliet', 'laptop')
    await laptop.isAvailable()
    assert.equal((await laptop.receivesAny()).attrs.id, 'm1')
    await laptop.receivesNothing()
  },
)

story('stanzas without enable are not counted and <r/> is not understood', async ({ client }) => {
  const romeo = await client('romeo', 'garden', { manualAcks: true })
  romeo.connection.write(`<r xmlns='${NS_SM}'/>`)
  const answer = await romeo.connection.next()
  assert.ok(answer.kind !== 'element' || answer.element.name !== 'a')
})

story(
  'a device that leaves <r/> unanswered is ended, and what it did not take comes to the next',
  async ({ client }) => {
    const romeo = await client('romeo', 'garden')
    const phone = await client('juliet', 'phone', { manualAcks: true })
    await phone.enablesAcks()
    await phone.isAvailable()
    await romeo.sends(sent(phone.bare, 'm1'))
    await phone.connection.closes()
    const laptop = await client('juliet', 'laptop')
    await laptop.isAvailable()
    assert.equal((await laptop.receivesAny()).attrs.id, 'm1')
  },
  { config: { limits: { stream: { answer_timeout: '2s' } } } },
)
