import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { PASSWORD_DEFAULTS, Passwords } from '../../../src/account/password.ts'
import { createMechanism } from '../../../src/stream/sasl.ts'
import type { SaslContext, SaslStep } from '../../../src/stream/sasl-mechanism.ts'
import { type SaslCondition, SaslError } from '../../../src/xmpp/sasl-error.ts'
import { type Credentials, credentialsInMemory, ITERATIONS, saslContext } from '../../helpers/sasl-context.ts'

const PASSWORD = 'pencil case'
const OPTIONS = { ...PASSWORD_DEFAULTS, iterations: ITERATIONS }
let credentials: Credentials
before(async () => {
  const secrets = await new Passwords(OPTIONS).hash(PASSWORD)
  credentials = credentialsInMemory()
  credentials.add('romeo', secrets)
  credentials.add('mercutio', secrets, 1)
})

const plain = (message: string | Buffer, over: Partial<SaslContext> = {}): Promise<SaslStep> =>
  Promise.resolve(createMechanism('PLAIN', saslContext({ credentials, ...over })).begin(Buffer.from(message)))
const fails = (work: Promise<unknown>, condition: SaslCondition): Promise<void> =>
  assert.rejects(work, (error) => error instanceof SaslError && error.condition === condition)

test('a right password', async () => {
  const step = await plain(`\0romeo\0${PASSWORD}`)
  assert.ok(step.kind === 'success')
  assert.deepEqual([step.jid, step.account.id, step.additional], ['romeo@example.org', 1, undefined])
})
test('the password after SASLprep', async () => {
  assert.equal((await plain('\0romeo\0pencil\u00a0case')).kind, 'success')
})
test('without an initial response', async () => {
  const mechanism = createMechanism('PLAIN', saslContext({ credentials }))
  assert.equal((await mechanism.begin(undefined)).kind, 'challenge')
  assert.equal((await mechanism.step(Buffer.from(`\0romeo\0${PASSWORD}`))).kind, 'success')
})
describe('refused', () => {
  test('a wrong password', () => fails(plain('\0romeo\0wrong password'), 'not-authorized'))
  test('nobody', () => fails(plain(`\0nobody\0${PASSWORD}`), 'not-authorized'))
  test('disabled, right', () => fails(plain(`\0mercutio\0${PASSWORD}`), 'account-disabled'))
  test('disabled, wrong', () => fails(plain('\0mercutio\0wrong password'), 'not-authorized'))
  test('without TLS', () => fails((async () => plain('\0a\0b', { secure: false }))(), 'encryption-required'))
  for (const [name, message] of [
    ['no NUL', 'romeo'],
    ['one NUL', 'romeo\0pencil case'],
    ['three NULs', `\0romeo\0${PASSWORD}\0`],
    ['no password', '\0romeo\0'],
    ['no name', `\0\0${PASSWORD}`],
    ['bad UTF-8', Buffer.from([0, 0xff, 0, 0x61])],
    ['too long', `\0romeo\0${'a'.repeat(6144)}`],
  ] as const) {
    test(name, () => fails(plain(message), 'malformed-request'))
  }
  for (const authzid of ['juliet@example.org', 'romeo@example.net', 'romeo@example.org/balcony', 'romeo']) {
    test(`acting as ${authzid}`, () => fails(plain(`${authzid}\0romeo\0${PASSWORD}`), 'invalid-authzid'))
  }
  test('too many at once', async () => {
    const passwords = new Passwords({ ...OPTIONS, concurrency: 1, maxWaiting: 0 })
    const first = plain(`\0romeo\0${PASSWORD}`, { passwords })
    await fails(plain(`\0romeo\0${PASSWORD}`, { passwords }), 'temporary-auth-failure')
    assert.equal((await first).kind, 'success')
  })
})
test('acting as oneself', async () => {
  assert.equal((await plain(`romeo@example.org\0romeo\0${PASSWORD}`)).kind, 'success')
})
