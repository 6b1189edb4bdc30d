import assert from 'node:assert/strict'
import { test } from 'node:test'
import { authenticate, secureStream } from '../helpers/login.ts'
import { PASSWORD, story } from '../helpers/story.ts'
import type { XmppClient } from '../helpers/xmpp-client.ts'

/** Rounds of pings that the witnesses do while the offenders are at work. */
const ROUNDS = 60
/** What the witnesses waited for their answers, ms. */
const waits: number[] = []

story('nobody is disconnected because of what others do', async ({ client, connection, account, domain }) => {
  const witnesses = [await client('alice', 'a'), await client('bob', 'b')]
  const [alice, bob] = witnesses
  assert.ok(alice !== undefined && bob !== undefined)
  for (const w of witnesses) await w.isAvailable()
  const romeo = (await account('romeo')).split('@')[0] ?? ''
  let over = false
  const turn = (): Promise<void> => new Promise((done) => setImmediate(done))

  /** One byte in each turn of the event loop, for ever in the same stanza. */
  const drips = async (): Promise<void> => {
    const c = await connection({ directTls: true })
    await secureStream(c)
    c.write(`<iq type='set'><query xmlns='`)
    while (!over && !c.ended) {
      c.write('x')
      await turn()
    }
  }
  /** Messages as fast as they can be written, to somebody who reads slowly. */
  const floods = async (): Promise<void> => {
    const flooder = await client('mallory', 'flood')
    const victim = await client('mallory', 'sink')
    await victim.isAvailable()
    victim.connection.pause()
    const burst = `<message to='${victim.bare}' type='chat'><body>${'flood '.repeat(50)}</body></message>`.repeat(20)
    while (!over && !flooder.connection.ended) {
      flooder.connection.write(burst)
      await flooder.connection.drained()
      await turn()
    }
  }
  /** Opens elements and closes none; comes again when it is thrown out. */
  const nests = async (): Promise<void> => {
    let thrownOut = 0
    while (!over || thrownOut === 0) {
      const c = await connection({ directTls: true })
      await secureStream(c)
      c.write(`<a xmlns='urn:x'>`.repeat(1000))
      await c.endsWith('policy-violation')
      thrownOut++
    }
  }
  /** 10,000 elements in one before login; comes again when it is thrown out. */
  const swells = async (): Promise<void> => {
    let thrownOut = 0
    while (!over || thrownOut === 0) {
      const c = await connection({ directTls: true })
      await secureStream(c)
      c.write(`<x xmlns='urn:x'>${'<a/>'.repeat(10_000)}</x>`)
      await c.endsWith('policy-violation')
      thrownOut++
    }
  }
  /** One login after the other, several at a time. */
  const logsIn = async (): Promise<void> => {
    while (!over) {
      const c = await connection({ directTls: true })
      await secureStream(c)
      await authenticate(c, { username: romeo, password: PASSWORD })
      c.destroy()
    }
  }

  const offences = [drips(), floods(), nests(), swells(), logsIn(), logsIn(), logsIn()]
  for (let round = 0; round < ROUNDS; round++) {
    for (const witness of witnesses) {
      const asked = performance.now()
      const answer = await witness.asks('get', `<ping xmlns='urn:xmpp:ping'/>`, domain)
      waits.push(performance.now() - asked)
      assert.equal(answer.attrs.type, 'result')
    }
    await alice.sends(`<message to='${bob.jid}' type='chat' id='f${round}'><body>still here</body></message>`)
    assert.equal((await bob.receivesAny()).attrs.id, `f${round}`)
  }
  over = true
  await Promise.all(offences)
  assert.ok(witnesses.every((w: XmppClient) => w.online))
})

// Servers, offenders and witnesses are one process here: the bench of this name has the server's own figures.
test('the witnesses did not wait long', (t) => {
  const sorted = waits.toSorted((a, b) => a - b)
  const at = (share: number): number => sorted[Math.floor(share * sorted.length)] ?? Number.NaN
  t.diagnostic(`${sorted.length} pings: p50 ${at(0.5).toFixed(1)} ms, p99 ${at(0.99).toFixed(1)} ms`)
  assert.ok(at(0.99) < 500, `p99 ${at(0.99)} ms`)
})
