import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import { pino } from 'pino'
import type { LoginState, Proof } from '../../../src/account/login-store.ts'
import type { BindInline } from '../../../src/contract/handler.ts'
import type { LoginHost } from '../../../src/stream/login-host.ts'
import { loginFeatures } from '../../../src/stream/offer.ts'
import type { BoundSession, NegotiationParts } from '../../../src/stream/parts.ts'
import { mechanismsFor } from '../../../src/stream/sasl.ts'
import { Sasl2 } from '../../../src/stream/sasl2.ts'
import type { Stream } from '../../../src/stream/stream.ts'
import { type Element, el } from '../../../src/xmpp/element.ts'
import { type BareJid, bareJid, fullJid } from '../../../src/xmpp/jid.ts'
import { SaslError } from '../../../src/xmpp/sasl-error.ts'
import { serialize } from '../../../src/xmpp/serialize.ts'
import { StanzaError } from '../../../src/xmpp/stanza-error.ts'
import { StreamError } from '../../../src/xmpp/stream-error.ts'
import type { RawElement } from '../../../src/xmpp/tokenizer.ts'
import { parse } from '../../helpers/match-element.ts'
import { credentialsInMemory, EXAMPLE, ITERATIONS, saslContext } from '../../helpers/sasl-context.ts'
import { secretsOf } from '../../helpers/scram.ts'

const ROMEO = bareJid('romeo', EXAMPLE)
const AGENT = `<user-agent id='d4565fa7-4d72-4749-b3d3-740edbf87770'/>`
const NO_FACTS = { bindings: new Map(), certificate: undefined, hasBridge: false, isResumed: false, unique: undefined }

/** A negotiation around one login that writes down what happens, in order. */
class World {
  readonly happened: string[] = []
  readonly session = {
    jid: fullJid(ROMEO, 'r'),
    enable: () => el('enabled', 'urn:xmpp:sm:3'),
  } as unknown as BoundSession
  inlines: readonly BindInline[] = []
  from: BareJid | undefined = ROMEO
  state: () => Promise<LoginState | undefined> = async () => ({ id: 1, epoch: 0 })
  seen: (proof: Proof) => Promise<string | undefined> = async () => undefined
  bind: () => Promise<void> = async () => undefined
  #work: Promise<void> = Promise.resolve()
  error: unknown
  readonly sasl2: Sasl2

  constructor() {
    const credentials = credentialsInMemory()
    credentials.add('romeo', secretsOf('secret', ITERATIONS))
    const context = saslContext({ bindings: new Map(), credentials })
    let corked: string[] | undefined
    const say = (bytes: string): void => {
      if (corked === undefined) this.happened.push(bytes)
      else corked.push(bytes)
    }
    const stream = {
      ip: '192.0.2.1',
      log: pino({ level: 'silent' }),
      send: say,
      sendElement: (e: Element) => say(serialize(e, 'jabber:client')),
      cork: () => {
        corked ??= []
      },
      uncork: (first: string) => {
        const kept = corked ?? []
        corked = undefined
        for (const bytes of [first, ...kept]) say(bytes)
      },
    }
    const parts: Partial<NegotiationParts> = {
      sasl: context,
      mayTry: () => true,
      devices: {
        agentOf: () => Buffer.alloc(32, 1),
        resourceOf: () => 'stable',
        state: () => this.state(),
        seen: ({ proof }: { proof: Proof }) => this.seen(proof),
        bound: async (_account: LoginState, _agent: Uint8Array, resource: string) =>
          void this.happened.push(`noted ${resource}`),
      } as unknown as NegotiationParts['devices'],
      bind: async (_stream, account, wish) => {
        await this.bind()
        this.happened.push(`bind ${wish.resource} ${wish.skipWaiting} ${wish.stable}`)
        wish.begin(this.session)
        stream.send('<message/>')
        return fullJid(account.jid, wish.resource ?? '')
      },
    }
    Object.defineProperty(parts, 'bindInlines', { get: () => this.inlines })
    const world = this
    const host: LoginHost = {
      stream: stream as unknown as Stream,
      parts: parts as NegotiationParts,
      facts: NO_FACTS,
      get from() {
        return world.from
      },
      mechanisms: mechanismsFor(context),
      context,
      waiting: (work, then, failed) => {
        this.#work = work()
          .then(then, failed)
          .catch((error: unknown) => {
            this.error = error
          })
      },
      refused: (mechanism, error, failure) =>
        void this.happened.push(`refused ${mechanism} ${error.condition}`, serialize(failure, 'jabber:client')),
      authenticated: ({ jid }, mechanism) => void this.happened.push(`authenticated ${jid} ${mechanism}`),
      handOver: () => void this.happened.push('handed over'),
      features: (bound) => `<features ${bound}/>`,
    }
    this.host = host
    this.sasl2 = new Sasl2(host)
  }
  readonly host: LoginHost

  /** @returns what happened */
  async hears(xml: string): Promise<readonly string[]> {
    this.happened.length = 0
    const element = parse(xml)
    const raw = { token: 'element', name: element.name, ns: element.ns, element } as unknown as RawElement
    this.sasl2.element(raw)
    await this.#work
    return this.happened
  }
  logsIn(rest: string): Promise<readonly string[]> {
    const initial = Buffer.from('\0romeo\0secret').toString('base64')
    return this.hears(
      `<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'><initial-response>${initial}</initial-response>${rest}</authenticate>`,
    )
  }
}

let world: World
beforeEach(() => {
  world = new World()
})
const bindWith = (inner: string): string => `<bind xmlns='urn:xmpp:bind:0'>${inner}</bind>`
const told = (happened: readonly string[]): string => happened.find((line) => line.startsWith('<success')) ?? ''

describe('the order of a login', () => {
  test('the session is handed the stream before it hears anything, and the client the answer before that', async () => {
    const happened = await world.logsIn(AGENT + bindWith(`<tag>t</tag><enable xmlns='urn:xmpp:sm:3'/>`))
    assert.deepEqual(
      happened.map((line) => line.replace(/<success.*\/success>/, '<success>')),
      [
        'authenticated romeo@example.org PLAIN',
        'bind t/stable true stable',
        'handed over',
        'noted t/stable',
        '<success><features counted/>',
        '<message/>',
      ],
    )
    assert.match(told(happened), /<authorization-identifier>romeo@example.org\/t\/stable<.*<bound [^>]*><enabled /)
    assert.equal(world.sasl2.isBusy, false)
  })
  test('a resource that was bound before is not noted again', async () => {
    world.seen = async () => 't/stable'
    assert.ok(!(await world.logsIn(AGENT + bindWith('<tag>t</tag>'))).some((line) => line.startsWith('noted')))
  })
  test('nothing runs before the proof, and nothing after a refusal', async () => {
    const initial = Buffer.from('\0romeo\0wrong').toString('base64')
    const happened = await world.hears(
      `<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'><initial-response>${initial}</initial-response>${AGENT}${bindWith('')}</authenticate>`,
    )
    assert.equal(happened[0], 'refused PLAIN not-authorized')
    assert.equal(happened.length, 2)
    assert.equal(world.sasl2.isBusy, false)
  })
  test('while it is under way nothing else is taken', async () => {
    await world.hears(`<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'/>`)
    assert.equal(world.sasl2.isBusy, true)
    for (const xml of ['<authenticate/>', '<next/>', '<task-data/>', '<success/>', '<made-up/>']) {
      const error = await world.hears(xml.replace('/>', ` xmlns='urn:xmpp:sasl:2'/>`)).catch((e: unknown) => e)
      assert.ok(error instanceof StreamError && error.condition === 'policy-violation', xml)
    }
    assert.equal((await world.hears(`<abort xmlns='urn:xmpp:sasl:2'/>`))[0], 'refused PLAIN aborted')
  })
  test('without from, the account counts as it is when the proof is there', async () => {
    world.from = undefined
    let asked = 0
    world.state = async () => ({ id: ++asked, epoch: 0 })
    assert.match(told(await world.logsIn(AGENT)), /<success/)
    assert.equal(asked, 1)
  })
})

describe('what fails inside a login', () => {
  test('a store that cannot be asked before the proof, or after it, refuses for the moment', async () => {
    world.state = () => Promise.reject(new Error('gone'))
    assert.equal((await world.logsIn(AGENT))[0], 'refused PLAIN temporary-auth-failure')
    world.state = async () => ({ id: 1, epoch: 0 })
    world.seen = () => Promise.reject(new Error('gone'))
    const happened = await world.logsIn(AGENT + bindWith(''))
    assert.equal(happened[0], 'refused PLAIN temporary-auth-failure')
    assert.equal(happened.length, 2)
  })
  test('a session that cannot be ends the stream', async () => {
    for (const [refusal, condition] of [
      [new StanzaError('resource-constraint'), 'resource-constraint'],
      [new StanzaError('not-allowed'), 'not-authorized'],
    ] as const) {
      world.bind = () => Promise.reject(refusal)
      await world.logsIn(bindWith(''))
      assert.ok(world.error instanceof StreamError && world.error.condition === condition)
      assert.ok(!(world.error instanceof SaslError))
    }
  })
})

describe('features that take part in Bind 2', () => {
  const carbons: BindInline = {
    ns: 'urn:xmpp:carbons:2',
    name: 'enable',
    apply: (element, session) => {
      world.happened.push(`${element.name} for ${session.jid}`)
      return undefined
    },
  }
  const csi = (name: string): BindInline => ({ ns: 'urn:xmpp:csi:0', name, apply: (e) => el('now', e.ns, {}, e.name) })
  const archive: BindInline = {
    ns: 'urn:xmpp:mam:2',
    apply: async () => {
      await Promise.resolve()
      return el('metadata', 'urn:xmpp:mam:2')
    },
  }

  test('are announced, each namespace once, and only those that a client asks for', () => {
    world.inlines = [carbons, csi('active'), csi('inactive'), archive]
    const [, authentication] = loginFeatures(world.host)
    const vars = serialize(authentication as Element, '').match(/<feature var='[^']+'/g)
    assert.deepEqual(vars, [
      `<feature var='urn:xmpp:sm:3'`,
      `<feature var='urn:xmpp:carbons:2'`,
      `<feature var='urn:xmpp:csi:0'`,
    ])
  })
  test('are applied when asked for, in the turn in which the session comes to be, and answer in <bound/>', async () => {
    world.inlines = [carbons, csi('active'), csi('inactive'), archive]
    const happened = await world.logsIn(
      bindWith(`<enable xmlns='urn:xmpp:carbons:2'/><inactive xmlns='urn:xmpp:csi:0'/>`),
    )
    assert.equal(happened[2], 'handed over')
    assert.equal(happened[3], `enable for ${world.session.jid}`)
    assert.match(told(happened), /<bound [^>]*><now xmlns='urn:xmpp:csi:0'>inactive<\/now><metadata [^>]*\/><\/bound>/)
  })
  test('are left alone when not asked for', async () => {
    world.inlines = [carbons, csi('active')]
    const happened = await world.logsIn(bindWith(`<enable xmlns='urn:xmpp:other'/>`))
    assert.match(told(happened), /<bound [^>]*\/>/)
    assert.ok(!happened.some((line) => line.startsWith('enable')))
  })
  test('that break, at once or later, spoil nothing', async () => {
    const fail = (apply: () => never | Promise<never>): BindInline => ({ ns: 'x', name: 'x', apply })
    world.inlines = [
      fail(() => {
        throw new Error('at once')
      }),
      fail(() => Promise.reject(new Error('later'))),
      csi('active'),
    ]
    const happened = await world.logsIn(bindWith(`<x xmlns='x'/><active xmlns='urn:xmpp:csi:0'/>`))
    assert.match(told(happened), /<bound [^>]*><now xmlns='urn:xmpp:csi:0'>active<\/now><\/bound>/)
  })
})
