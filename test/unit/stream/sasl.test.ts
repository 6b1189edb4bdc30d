import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { KeyError } from '../../../src/keys/key-error.ts'
import { bindingTypesFor, createMechanism, mechanismsFor } from '../../../src/stream/sasl.ts'
import { decodeInitial, decodeResponse, encodePayload, type SaslContext } from '../../../src/stream/sasl-mechanism.ts'
import type { BareJid } from '../../../src/xmpp/jid.ts'
import { type SaslCondition, SaslError } from '../../../src/xmpp/sasl-error.ts'
import { saslContext } from '../../helpers/sasl-context.ts'

const failsWith =
  (condition: SaslCondition) =>
  (error: unknown): boolean =>
    error instanceof SaslError && error.condition === condition

describe('mechanisms offered', () => {
  const plain = ['SCRAM-SHA-512', 'SCRAM-SHA-256', 'SCRAM-SHA-1', 'PLAIN']
  const plus = ['SCRAM-SHA-512-PLUS', 'SCRAM-SHA-256-PLUS', 'SCRAM-SHA-1-PLUS']
  test('none without TLS', () => {
    const context = saslContext({ secure: false })
    assert.deepEqual(mechanismsFor(context), [])
    assert.deepEqual(bindingTypesFor(context), [])
  })
  test('-PLUS where the connection can be bound', () => {
    assert.deepEqual(mechanismsFor(saslContext()), [...plus, ...plain])
    assert.deepEqual(bindingTypesFor(saslContext()), ['tls-exporter', 'tls-server-end-point'])
    assert.deepEqual(mechanismsFor(saslContext({ bindings: new Map() })), plain)
  })
  test('EXTERNAL first to a bridge certificate on a fresh TLS session', () => {
    assert.deepEqual(mechanismsFor(saslContext({ hasBridge: true })), ['EXTERNAL', ...plus, ...plain])
    assert.deepEqual(mechanismsFor(saslContext({ hasBridge: true, isResumed: true })), [...plus, ...plain])
  })
  test('only what was offered can be chosen', () => {
    for (const name of ['EXTERNAL', 'DIGEST-MD5', 'SCRAM-SHA-1-PLUS', 'plain', '', '__proto__']) {
      const choose = (): unknown => createMechanism(name, saslContext({ bindings: new Map() }))
      assert.throws(choose, failsWith('invalid-mechanism'))
    }
  })
})

describe('EXTERNAL', () => {
  const jid = 'romeo@example.org' as BareJid
  const context = (over: Partial<SaslContext> = {}): SaslContext =>
    saslContext({
      hasBridge: true,
      certificate: Buffer.from('x'),
      bridgeLogin: async () => ({ jid, account: { id: 1, epoch: 2 } }),
      ...over,
    })
  const external = async (authzid: string, over?: Partial<SaslContext>) =>
    createMechanism('EXTERNAL', context(over)).begin(Buffer.from(authzid))

  test('with an empty authzid and with oneself', async () => {
    for (const authzid of ['', jid]) {
      assert.deepEqual(await external(authzid), {
        kind: 'success',
        jid,
        account: { id: 1, epoch: 2 },
        additional: undefined,
      })
    }
  })
  test('without an initial response', async () => {
    const mechanism = createMechanism('EXTERNAL', context())
    assert.equal((await mechanism.begin(undefined)).kind, 'challenge')
    assert.equal((await mechanism.step(Buffer.alloc(0))).kind, 'success')
  })
  for (const authzid of [
    'juliet@example.org',
    'romeo@example.net',
    'romeo@example.org/balcony',
    'romeo@example.org\0',
  ]) {
    test(`acting as ${JSON.stringify(authzid)}`, () => assert.rejects(external(authzid), failsWith('invalid-authzid')))
  }
  test('a key that is refused, whatever the reason, looks the same', async () => {
    for (const fault of ['other-key', 'no-account', 'not-certified', 'mismatch'] as const) {
      const bridgeLogin = () => Promise.reject(new KeyError(fault))
      await assert.rejects(external('', { bridgeLogin }), failsWith('not-authorized'))
    }
  })
  test('a disabled account', () => {
    const bridgeLogin = () => Promise.reject(new KeyError('account-disabled'))
    return assert.rejects(external('', { bridgeLogin }), failsWith('account-disabled'))
  })
})

describe('payloads', () => {
  test('nothing, and an equals sign', () => {
    assert.equal(decodeInitial(''), undefined)
    assert.equal(decodeInitial('=')?.length, 0)
    assert.equal(decodeResponse('').length, 0)
    assert.equal(encodePayload(Buffer.alloc(0)), '=')
    assert.equal(encodePayload(Buffer.from('abc')), 'YWJj')
  })
  for (const bad of ['YWJj ', 'YW Jj', 'YWJ', 'YWK=', 'YR==', 'YQ', 'Y-_j', 'YQ==YQ==', '*', 'ä']) {
    test(`not base64: ${bad}`, () => assert.throws(() => decodeResponse(bad), failsWith('incorrect-encoding')))
  }
  test('too long', () => assert.throws(() => decodeResponse('A'.repeat(8196)), failsWith('malformed-request')))
})
