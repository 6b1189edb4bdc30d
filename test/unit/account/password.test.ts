import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { PASSWORD_DEFAULTS, PasswordError, type PasswordFault, Passwords } from '../../../src/account/password.ts'

const OPTIONS = { ...PASSWORD_DEFAULTS, iterations: 16 }
const refused = (work: Promise<unknown>, fault: PasswordFault): Promise<void> =>
  assert.rejects(work, (error) => error instanceof PasswordError && error.fault === fault)

test('secrets for each mechanism, each with its own salt', async () => {
  const secrets = await new Passwords(OPTIONS).hash('correct horse')
  assert.deepEqual(
    secrets.map((s) => [s.mechanism, s.iterations, s.salt.length, s.storedKey.length, s.serverKey.length]),
    [
      ['SCRAM-SHA-1', 16, 16, 20, 20],
      ['SCRAM-SHA-256', 16, 16, 32, 32],
      ['SCRAM-SHA-512', 16, 16, 64, 64],
    ],
  )
  assert.equal(new Set(secrets.map((s) => Buffer.from(s.salt).toString('hex'))).size, 3)
})

test('only the right password verifies', async () => {
  const passwords = new Passwords(OPTIONS)
  for (const secrets of await passwords.hash('Ⅸ correct horse')) {
    assert.equal(await passwords.verify('Ⅸ correct horse', secrets), true)
    assert.equal(await passwords.verify('IX correct horse', secrets), true)
    assert.equal(await passwords.verify('ix correct horse', secrets), false)
    assert.equal(await passwords.verify('', secrets), false)
    assert.equal(await passwords.verify('\u0007', secrets), false)
    assert.equal(await passwords.verify('x'.repeat(1025), secrets), false)
  }
})

describe('limits of a new password', () => {
  const passwords = new Passwords(OPTIONS)
  test('too short', () => refused(passwords.hash('1234567'), 'too-short'))
  test('too short once prepared', () => refused(passwords.hash('123456\u00ad\u00ad'), 'too-short'))
  test('eight characters beyond the BMP', () => assert.doesNotReject(passwords.hash('🐎'.repeat(8))))
  test('longest', () => assert.doesNotReject(passwords.hash('x'.repeat(1024))))
  test('too long', () => refused(passwords.hash('x'.repeat(1025)), 'too-long'))
  test('a control character', () => refused(passwords.hash('correct\u0007horse'), 'not-allowed'))
  test('a lone surrogate', () => refused(passwords.hash('correct\ud800horse'), 'not-allowed'))
})

test('derivations wait their turn, and too many are refused', async () => {
  const passwords = new Passwords({ ...OPTIONS, concurrency: 1, maxWaiting: 2 })
  const [secrets] = await passwords.hash('correct horse')
  assert.ok(secrets)
  const tries = Array.from({ length: 5 }, () => passwords.verify('correct horse', secrets))
  const outcomes = await Promise.allSettled(tries)
  assert.deepEqual(
    outcomes.map((o) => o.status),
    ['fulfilled', 'fulfilled', 'fulfilled', 'rejected', 'rejected'],
  )
  assert.equal(await passwords.verify('correct horse', secrets), true)
})
