import { createInterface } from 'node:readline'
import { client, type XmlElement, type XmppClient, xml } from '@xmpp/client'
import type { ForeignEvent, ForeignOrder } from './foreign-devices.ts'

const COME_MS = 10_000
const NS_SASL2 = 'urn:xmpp:sasl:2'
const NS_SM = 'urn:xmpp:sm:3'

/** Many clients of xmpp.js in one process, which obey the orders of a fault test. */

const tell = (event: ForeignEvent): void => void process.stdout.write(`${JSON.stringify(event)}\n`)
const clients = new Map<string, XmppClient>()
const online = new Set<string>()
const coming = new Set<string>()
const orders = new Map<string, Promise<void>>()
const begins = (name: string, resumed: boolean): void => {
  coming.delete(name)
  online.add(name)
  tell({ is: 'online', name, resumed })
}
const ends = (name: string, why: string): void => {
  const was = coming.delete(name)
  if (online.delete(name) || was) tell({ is: 'offline', name, why })
}

function made({ name, user: username, password, resource, domain, port }: ForeignOrder & { readonly do: 'come' }) {
  const xmpp = client({
    service: `xmpp://127.0.0.1:${port}`,
    domain,
    resource,
    // Its SCRAM takes a second of JavaScript for each login.
    credentials: (authenticate) => authenticate({ username, password }, 'PLAIN'),
  })
  xmpp.timeout = 10_000
  const isCurrent = (): boolean => clients.get(name) === xmpp
  // When it comes again is decided by the test.
  xmpp.reconnect.stop()
  xmpp.on('error', (error) => {
    process.stderr.write(`${name}: ${error.message}\n`)
    // Of a connection lost in the TLS handshake nothing else is heard.
    if (isCurrent() && coming.has(name)) givesUp(xmpp, name, error.message)
  })
  // With SASL2 it would bind as a client that reads the archive instead of waiting messages (XEP-0386), and it does not read it.
  xmpp.prependListener('element', (element) => {
    if (element.name === 'stream:features')
      element.children = element.children.filter((c) => typeof c === 'string' || !c.is('authentication', NS_SASL2))
  })
  let isArriving = false
  const arrives = (): void => {
    if (!isArriving || !xmpp.streamManagement.enabled) return
    isArriving = false
    xmpp
      .send(xml('presence'))
      .then(() => isCurrent() && begins(name, false))
      .catch(() => {})
  }
  // COMPAT(@xmpp/client 0.14): it does not count what comes together with <enabled/>, so nothing is asked for before.
  xmpp.on('online', () => {
    isArriving = true
    setImmediate(arrives)
  })
  xmpp.on('nonza', (element) => {
    if (element.is('enabled', NS_SM)) setImmediate(arrives)
  })
  xmpp.on('disconnect', () => {
    if (!isCurrent()) return
    // What it had begun goes on and would write into the next connection.
    if (coming.has(name)) givesUp(xmpp, name, 'disconnected')
    else ends(name, 'disconnected')
  })
  xmpp.on('stanza', (stanza) => hear(name, domain, stanza))
  const { streamManagement } = xmpp
  streamManagement.on('resumed', () => {
    if (isCurrent()) begins(name, true)
  })
  streamManagement.on('ack', ({ attrs, name: kind }) => {
    if (kind === 'message' && attrs.id !== undefined) tell({ is: 'acknowledged', name, id: attrs.id })
  })
  clients.set(name, xmpp)
  return xmpp
}
function hear(name: string, domain: string, stanza: XmlElement): void {
  if (!stanza.is('message')) return
  const { id = '', type } = stanza.attrs
  if (type === 'error') {
    tell({ is: 'error', name, id, text: String(stanza) })
    return
  }
  const logId = stanza.getChild('stanza-id', 'urn:xmpp:sid:0')?.attrs.id ?? null
  const delays = stanza.getChildren('delay', 'urn:xmpp:delay')
  tell({ is: 'message', name, id, logId, delayed: delays.some((d) => d.attrs.from === domain) })
}

async function comes(order: ForeignOrder & { readonly do: 'come' }): Promise<void> {
  const { name } = order
  if (online.has(name)) return
  const known = clients.get(name)
  const xmpp = known ?? made(order)
  coming.add(name)
  try {
    await within(COME_MS, known === undefined ? xmpp.start() : xmpp.reconnect.reconnect(), gone(xmpp))
  } catch (error) {
    if (clients.get(name) === xmpp) givesUp(xmpp, name, String(error))
  }
}
/** The next time it is made anew, whatever comes of this one. */
function givesUp(xmpp: XmppClient, name: string, why: string): void {
  clients.delete(name)
  socketOf(xmpp)?.destroy()
  ends(name, why)
}
/** TLS lies in an object around it. */
const socketOf = ({ socket }: XmppClient) => (socket !== null && 'socket' in socket ? socket.socket : socket)
async function cut(name: string): Promise<void> {
  const xmpp = clients.get(name)
  if (xmpp === undefined) return
  const socket = socketOf(xmpp)
  if (socket) {
    const lost = gone(xmpp)
    socket.destroy()
    await within(COME_MS, lost).catch(() => {})
  }
  // It does not always notice.
  if (online.has(name)) givesUp(xmpp, name, 'cut')
}
const gone = (xmpp: XmppClient): Promise<void> => new Promise((done) => xmpp.on('disconnect', done))
async function within(ms: number, ...works: readonly Promise<unknown>[]): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error('not in time')), ms)
  await Promise.race([...works, promise]).finally(() => clearTimeout(timer))
}
async function leaves(name: string): Promise<void> {
  const xmpp = clients.get(name)
  if (xmpp !== undefined) await within(COME_MS, xmpp.stop()).catch(() => {})
  clients.delete(name)
  ends(name, 'left')
}
async function says({ name, to, id }: ForeignOrder & { readonly do: 'say' }): Promise<void> {
  const xmpp = clients.get(name)
  if (xmpp?.streamManagement.enabled !== true) {
    tell({ is: 'unsent', name, id })
    return
  }
  // What could not be written stays in its queue for the next stream.
  await xmpp
    .send(xml('message', { to, type: 'chat', id }, xml('body', {}, 'A message of the fault test')))
    .catch(() => {})
}

// COMPAT(@xmpp/client 0.14): a connection lost in the TLS handshake rejects a promise that nobody holds.
process.on('unhandledRejection', (error) => process.stderr.write(`${String(error)}\n`))
for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line) as ForeignOrder
  const { name } = order
  if (order.do === 'say') {
    void says(order)
    continue
  }
  const work = () => (order.do === 'come' ? comes(order) : order.do === 'cut' ? cut(name) : leaves(name))
  orders.set(name, (orders.get(name) ?? Promise.resolve()).then(work))
}
process.exit(0)
