import assert from 'node:assert/strict'
import { bind, logIn, NS_SM } from '../helpers/login.ts'
import { write } from '../helpers/match-element.ts'
import { PASSWORD, type Story, story } from '../helpers/story.ts'
import type { XmppClient } from '../helpers/xmpp-client.ts'

/** Row 31 of the attacks: what can be done with acknowledgements and resumption. */

const local = (jid: string): string => jid.slice(0, jid.indexOf('@'))
const isUnharmed = async (witness: XmppClient): Promise<void> => {
  const answer = await witness.asks('get', `<ping xmlns='urn:xmpp:ping'/>`, witness.domain)
  assert.equal(answer.attrs.type, 'result')
}
/** A client with acknowledgements on that has been sent `count` stanzas, and has acknowledged none. */
async function owing(tell: Story, count: number): Promise<XmppClient> {
  const romeo = await tell.client('romeo', undefined, { manualAcks: true })
  await romeo.enablesAcks({ resume: true })
  for (let i = 0; i < count; i++) await romeo.asks('get', `<ping xmlns='urn:xmpp:ping'/>`, romeo.domain)
  return romeo
}

story(
  'row 31: an h higher than what was sent, by however much, ends the stream and tells both counts',
  async (tell) => {
    const witness = await tell.client('juliet', 'w')
    for (const h of [4, 1_000, 2 ** 31, 2 ** 32 - 1]) {
      const romeo = await owing(tell, 3)
      romeo.acks(h)
      const error = await romeo.connection.endsWith('undefined-condition')
      assert.match(write(error), new RegExp(`<handled-count-too-high xmlns='${NS_SM}' h='${h}' send-count='3'`))
      assert.match(write(error), /<text /)
      await isUnharmed(witness)
    }
  },
  { servers: 1 },
)

story(
  'row 31: an h below the last one does not wrap into an acknowledgement of all',
  async (tell) => {
    const romeo = await owing(tell, 3)
    romeo.acks(3)
    romeo.acks(2)
    const error = await romeo.connection.endsWith('undefined-condition')
    assert.match(write(error), /handled-count-too-high/)
  },
  { servers: 1 },
)

story(
  'row 31: an h that is no unsigned 32-bit number ends the stream',
  async (tell) => {
    for (const h of [
      '-1',
      '1.5',
      '1e0',
      '0x1',
      '4294967296',
      '99999999999999999999',
      '',
      ' 1',
      '١',
      'NaN',
      undefined,
    ]) {
      const romeo = await owing(tell, 2)
      romeo.connection.write(`<a xmlns='${NS_SM}'${h === undefined ? '' : ` h='${h}'`}/>`)
      const error = await romeo.connection.endsWith('invalid-xml')
      assert.match(write(error), /<text /, String(h))
    }
  },
  { servers: 1 },
)

story(
  'row 31: acknowledgements of a stream that never enabled them end it',
  async (tell) => {
    for (const xml of [`<a xmlns='${NS_SM}' h='0'/>`, `<r xmlns='${NS_SM}'/>`, `<made-up xmlns='${NS_SM}'/>`]) {
      const romeo = await tell.client('romeo')
      romeo.connection.write(xml)
      await romeo.connection.endsWith('unsupported-stanza-type')
    }
    const bound = await tell.client('romeo')
    bound.connection.write(`<resume xmlns='${NS_SM}' previd='x' h='0'/>`)
    await bound.connection.endsWith('policy-violation')
  },
  { servers: 1 },
)

story(
  'row 31: 20,000 requests for an answer are answered, and cost nobody else',
  async (tell) => {
    const witness = await tell.client('juliet', 'w')
    const romeo = await tell.client('romeo', 'r')
    await romeo.enablesAcks()
    romeo.connection.write(`<r xmlns='${NS_SM}'/>`.repeat(20_000))
    await isUnharmed(witness)
    // Every answer that was owed has come before this one.
    const answer = await romeo.asks('get', `<ping xmlns='urn:xmpp:ping'/>`, romeo.domain)
    assert.equal(answer.attrs.type, 'result')
    assert.equal(await romeo.asksForAck(), 1)
  },
  { servers: 1 },
)

story(
  "row 31: another account's session is neither resumed nor disturbed, whatever is tried",
  async (tell) => {
    const romeo = await tell.client('romeo', 'garden')
    await romeo.enablesAcks({ resume: true })
    const smid = romeo.smid ?? ''
    const gone = await tell.client('romeo', 'gone')
    await gone.enablesAcks({ resume: true })
    gone.drops()
    const tybalt = local(await tell.account('tybalt'))
    const thief = await tell.connection({ directTls: true })
    await logIn(thief, { username: tybalt, password: PASSWORD })
    const answers = new Set<string>()
    for (const previd of [smid, gone.smid ?? '', `${smid} `, smid.toLowerCase(), smid.slice(0, -1), 'A'.repeat(22)]) {
      for (const h of ['0', '4294967295']) {
        thief.write(`<resume xmlns='${NS_SM}' previd='${previd}' h='${h}'/>`)
        answers.add(write(await thief.element()))
      }
    }
    // The victim's id is answered as one that never was.
    assert.equal(answers.size, 1, [...answers].join('\n'))
    assert.match([...answers].join(), /<failed .*item-not-found/)
    assert.ok((await bind(thief, 'street')).startsWith(`${tybalt}@`))
    await romeo.receivesNothing()
    assert.equal((await gone.resumes()).name, 'resumed')
  },
  { servers: 1 },
)

story(
  'row 31: two connections that resume one session at once leave one session',
  async (tell) => {
    const romeo = await tell.client('romeo', 'garden')
    await romeo.enablesAcks({ resume: true })
    const username = local(romeo.bare)
    romeo.drops()
    const both = [await tell.connection({ directTls: true }), await tell.connection({ directTls: true })]
    for (const c of both) await logIn(c, { username, password: PASSWORD })
    for (const c of both) c.write(`<resume xmlns='${NS_SM}' previd='${romeo.smid}' h='0'/>`)
    const [first, second] = both
    assert.equal((await first?.element())?.name, 'resumed')
    await first?.endsWith('conflict')
    assert.equal((await second?.element())?.name, 'resumed')
    second?.write(`<iq type='get' id='p' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>`)
    assert.equal((await second?.element())?.attrs.id, 'p')
  },
  { servers: 1 },
)

story(
  'row 31: a resumption with an h that is too high does not keep the lost session for ever',
  async (tell) => {
    const watch = await tell.client('romeo', 'watch', { hearsPresence: true })
    await watch.isAvailable()
    const phone = await tell.client('romeo', 'phone')
    await phone.enablesAcks({ resume: true })
    await phone.isAvailable()
    assert.equal((await watch.receivesAny()).attrs.from, phone.jid)
    phone.drops()
    assert.match(write(await phone.resumes({ h: 5_000 })), /handled-count-too-high/)
    const left = await watch.receivesAny()
    assert.equal(`${left.attrs.from} ${left.attrs.type}`, `${phone.jid} unavailable`)
    assert.match(write(await phone.resumes({ h: 0 })), /item-not-found/)
  },
  { servers: 1, config: { limits: { session: { resume_time: '1s' } } } },
)

story(
  'row 31: sessions left behind are bounded, and nobody locks himself out with them',
  async (tell) => {
    const witness = await tell.client('juliet', 'w')
    for (let i = 0; i < 12; i++) {
      const romeo = await tell.client('romeo', `r${i}`)
      await romeo.enablesAcks({ resume: true })
      romeo.drops()
    }
    const page = await (await fetch(`http://127.0.0.1:${tell.servers[0]?.opsPort}/metrics`)).text()
    const sessions = Number(/^fernruf_c2s_sessions(?:\{[^}]*\})? (\d+)/m.exec(page)?.[1])
    assert.ok(sessions <= 1 + 4, `${sessions} sessions`)
    await isUnharmed(witness)
  },
  { servers: 1, config: { limits: { session: { per_account: 4 } } } },
)
