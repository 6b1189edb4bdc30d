import { type Agent, createClient, type Stanzas } from 'stanza'
import { type Order, obey, type Remembered, tell } from './orders.ts'
import { TlsTransport } from './tls-transport.ts'

type Login = Order & { readonly do: 'login' }
type Phone = Order & { readonly do: 'phone' }

const bare = (jid = ''): string => jid.split('/')[0] ?? ''

function tellContacts(roster: Stanzas.Roster | undefined): void {
  for (const { jid = '', subscription = 'none' } of roster?.items ?? []) tell({ is: 'contact', jid, subscription })
}

function newAgent(order: Login | Phone, user: string, resource: string): Agent {
  const agent = createClient({
    jid: `${user}@${order.domain}`,
    password: order.password,
    server: order.domain,
    resource,
    autoReconnect: false,
    // The type knows the two transports that the package brings.
    transports: { tls: `xmpps://127.0.0.1:${order.tlsPort}` } as Record<string, string>,
    transportPreferenceOrder: ['tls'] as never[],
  })
  agent.transports.tls = TlsTransport
  // Of channel bindings it knows tls-unique, which TLS 1.3 has not.
  agent.sasl.disable('SCRAM-SHA-256-PLUS')
  agent.sasl.disable('SCRAM-SHA-1-PLUS')
  agent.on('stream:error', ({ condition, text = '' }) => tell({ is: 'failed', why: `${condition} ${text}` }))
  return agent
}

/** Connects by direct TLS; an account that does not exist yet is made on the same stream, before SASL. */
async function login(order: Login): Promise<Agent> {
  const agent = newAgent(order, order.user, order.resource)
  if (order.register) {
    const { user: username, password } = order
    agent.registerFeature('inbandRegistration', 50, (_features, done) => {
      const registered = (): void => {
        agent.features.negotiated.inbandRegistration = true
        tell({ is: 'registered', user: username })
        done()
      }
      const refused = (answer: Stanzas.IQ): void => done('disconnect', answer.error?.condition)
      agent.updateAccount(order.domain, { username, password }).then(registered, refused)
    })
  }
  agent.on('message', ({ from, body, delay, type }) => {
    if (body !== undefined && type !== 'error') tell({ is: 'message', from, body, delayed: delay !== undefined })
  })
  agent.on('carbon:sent', ({ carbon }) => tellCopy('sent', carbon.forward.message))
  agent.on('carbon:received', ({ carbon }) => tellCopy('received', carbon.forward.message))
  agent.sm.on('send', ({ type }: Stanzas.StreamManagement) => {
    if (type === 'ack') tell({ is: 'acknowledged' })
  })
  agent.on('subscribe', ({ from }) => tell({ is: 'request', from: bare(from) }))
  agent.on('available', ({ from }) => tell({ is: 'presence', from, available: true }))
  agent.on('unavailable', ({ from }) => tell({ is: 'presence', from, available: false }))
  agent.on('roster:update', ({ roster }) => tellContacts(roster))
  const started = new Promise<void>((resolve, reject) => {
    agent.once('session:started', () => resolve())
    agent.once('auth:failed', () => reject(new Error('login was refused')))
    agent.once('disconnected', () => reject(new Error('the connection ended')))
  })
  await agent.connect()
  await started
  tellContacts(await agent.getRoster())
  agent.sendPresence()
  tell({ is: 'online', jid: agent.jid })
  return agent
}

function tellCopy(direction: 'sent' | 'received', message: Stanzas.Forward['message'] = {}): void {
  const { from = '', to = '', body = '' } = message
  tell({ is: 'copy', direction, from, to, body })
}
async function tellHistory(agent: Agent, contact: string): Promise<void> {
  const messages: Remembered[] = []
  for (let paging: Stanzas.Paging = { max: 2 }; ; ) {
    const page = await agent.searchHistory({ with: contact, paging })
    for (const { id, item } of page.results ?? []) {
      const { from = '', body = '' } = item.message ?? {}
      messages.push({ id, from, body })
    }
    if (page.complete === true) break
    const { last } = page.paging ?? {}
    if (last === undefined) throw new Error('a page without end')
    paging = { max: 2, after: last }
  }
  tell({ is: 'history', messages })
}

/** Fills in the form with the number, and again with the code that the test read. */
async function fillIn(agent: Agent, order: Phone, codeComes: Promise<string>): Promise<void> {
  const submit = async (filled: Readonly<Record<string, string>>): Promise<string | undefined> => {
    const fields = Object.entries(filled).map(([name, value]) => ({ name, type: 'text-single' as const, value }))
    const { account } = await agent.updateAccount(order.domain, { form: { type: 'submit', fields } })
    return account?.username
  }
  const { form } = await agent.getAccountInfo(order.domain)
  const fields = (form?.fields ?? []).map(({ name = '' }) => name)
  const filled = { FORM_TYPE: 'jabber:iq:register', phone: order.phone, password: order.password }
  try {
    await submit(filled)
  } catch (refusal) {
    const { condition = '', text = '' } = (refusal as Stanzas.IQ).error ?? {}
    tell({ is: 'asked', condition, text, fields })
  }
  const user = await submit({ ...filled, code: await codeComes })
  tell({ is: 'registered', user: user ?? '' })
}
async function registerPhone(order: Phone, codeComes: Promise<string>): Promise<void> {
  const agent = newAgent(order, '', '')
  const isOffered = new Promise<void>((offered) => {
    agent.registerFeature('inbandRegistration', 50, () => offered())
  })
  await agent.connect()
  await isOffered
  await fillIn(agent, order, codeComes)
  await leave(agent)
}

/** It gets a slot; the bytes are the browser's matter. */
async function upload(agent: Agent, { name, type, body }: Extract<Order, { do: 'upload' }>): Promise<void> {
  const service = await agent.getUploadService()
  const size = Buffer.byteLength(body)
  const slot = await agent.getUploadSlot(service.jid, { name, size, mediaType: type })
  const { upload: to, download } = slot
  const headers = Object.fromEntries((to.headers ?? []).map((header) => [header.name, header.value]))
  const answer = await fetch(to.url, { method: 'PUT', body, headers: { ...headers, 'content-type': type } })
  if (answer.status !== 201) throw new Error(`the upload was answered with ${answer.status}`)
  tell({ is: 'uploaded', url: download })
}

async function leave(agent: Agent): Promise<void> {
  const gone = new Promise<void>((done) => agent.once('disconnected', () => done()))
  await agent.disconnect()
  await gone
}

const code = Promise.withResolvers<string>()
let registration: Promise<void> | undefined
let session: Agent | undefined
await obey(async (order) => {
  switch (order.do) {
    case 'phone':
      registration = registerPhone(order, code.promise)
      return
    case 'code':
      code.resolve(order.code)
      return registration
    case 'login':
      session = await login(order)
      return
    case 'add':
      await session?.updateRosterItem({ jid: order.jid, subscription: 'none' })
      return session?.subscribe(order.jid)
    case 'accept':
      return session?.acceptSubscription(order.jid)
    case 'say':
      // sendMessage() only queues, and what is queued is lost when it disconnects.
      return session?.send('message', { id: session.nextId(), to: order.to, type: 'chat', body: order.body })
    case 'copies':
      await session?.enableCarbons()
      return tell({ is: 'copying' })
    case 'history':
      return session && tellHistory(session, order.with)
    case 'upload':
      return session && upload(session, order)
    case 'cut':
      throw new Error('it does not come back')
    case 'leave':
      if (session !== undefined) await leave(session)
      return
  }
})
