import { client, type XmlElement, xml } from '@xmpp/client'
import { obey, tell } from './orders.ts'

const NS_SASL2 = 'urn:xmpp:sasl:2'

/** Logs in with what the client chooses by itself, logs out, logs in again, loses its connection, and comes back. */
await obey(async (order) => {
  if (order.do !== 'reconnect') return
  const xmpp = client({
    service: `xmpp://127.0.0.1:${order.port}`,
    domain: order.domain,
    resource: 'interop',
    username: order.user,
    password: order.password,
  })
  xmpp.on('error', (error) => tell({ is: 'failed', why: error.message }))
  let mechanism = ''
  let number = 0
  xmpp.on('send', (element) => {
    if (element.is('authenticate', NS_SASL2)) mechanism = element.attrs.mechanism ?? ''
  })
  const sessions: (() => void)[] = []
  xmpp.on('nonza', (element: XmlElement) => {
    if (!element.is('success', NS_SASL2)) return
    const outcome = element.getChild('resumed') === undefined ? 'bound' : 'resumed'
    const jid = element.getChildText('authorization-identifier') ?? ''
    tell({ is: 'session', number: ++number, mechanism, outcome, jid })
    sessions.shift()?.()
  })
  const session = (): Promise<void> => new Promise((resolve) => sessions.push(resolve))

  await xmpp.start()
  await xmpp.send(xml('presence'))
  await xmpp.stop()
  await xmpp.start()
  await xmpp.send(xml('presence'))
  const back = session()
  xmpp.socket?.socket?.destroy()
  await back
  process.exit(0)
})
