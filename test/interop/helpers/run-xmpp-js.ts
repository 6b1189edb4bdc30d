import { client, type XmlElement, type XmppClient, xml } from '@xmpp/client'
import { type Order, obey, tell } from './orders.ts'

const NS_ROSTER = 'jabber:iq:roster'
const NS_REGISTER = 'jabber:iq:register'
const NS_SM = 'urn:xmpp:sm:3'
const NS_SASL2 = 'urn:xmpp:sasl:2'
const NS_DELAY = 'urn:xmpp:delay'
const NS_CARBONS = 'urn:xmpp:carbons:2'
const TIMEOUT_MS = 15_000

const tellContacts = (query: XmlElement | undefined): void => {
  for (const { attrs } of query?.getChildren('item') ?? [])
    tell({ is: 'contact', jid: attrs.jid ?? '', subscription: attrs.subscription ?? 'none' })
}

function tellStanza(stanza: XmlElement): void {
  const { from = '', type } = stanza.attrs
  if (stanza.is('message')) {
    const body = stanza.getChildText('body')
    const delayed = stanza.getChild('delay', NS_DELAY) !== undefined
    if (body !== null && type !== 'error') tell({ is: 'message', from, body, delayed })
    for (const direction of ['sent', 'received'] as const) tellCopy(direction, stanza.getChild(direction, NS_CARBONS))
  } else if (stanza.is('presence')) {
    if (type === 'subscribe') tell({ is: 'request', from })
    else if (type === undefined || type === 'unavailable') tell({ is: 'presence', from, available: type === undefined })
  }
}

function tellCopy(direction: 'sent' | 'received', copy: XmlElement | undefined): void {
  const message = copy?.getChild('forwarded')?.getChild('message')
  if (message === undefined) return
  const { from = '', to = '' } = message.attrs
  tell({ is: 'copy', direction, from, to, body: message.getChildText('body') ?? '' })
}

/** Connects by STARTTLS; an account that does not exist yet is made on the same stream, before SASL. */
async function login(order: Order & { readonly do: 'login' }): Promise<XmppClient> {
  const { user: username, password, domain, resource } = order
  const xmpp = client({
    service: `xmpp://127.0.0.1:${order.port}`,
    domain,
    resource,
    credentials: async (authenticate, mechanisms) => {
      if (order.register && session === undefined) {
        const fields = [xml('username', {}, username), xml('password', {}, password)]
        await xmpp.iqCaller.request(xml('iq', { type: 'set' }, xml('query', { xmlns: NS_REGISTER }, ...fields)))
        tell({ is: 'registered', user: username })
      }
      const [mechanism] = mechanisms
      if (mechanism === undefined) throw new Error('no mechanism in common')
      await authenticate({ username, password }, mechanism)
    },
  })
  xmpp.timeout = TIMEOUT_MS
  xmpp.reconnect.stop()
  xmpp.on('error', (error) => tell({ is: 'failed', why: error.message }))
  xmpp.on('stanza', tellStanza)
  xmpp.on('send', (element) => {
    if (element.is('a', NS_SM)) tell({ is: 'acknowledged' })
  })
  // 0.14.0 does not count answers to its own requests, so that its h stays behind, and what it has taken would come again.
  xmpp.on('element', (element) => {
    const { type } = element.attrs
    if (element.is('iq') && (type === 'result' || type === 'error')) xmpp.streamManagement.inbound++
  })
  // With SASL2 it would bind as a client that reads the archive instead of waiting messages (XEP-0386), and it does not read it;
  // run-xmpp-js-fast.ts is for that way in.
  xmpp.prependListener('element', (element) => {
    if (element.name === 'stream:features')
      element.children = element.children.filter((c) => typeof c === 'string' || !c.is('authentication', NS_SASL2))
  })
  xmpp.streamManagement.on('resumed', () => tell({ is: 'resumed' }))
  xmpp.iqCallee.set(NS_ROSTER, 'query', ({ element }) => {
    tellContacts(element)
    return {}
  })
  const address = await xmpp.start()
  tellContacts(await xmpp.iqCaller.get(xml('query', { xmlns: NS_ROSTER })))
  await xmpp.send(xml('presence'))
  tell({ is: 'online', jid: String(address) })
  return xmpp
}

let session: XmppClient | undefined
await obey(async (order) => {
  if (order.do === 'login') session = await login(order)
  if (session === undefined) return
  switch (order.do) {
    case 'add': {
      const query = xml('query', { xmlns: NS_ROSTER }, xml('item', { jid: order.jid }))
      await session.iqCaller.request(xml('iq', { type: 'set' }, query))
      return session.send(xml('presence', { to: order.jid, type: 'subscribe' }))
    }
    case 'accept':
      return session.send(xml('presence', { to: order.jid, type: 'subscribed' }))
    case 'say':
      return session.send(xml('message', { to: order.to, type: 'chat' }, xml('body', {}, order.body)))
    case 'copies':
      await session.iqCaller.request(xml('iq', { type: 'set' }, xml('enable', { xmlns: NS_CARBONS })))
      return tell({ is: 'copying' })
    case 'history':
      throw new Error('it reads no archive')
    case 'upload':
      throw new Error('it uploads nothing')
    case 'cut':
      session.reconnect.start()
      session.socket?.socket?.destroy()
      return tell({ is: 'cut' })
    case 'leave':
      await session.stop()
      // 0.14.0 goes on waiting for the answer to a header where that came sooner than it looked, and keeps the process alive.
      return process.exit(0)
  }
})
