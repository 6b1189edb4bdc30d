import { authenticate, secureStream } from '../test/helpers/login.ts'
import { XmppConnection } from '../test/helpers/xmpp-connection.ts'

/** Where, as whom, and what to do; the process runs until it is killed. */
const [port = '', domain = '', password = '', offences = ''] = process.argv.slice(2)
const settings = { port: Number(port), domain, directTls: true }
const turn = (): Promise<void> => new Promise((done) => setImmediate(done))

/** One byte in each turn of the event loop, in a stanza that never ends. */
async function drips(): Promise<void> {
  const c = await XmppConnection.open(settings)
  await secureStream(c)
  c.write(`<iq type='set'><query xmlns='`)
  while (!c.ended) {
    c.write('x')
    await turn()
  }
}

/** Messages to an account that is away, as fast as they can be written. */
async function floods(): Promise<void> {
  const c = await XmppConnection.open(settings)
  await secureStream(c)
  await authenticate(c, { username: 'flooder', password })
  await c.openStream()
  await c.features()
  c.write(`<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>`)
  await c.element()
  const burst = `<message to='sink@${domain}' type='chat'><body>${'flood '.repeat(50)}</body></message>`.repeat(50)
  while (!c.ended) {
    c.write(burst)
    await c.drained()
    await turn()
  }
}

/** Sends this before login, is thrown out, comes again. */
async function breaksLimits(xml: string): Promise<void> {
  const c = await XmppConnection.open(settings)
  await secureStream(c)
  c.write(xml)
  await c.closes()
}

/** So many logins a second with SCRAM, whether the server keeps up or not. */
function logsIn(perSecond: number): void {
  setInterval(() => {
    void again(async () => {
      const c = await XmppConnection.open(settings)
      await secureStream(c)
      await authenticate(c, { username: 'loginner', password })
      c.destroy()
    })
  }, 1000 / perSecond)
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
  nest: () => void forEver(() => breaksLimits(`<a xmlns='urn:x'>`.repeat(1000))),
  swell: () => void forEver(() => breaksLimits(`<x xmlns='urn:x'>${'<a/>'.repeat(10_000)}</x>`)),
  login: () => logsIn(100),
}
for (const offence of offences.split(',')) OFFENCES[offence]?.()
process.stdout.write('at work\n')
