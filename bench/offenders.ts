import { authenticate, secureStream } from '../test/helpers/login.ts'
import { XmppConnection } from '../test/helpers/xmpp-connection.ts'

/** Where, as whom, and what to do; it ends with SIGTERM, after a line of what it did. */
const [port = '', domain = '', password = '', offences = ''] = process.argv.slice(2)
const settings = { port: Number(port), domain, directTls: true }
/** What each offence has come to: bytes, messages, connections that were ended. */
const done = { drip: 0, flood: 0, nest: 0, swell: 0 }
const turn = (): Promise<void> => new Promise((done) => setImmediate(done))

/** One byte in each turn of the event loop, in a stanza that never ends. */
async function drips(): Promise<void> {
  const c = await XmppConnection.open(settings)
  await secureStream(c)
  c.write(`<iq type='set'><query xmlns='`)
  while (!c.ended) {
    c.write('x')
    done.drip++
    await turn()
  }
}

const BURST = 50
/** Messages to an account that is away, as fast as they can be written. */
async function floods(): Promise<void> {
  const c = await XmppConnection.open(settings)
  await secureStream(c)
  await authenticate(c, { username: 'flooder', password })
  await c.openStream()
  await c.features()
  c.write(`<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>`)
  await c.element()
  const burst = `<message to='sink@${domain}' type='chat'><body>${'flood '.repeat(50)}</body></message>`.repeat(BURST)
  while (!c.ended) {
    c.write(burst)
    done.flood += BURST
    await c.drained()
    await turn()
  }
}

/** Sends this before login, is thrown out, comes again. */
async function breaksLimits(offence: 'nest' | 'swell', xml: string): Promise<void> {
  const c = await XmppConnection.open(settings)
  await secureStream(c)
  c.write(xml)
  await c.closes()
  done[offence]++
}

/** What fails here is what the server is there to make fail. */
async function again(work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch {
    await turn()
  }
}
async function forEver(work: () => Promise<void>): Promise<void> {
  for (;;) await again(work)
}

const OFFENCES: Readonly<Record<string, () => void>> = {
  drip: () => void forEver(drips),
  flood: () => void forEver(floods),
  nest: () => void forEver(() => breaksLimits('nest', `<a xmlns='urn:x'>`.repeat(1000))),
  swell: () => void forEver(() => breaksLimits('swell', `<x xmlns='urn:x'>${'<a/>'.repeat(10_000)}</x>`)),
}
for (const offence of offences.split(',')) OFFENCES[offence]?.()
process.stdout.write('at work\n')
// It waits for its end also when it has nothing to do.
setInterval(() => undefined, 60_000)
process.once('SIGTERM', () => process.stdout.write(JSON.stringify(done), () => process.exit()))
