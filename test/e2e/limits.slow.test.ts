import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { limits } from '../../src/config/limits.ts'
import type { Element } from '../../src/xmpp/element.ts'
import { bind, logIn, NS_SM, secureStream } from '../helpers/login.ts'
import { write } from '../helpers/match-element.ts'
import { PASSWORD, type Story, story } from '../helpers/story.ts'
import type { XmppClient } from '../helpers/xmpp-client.ts'
import { NS_TLS, XmppConnection } from '../helpers/xmpp-connection.ts'

const HERE = 'e2e/limits.slow.test.ts'
const THERE = 'e2e/limits-connections.slow.test.ts'
/** Which file tests each limit; after #, what the part that obeys it calls it there. */
const TESTED: Readonly<Record<string, string>> = {
  'stanza.max_bytes': HERE,
  'stanza.max_depth': HERE,
  'stanza.max_elements': HERE,
  'stanza.max_attributes': HERE,
  'stanza.max_namespaces': HERE,
  'stanza_before_login.max_bytes': HERE,
  'stanza_before_login.max_depth': HERE,
  'stanza_before_login.max_elements': HERE,
  'stanza_before_login.max_attributes': HERE,
  'stanza_before_login.max_namespaces': HERE,
  'stream.login_timeout': HERE,
  'stream.idle_timeout': HERE,
  'stream.answer_timeout': 'e2e/xep0198-stream-management.test.ts',
  'stream.close_timeout': HERE,
  'stream.out_queue': HERE,
  'connections.total': THERE,
  'connections.per_address': THERE,
  'connections.before_login': THERE,
  'connections.before_login_per_address': THERE,
  'login.attempts': THERE,
  'login.failures_per_address': THERE,
  'login.checks': THERE,
  'login.devices': 'stores/login-store.test.ts#seen\\(',
  'login.device_kept': 'stores/login-store.test.ts#purge\\(',
  'login.token_lifetime': 'unit/account/tokens.test.ts#lifetimeMs: ',
  'login.transfer_lifetime': 'unit/keys/transfers.test.ts#world\\(60_000\\)',
  'login.transfer_tries': 'e2e/kontalk-key-transfer.slow.test.ts',
  'lookup.new_per_day': 'e2e/kontalk-contact-discovery.slow.test.ts',
  'lookup.remote_new_per_day': 'unit/account/lookups.test.ts#remoteNewPerDay: ',
  'lookup.web_new_per_day': 'e2e/web-keys.slow.test.ts',
  'lookup.kept': 'stores/lookup-store.test.ts#purge\\(',
  'archive.entries': 'unit/inbox/tidy.test.ts',
  'archive.bytes': 'stores/archive-store.test.ts',
  'session.per_account': 'e2e/binding.test.ts',
  'session.resume_time': 'e2e/attacks-stream-management.slow.test.ts',
  'session.unacknowledged': HERE,
  'session.unacknowledged_bytes': HERE,
  'session.directed_presence': 'e2e/presence.test.ts',
  'roster.max_items': 'e2e/rfc6121-roster.test.ts',
  'roster.max_groups': HERE,
  'inbox.open_entries': 'e2e/xep0160-offline.test.ts',
  'inbox.open_bytes': HERE,
  'registration.code_lifetime': 'e2e/attacks-registration.slow.test.ts',
  'registration.code_attempts': 'e2e/attacks-registration.slow.test.ts',
  'registration.lock_attempts': 'e2e/kontalk-takeover.slow.test.ts',
  'registration.number': 'e2e/attacks-registration.slow.test.ts',
  'registration.address': 'e2e/attacks-registration.slow.test.ts',
  'registration.network': 'e2e/attacks-registration.slow.test.ts',
  'registration.prefix': 'e2e/attacks-registration.slow.test.ts',
  'registration.country': 'e2e/attacks-registration.slow.test.ts',
  'registration.total': 'e2e/attacks-registration.slow.test.ts',
  'registration.tries': 'e2e/attacks-registration.slow.test.ts',
  'registration.accounts': 'e2e/xep0077-register.test.ts',
  'http.max_header': THERE,
  'http.header_timeout': THERE,
  'http.request_timeout': 'unit/http/public.slow.test.ts#requestTimeoutMs: 600',
  'http.idle_timeout': 'unit/http/public.slow.test.ts#\\{ idleTimeoutMs: 200',
  'http.connections': 'unit/http/public.slow.test.ts#connections: 5',
  'http.connections_per_address': 'unit/http/public.slow.test.ts#connectionsPerAddress: 3',
  'http.requests_per_address': 'unit/http/public.slow.test.ts#requestsPerAddress: \\{ count: 3',
  'upload.max_file': 'stores/uploads.test.ts#maxFile: 100',
  'upload.slot_lifetime': 'stores/uploads.test.ts#slotMs: 60_000',
  'upload.bytes_per_day': 'e2e/xep0363-upload-limits.slow.test.ts',
  'upload.files_per_day': 'stores/upload-store.test.ts#filesPerDay: 4',
  'upload.total': 'stores/upload-store.test.ts#total: 150',
}
test('every limit has a test that sets it', () => {
  const keys = Object.entries(limits.parse({})).flatMap(([section, values]) =>
    Object.keys(values).map((key) => `${section}.${key}`),
  )
  assert.deepEqual(Object.keys(TESTED).sort(), keys.sort())
  for (const [key, place] of Object.entries(TESTED)) {
    const [file = '', word = `\\b${key.split('.')[1]}: `] = place.split('#')
    const text = readFileSync(new URL(`../${file}`, import.meta.url), 'utf8')
    assert.match(text, new RegExp(word), `${key} in ${file}`)
  }
})

/** What a test says of limits. */
const one = (limits: Readonly<Record<string, unknown>>) => ({ servers: 1, config: { limits } }) as const
const local = (jid: string): string => jid.slice(0, jid.indexOf('@'))
const pings = async (client: XmppClient, to = client.domain): Promise<Element> =>
  client.asks('get', `<ping xmlns='urn:xmpp:ping'/>`, to)

async function gauge(tell: Story, name: string): Promise<number> {
  const page = await (await fetch(`http://127.0.0.1:${tell.servers[0]?.opsPort}/metrics`)).text()
  return Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\d+)`, 'm').exec(page)?.[1] ?? Number.NaN)
}

const BOUNDS = { max_bytes: '10000B', max_depth: 6, max_elements: 12, max_attributes: 8, max_namespaces: 5 }
/** An element with so many, and one more. */
const SHAPES: Readonly<Record<keyof typeof BOUNDS, (count: number) => string>> = {
  max_bytes: (n) => `<iq type='get' id='x'>${' '.repeat(n - 27)}</iq>`,
  max_depth: (n) => `<iq type='get' id='x'>${`<a xmlns='u'>`.repeat(n - 1)}${'</a>'.repeat(n - 1)}</iq>`,
  max_elements: (n) => `<iq type='get' id='x'><a xmlns='u'>${'<b/>'.repeat(n - 2)}</a></iq>`,
  max_attributes: (n) => `<iq type='get' id='x' ${Array.from({ length: n - 2 }, (_, i) => `a${i}=''`).join(' ')}/>`,
  max_namespaces: (n) =>
    `<iq type='get' id='x'><a xmlns='u' ${Array.from({ length: n - 1 }, (_, i) => `xmlns:a${i}='u'`).join(' ')}/></iq>`,
}
for (const [key, shape] of Object.entries(SHAPES)) {
  const bound = Number.parseInt(String(BOUNDS[key as keyof typeof BOUNDS]), 10)
  story(
    `${key}: up to it an element is answered, beyond it the stream ends, before login and after it`,
    async (tell) => {
      const witness = await tell.client('juliet', 'w')
      for (const isLoggedIn of [false, true]) {
        const c = await tell.connection({ directTls: true })
        if (isLoggedIn) {
          await logIn(c, { username: local(await tell.account('romeo')), password: PASSWORD })
          await bind(c, 'r')
        } else {
          await secureStream(c)
        }
        c.write(shape(bound))
        assert.equal((await c.element()).attrs.id, 'x')
        c.write(shape(bound + 1))
        assert.match(write(await c.endsWith('policy-violation')), /<text /)
      }
      assert.equal((await pings(witness)).attrs.type, 'result')
    },
    one({ stanza: BOUNDS, stanza_before_login: BOUNDS }),
  )
}

story(
  'stream.login_timeout: it counts from the first byte on, through TLS as well',
  async (tell) => {
    const witness = await tell.client('juliet', 'w')
    const [server] = tell.servers
    const settings = { port: server?.directTlsPort ?? 0, domain: 'localhost' }
    const silent = await XmppConnection.open(settings)
    const halfHello = await XmppConnection.open(settings)
    halfHello.write(Uint8Array.of(0x16, 3, 1, 2, 0, 1, 0))
    const afterProceed = await tell.connection()
    await afterProceed.openStream()
    await afterProceed.features()
    afterProceed.write(`<starttls xmlns='${NS_TLS}'/>`)
    assert.equal((await afterProceed.element()).name, 'proceed')
    const unbound = await tell.connection({ directTls: true })
    await logIn(unbound, { username: local(await tell.account('romeo')), password: PASSWORD })
    const greeted = await tell.connection()
    await greeted.openStream()
    for (const c of [silent, halfHello, afterProceed]) await c.closes()
    for (const c of [unbound, greeted]) assert.match(write(await c.endsWith('connection-timeout')), /<text /)
    assert.equal((await pings(witness)).attrs.type, 'result')
  },
  one({ stream: { login_timeout: '1s', close_timeout: '1s' } }),
)

story(
  'stream.idle_timeout: who is silent is asked; who answers stays, who does not is gone',
  async (tell) => {
    const romeo = await tell.client('romeo', 'r', { manualAcks: true })
    await romeo.enablesAcks()
    assert.equal((await romeo.receivesAny()).name, 'r')
    romeo.acks(0)
    assert.equal((await romeo.receivesAny()).name, 'r')
    assert.match(write(await romeo.connection.endsWith('connection-timeout')), /<text /)
    const plain = await tell.client('juliet', 'j', { manualAcks: true })
    const question = await plain.receivesAny()
    assert.match(write(question), /urn:xmpp:ping/)
    await plain.isDisconnected('connection-timeout')
  },
  one({ stream: { idle_timeout: '1s', answer_timeout: '1s' } }),
)

story(
  'stream.close_timeout: who does not close his end is cut off',
  async (tell) => {
    const romeo = await tell.client('romeo', 'r')
    const juliet = await tell.client('juliet', 'j')
    for (const c of [romeo.connection, juliet.connection]) c.pause()
    romeo.connection.write('</stream:stream>')
    juliet.connection.write('<not-well-formed')
    juliet.connection.write('<')
    while ((await gauge(tell, 'fernruf_c2s_connections')) > 0);
  },
  one({ stream: { close_timeout: '1s' } }),
)

story(
  'stream.out_queue: who does not read his answers is read no further, and loses none of them',
  async (tell) => {
    const witness = await tell.client('juliet', 'w')
    const romeo = await tell.client('romeo', 'r')
    const count = 30_000
    romeo.connection.pause()
    for (let i = 0; i < count; i++)
      romeo.connection.write(`<iq type='get' id='${'x'.repeat(250)}${i}'><ping xmlns='urn:xmpp:ping'/></iq>`)
    // In as many turns all of them would have been answered twice.
    for (let i = 0; i < 1_000; i++) assert.equal((await pings(witness)).attrs.type, 'result')
    const answered = await gauge(tell, 'fernruf_route_stanzas_total')
    assert.ok(answered < count / 2, `${answered} of ${count} answered`)
    romeo.connection.resume()
    for (let i = 0; i < count; i++) assert.ok((await romeo.connection.element()).attrs.id?.endsWith(`x${i}`))
  },
  one({ stream: { out_queue: '16KiB' } }),
)

story(
  'stream.out_queue: what others send to one who does not read ends at sixteen times that',
  async (tell) => {
    const witness = await tell.client('juliet', 'w')
    const sink = await tell.client('romeo', 'sink')
    const flood = await tell.client('romeo', 'flood')
    sink.connection.pause()
    const request = `<iq type='get' id='f' to='${sink.jid}'><a xmlns='${'x'.repeat(60_000)}'/></iq>`
    const bounced = (async () => {
      for (;;) {
        const answer = await flood.connection.element()
        if (answer.attrs.id === 'f') return write(answer)
      }
    })()
    let isOver = false
    void bounced.then(() => (isOver = true))
    for (let sent = 0; !isOver; sent++) {
      assert.ok(sent < 1_000, 'everything was kept for somebody who does not read')
      flood.connection.write(request)
      await flood.connection.drained()
      await pings(witness)
    }
    assert.match(await bounced, /service-unavailable/)
    sink.connection.resume()
    await sink.connection.closes()
    assert.ok(!flood.connection.ended)
  },
  one({ stream: { out_queue: '16KiB' } }),
)

story(
  'session.unacknowledged: messages beyond it wait in the log until there is room',
  async (tell) => {
    const romeo = await tell.client('romeo', 'r')
    const juliet = await tell.client('juliet', 'j', { manualAcks: true })
    await juliet.enablesAcks()
    await juliet.isAvailable()
    juliet.acks()
    await romeo.enablesAcks()
    for (let i = 0; i < 12; i++)
      await romeo.sends(`<message to='${juliet.bare}' type='chat' id='${i}'><body>m</body></message>`)
    await romeo.isAcknowledged()
    juliet.connection.write(`<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>`)
    const got: string[] = []
    const reads = async (last: string): Promise<void> => {
      while (got.at(-1) !== last) {
        const e = await juliet.receivesAny()
        if (e.ns !== NS_SM) got.push(e.attrs.id ?? '')
      }
    }
    await reads('p')
    assert.ok(got.length <= 1 + 5, got.join(' '))
    const seen = got.length - 1
    juliet.acks()
    while (got.at(-1) !== '11') {
      await reads(String(Math.min(11, got.length - 1 + 4)))
      juliet.acks()
    }
    assert.deepEqual(
      got.filter((id) => id !== 'p').map(Number),
      Array.from({ length: 12 }, (_, i) => i),
      `after ${seen}`,
    )
  },
  one({ session: { unacknowledged: 5 } }),
)

story(
  'session.unacknowledged: a client that confirms nothing of what it asks for is ended',
  async (tell) => {
    const juliet = await tell.client('juliet', 'j', { manualAcks: true })
    await juliet.enablesAcks()
    for (let i = 0; i < 40; i++)
      juliet.connection.write(
        `<iq type='get' id='p${i}'><ping xmlns='urn:xmpp:ping'/></iq><a xmlns='urn:xmpp:sm:3' h='0'/>`,
      )
    await juliet.isDisconnected('resource-constraint')
  },
  one({ session: { unacknowledged: 5 } }),
)

story(
  'session.unacknowledged_bytes: messages beyond them wait in the log until there is room',
  async (tell) => {
    const romeo = await tell.client('romeo', 'r')
    const juliet = await tell.client('juliet', 'j', { manualAcks: true })
    await juliet.enablesAcks()
    await juliet.isAvailable()
    juliet.acks()
    await romeo.enablesAcks()
    const body = 'm'.repeat(3_000)
    for (let i = 0; i < 12; i++)
      await romeo.sends(`<message to='${juliet.bare}' type='chat' id='${i}'><body>${body}</body></message>`)
    await romeo.isAcknowledged()
    juliet.connection.write(`<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>`)
    const got: string[] = []
    while (got.at(-1) !== 'p') {
      const e = await juliet.receivesAny()
      if (e.ns !== NS_SM) got.push(e.attrs.id ?? '')
    }
    assert.ok(got.length <= 1 + 4, got.join(' '))
    got.pop()
    while (got.length < 12) {
      juliet.acks()
      const e = await juliet.receivesAny()
      if (e.ns !== NS_SM) got.push(e.attrs.id ?? '')
    }
    assert.deepEqual(
      got.map(Number),
      Array.from({ length: 12 }, (_, i) => i),
    )
    await juliet.receivesNothing()
  },
  one({ session: { unacknowledged_bytes: '10KiB' } }),
)

story(
  'session.unacknowledged_bytes: a client that confirms nothing of what it is sent is ended at twice that',
  async (tell) => {
    const romeo = await tell.client('romeo', 'r')
    const juliet = await tell.client('juliet', 'j', { manualAcks: true })
    await juliet.enablesAcks()
    const request = (i: number) => `<iq type='get' id='q${i}' to='${juliet.jid}'><a xmlns='${'x'.repeat(3_000)}'/></iq>`
    for (let i = 0; i < 6; i++) await romeo.sends(request(i))
    const heard: string[] = []
    while (heard.length < 6) {
      const e = await juliet.receivesAny()
      if (e.ns !== NS_SM) heard.push(e.attrs.id ?? '')
    }
    assert.ok(!juliet.connection.ended, 'up to it nobody is ended')
    await romeo.sends(request(6))
    await juliet.isDisconnected('resource-constraint')
    assert.equal((await pings(romeo)).attrs.type, 'result')
  },
  one({ session: { unacknowledged_bytes: '10KiB' } }),
)

story(
  'roster.max_groups: a contact in more groups is refused, the roster stays as it was',
  async (tell) => {
    const romeo = await tell.client('romeo', 'r')
    const item = (groups: number): string =>
      `<query xmlns='jabber:iq:roster'><item jid='a@localhost'>${Array.from({ length: groups }, (_, i) => `<group>g${i}</group>`).join('')}</item></query>`
    assert.equal((await romeo.asks('set', item(2))).attrs.type, 'result')
    const refused = write(await romeo.asks('set', item(3)))
    assert.match(refused, /not-acceptable.*<text /)
    assert.ok(!write(await romeo.asks('get', `<query xmlns='jabber:iq:roster'/>`)).includes('g2'))
  },
  one({ roster: { max_groups: 2 } }),
)

story(
  'inbox.open_bytes: beyond them the sender is told, and what is there stays',
  async (tell) => {
    const romeo = await tell.client('romeo', 'r')
    const away = await tell.account('juliet')
    const kept: string[] = []
    let refused: Element | undefined
    for (let i = 0; refused === undefined; i++) {
      assert.ok(i < 30, 'nothing was refused')
      await romeo.sends(`<message to='${away}' type='chat' id='m${i}'><body>${'x'.repeat(2_000)}</body></message>`)
      const answer = await romeo.asks('get', `<ping xmlns='urn:xmpp:ping'/>`, away)
      assert.equal(answer.attrs.type, 'error')
      const bounce = await heldBounce(romeo)
      if (bounce === undefined) kept.push(`m${i}`)
      else refused = bounce
    }
    assert.match(write(refused), /type='wait'.*resource-constraint.*<text /)
    const juliet = await tell.client('juliet', 'j')
    await juliet.isAvailable()
    for (const id of kept) assert.equal((await juliet.receivesAny()).attrs.id, id)
    await juliet.receivesNothing()
  },
  one({ inbox: { open_bytes: '20KiB' } }),
)
/** A bounce that has come already. */
async function heldBounce(client: XmppClient): Promise<Element | undefined> {
  await client.sends(`<message to='${client.jid}' type='headline' id='end'><body>.</body></message>`)
  for (let bounce: Element | undefined; ; ) {
    const e = await client.receivesAny()
    if (e.attrs.id === 'end') return bounce
    bounce = e
  }
}
