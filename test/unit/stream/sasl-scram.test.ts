import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { PASSWORD_DEFAULTS, Passwords } from '../../../src/account/password.ts'
import type { ScramMechanism, ScramSecrets } from '../../../src/account/store.ts'
import { createMechanism, type MechanismName } from '../../../src/stream/sasl.ts'
import type { Mechanism, SaslContext, SaslStep } from '../../../src/stream/sasl-mechanism.ts'
import { type SaslCondition, SaslError } from '../../../src/xmpp/sasl-error.ts'
import { type Credentials, credentialsInMemory, ITERATIONS, saslContext } from '../../helpers/sasl-context.ts'
import { fields, ScramClient } from '../../helpers/scram-client.ts'

const MECHANISMS: readonly ScramMechanism[] = ['SCRAM-SHA-1', 'SCRAM-SHA-256', 'SCRAM-SHA-512']
const PASSWORD = 'pencil case'

let secrets: readonly ScramSecrets[]
let credentials: Credentials
before(async () => {
  secrets = await new Passwords({ ...PASSWORD_DEFAULTS, iterations: ITERATIONS }).hash(PASSWORD)
  credentials = credentialsInMemory()
  credentials.add('romeo', secrets)
  credentials.add('a,b=c', secrets)
  credentials.add('mercutio', secrets, 1)
  credentials.add('keyonly', [])
})

const contextWith = (over: Partial<SaslContext> = {}): SaslContext => saslContext({ credentials, ...over })
const start = (name: MechanismName, over?: Partial<SaslContext>): Mechanism => createMechanism(name, contextWith(over))

function challengeOf(step: SaslStep): Buffer {
  assert.equal(step.kind, 'challenge')
  return step.kind === 'challenge' ? step.challenge : Buffer.alloc(0)
}
const fails = (work: Promise<unknown> | SaslStep, condition: SaslCondition): Promise<void> =>
  assert.rejects(Promise.resolve(work), (error) => error instanceof SaslError && error.condition === condition)

/** Sends client-first as text and what the client makes of the challenge. */
async function exchange(mechanism: Mechanism, client: ScramClient): Promise<SaslStep> {
  return mechanism.step(client.final(challengeOf(await mechanism.begin(client.first))))
}

describe('a right password', () => {
  for (const name of MECHANISMS) {
    test(name, async () => {
      const client = new ScramClient(name, { username: 'romeo', password: PASSWORD })
      const step = await exchange(start(name), client)
      assert.ok(step.kind === 'success' && step.jid === 'romeo@example.org' && client.trusts(step.additional))
    })
    for (const [type, bytes] of [
      ['tls-exporter', 'exported'],
      ['tls-server-end-point', 'end point'],
    ] as const) {
      test(`${name}-PLUS bound by ${type}`, async () => {
        const client = new ScramClient(name, {
          username: 'romeo',
          password: PASSWORD,
          gs2: `p=${type},,`,
          binding: Buffer.from(bytes),
        })
        const step = await exchange(start(`${name}-PLUS`), client)
        assert.ok(step.kind === 'success' && client.trusts(step.additional))
      })
    }
  }
  test('without an initial response', async () => {
    const mechanism = start('SCRAM-SHA-256')
    const client = new ScramClient('SCRAM-SHA-256', { username: 'romeo', password: PASSWORD })
    assert.equal(challengeOf(await mechanism.begin(undefined)).length, 0)
    const step = await mechanism.step(client.final(challengeOf(await mechanism.step(client.first))))
    assert.equal(step.kind, 'success')
  })
  test('of a name with comma and equals sign', async () => {
    const client = new ScramClient('SCRAM-SHA-1', { username: 'a=2Cb=3Dc', password: PASSWORD })
    const step = await exchange(start('SCRAM-SHA-1'), client)
    assert.ok(step.kind === 'success' && step.jid === 'a,b=c@example.org')
  })
  test('where the connection cannot be bound, for a client that would (y)', async () => {
    const client = new ScramClient('SCRAM-SHA-1', { username: 'romeo', password: PASSWORD, gs2: 'y,,' })
    assert.equal((await exchange(start('SCRAM-SHA-1', { bindings: new Map() }), client)).kind, 'success')
  })
  test('of a disabled account', async () => {
    const client = new ScramClient('SCRAM-SHA-1', { username: 'mercutio', password: PASSWORD })
    await fails(exchange(start('SCRAM-SHA-1'), client), 'account-disabled')
  })
})

describe('RFC 5802 §5 and RFC 7677 §3', () => {
  const examples = [
    ['SCRAM-SHA-1', 'QSXCR+Q6sek8bf92', '6dlGYMOdZcOPutkcNY8U2g7vK9Y=', 'D+CSWLOshSulAsxiupA+qs2/fTE='],
    [
      'SCRAM-SHA-256',
      'W22ZaJ0SNY7soEsUEjb6gQ==',
      'WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=',
      'wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=',
    ],
  ] as const
  for (const [mechanism, salt, storedKey, serverKey] of examples) {
    test(mechanism, async () => {
      const kept: ScramSecrets = {
        mechanism,
        salt: Buffer.from(salt, 'base64'),
        iterations: 4096,
        storedKey: Buffer.from(storedKey, 'base64'),
        serverKey: Buffer.from(serverKey, 'base64'),
      }
      const accounts = credentialsInMemory()
      accounts.add('user', [kept])
      const client = new ScramClient(mechanism, { username: 'user', password: 'pencil' })
      const step = await exchange(start(mechanism, { credentials: accounts }), client)
      assert.ok(step.kind === 'success' && client.trusts(step.additional))
    })
  }
})

describe('who is not there', () => {
  const salt = async (username: string): Promise<Record<string, string>> => {
    const client = new ScramClient('SCRAM-SHA-256', { username, password: PASSWORD })
    return fields(challengeOf(await start('SCRAM-SHA-256').begin(client.first)).toString())
  }
  test('is shown a salt and rounds like everybody, always the same', async () => {
    const [nobody, again, other, romeo] = await Promise.all(['nobody', 'nobody', 'noone', 'romeo'].map(salt))
    assert.equal(nobody?.s, again?.s)
    assert.notEqual(nobody?.s, other?.s)
    assert.equal(nobody?.s?.length, romeo?.s?.length)
    assert.equal(nobody?.i, romeo?.i)
    assert.notEqual(nobody?.r, again?.r)
  })
  for (const username of ['nobody', 'keyonly', 'romeo']) {
    test(`fails at the proof only: ${username}`, async () => {
      const client = new ScramClient('SCRAM-SHA-256', { username, password: 'wrong password' })
      await fails(exchange(start('SCRAM-SHA-256'), client), 'not-authorized')
    })
  }
  test('a disabled account with a wrong password looks the same', async () => {
    const client = new ScramClient('SCRAM-SHA-256', { username: 'mercutio', password: 'wrong password' })
    await fails(exchange(start('SCRAM-SHA-256'), client), 'not-authorized')
  })
})

describe('channel binding', () => {
  const bound = (gs2: string, binding = '', name: MechanismName = 'SCRAM-SHA-1-PLUS'): Promise<SaslStep> => {
    const login = { username: 'romeo', password: PASSWORD, gs2, binding: Buffer.from(binding) }
    return exchange(start(name), new ScramClient('SCRAM-SHA-1', login))
  }
  test('y while -PLUS was offered', () => fails(bound('y,,', '', 'SCRAM-SHA-1'), 'not-authorized'))
  test('bytes of another channel', () => fails(bound('p=tls-exporter,,', 'other'), 'not-authorized'))
  test('bytes of another type', () => fails(bound('p=tls-exporter,,', 'end point'), 'not-authorized'))
  test('tls-unique', () => fails(bound('p=tls-unique,,', 'exported'), 'not-authorized'))
  test('an inherited property', () => fails(bound('p=constructor,,'), 'not-authorized'))
  test('n with -PLUS', () => fails(bound('n,,'), 'malformed-request'))
  test('p without -PLUS', () => fails(bound('p=tls-exporter,,', 'exported', 'SCRAM-SHA-1'), 'malformed-request'))
  test('a changed GS2 header', async () => {
    const mechanism = start('SCRAM-SHA-1', { bindings: new Map() })
    const seen = new ScramClient('SCRAM-SHA-1', { username: 'romeo', password: PASSWORD, gs2: 'n,,' })
    const sent = new ScramClient('SCRAM-SHA-1', { username: 'romeo', password: PASSWORD, gs2: 'y,,' })
    await fails(mechanism.step(sent.final(challengeOf(await mechanism.begin(seen.first)))), 'not-authorized')
  })
})

describe('authorization identity', () => {
  const acting = (authzid: string): Promise<SaslStep> => {
    const login = { username: 'romeo', password: PASSWORD, gs2: `n,a=${authzid},` }
    return exchange(start('SCRAM-SHA-256'), new ScramClient('SCRAM-SHA-256', login))
  }
  test('oneself', async () => assert.equal((await acting('romeo@example.org')).kind, 'success'))
  for (const authzid of [
    'juliet@example.org',
    'romeo@example.net',
    'romeo@example.org/balcony',
    'romeo',
    'example.org',
  ]) {
    test(authzid, () => fails(acting(authzid), 'invalid-authzid'))
  }
  test('NUL', () => fails(acting('romeo@example.org\0'), 'malformed-request'))
})

describe('what is no SCRAM', () => {
  const firsts: readonly (readonly [string, string | Buffer])[] = [
    ['nothing', ''],
    ['no GS2 header', 'n=romeo,r=abc'],
    ['an authzid without a=', 'n,romeo,n=romeo,r=abc'],
    ['a mandatory extension', 'n,,m=x,n=romeo,r=abc'],
    ['no nonce', 'n,,n=romeo'],
    ['an empty nonce', 'n,,n=romeo,r='],
    ['a nonce beyond ASCII', 'n,,n=romeo,r=ä'],
    ['a huge nonce', `n,,n=romeo,r=${'a'.repeat(513)}`],
    ['a huge message', `n,,n=romeo,r=abc,x=${'a'.repeat(6144)}`],
    ['a bare equals sign', 'n,,n=ro=meo,r=abc'],
    ['a lower-case escape', 'n,,n=ro=2cmeo,r=abc'],
    ['no name', 'n,,n=,r=abc'],
    ['NUL in the name', 'n,,n=romeo\0,r=abc'],
    ['bad UTF-8', Buffer.from([0x6e, 0x2c, 0x2c, 0x6e, 0x3d, 0xff, 0x2c, 0x72, 0x3d, 0x61])],
    ['another flag', 'x,,n=romeo,r=abc'],
  ]
  for (const [name, first] of firsts) {
    test(name, () => fails(start('SCRAM-SHA-1').begin(Buffer.from(first)), 'malformed-request'))
  }

  const finals: readonly (readonly [string, (right: string) => string, SaslCondition])[] = [
    ['no proof', (right) => right.slice(0, right.indexOf(',p=')), 'malformed-request'],
    ['a short proof', (right) => `${right.slice(0, right.indexOf(',p='))},p=YWJj`, 'malformed-request'],
    ['a proof with white space', (right) => `${right} `, 'malformed-request'],
    ['the client nonce alone', (right) => right.replace(/r=[^,]*/, 'r=fyko+d2lbbFgONRv9qkxdawL'), 'not-authorized'],
    ['an extension put in', (right) => right.replace(',p=', ',x=1,p='), 'not-authorized'],
    ['nothing', () => '', 'malformed-request'],
  ]
  for (const [name, change, condition] of finals) {
    test(`at the end: ${name}`, async () => {
      const mechanism = start('SCRAM-SHA-1')
      const client = new ScramClient('SCRAM-SHA-1', { username: 'romeo', password: PASSWORD })
      const right = client.final(challengeOf(await mechanism.begin(client.first))).toString()
      await fails(mechanism.step(Buffer.from(change(right))), condition)
    })
  }
  test('a store that does not answer', async () => {
    const broken = { mechanisms: async () => [], credential: () => Promise.reject(new Error('gone')) }
    const client = new ScramClient('SCRAM-SHA-1', { username: 'romeo', password: PASSWORD })
    await fails(start('SCRAM-SHA-1', { credentials: broken }).begin(client.first), 'temporary-auth-failure')
  })
})
