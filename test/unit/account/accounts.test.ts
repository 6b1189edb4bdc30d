import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { AccountError, type AccountFault } from '../../../src/account/accounts.ts'
import { PasswordError } from '../../../src/account/password.ts'
import type { Account } from '../../../src/account/store.ts'
import type { BareJid, FullJid } from '../../../src/xmpp/jid.ts'
import { DOMAIN, openMemory, PHONE_JID, worldOn } from './world.ts'

const stores = await openMemory()
const world = (t: TestContext) => worldOn(stores, t)
const ROMEO = 'romeo@example.org' as BareJid
const PHONE = 'romeo@example.org/phone' as FullJid
const by = ({ id }: Account) => ({ account: ROMEO, accountId: id, jid: PHONE })
const refuses = (work: Promise<unknown>, fault: AccountFault) =>
  assert.rejects(work, (e: unknown) => e instanceof AccountError && e.fault === fault)

describe('an account', () => {
  test('is made with a password, and announced after it exists', async (t) => {
    const w = await world(t)
    const account = await w.accounts.create({ jid: ROMEO, naming: 'chosen', password: 'deny thy father' })
    assert.equal(account.isNumber, false)
    assert.deepEqual(w.changes, [[ROMEO, 'created', undefined]])
    const kept = await w.stores.accounts.credential(ROMEO, 'SCRAM-SHA-256')
    assert.equal(kept?.account.id, account.id)
    assert.ok(kept?.secrets)
  })
  test('of a number has a key and no password', async (t) => {
    const w = await world(t)
    const account = await w.accounts.create({ jid: PHONE_JID, naming: 'number', fingerprint: 'A'.repeat(40) })
    assert.deepEqual([account.isNumber, account.fingerprint], [true, 'A'.repeat(40)])
    assert.equal((await w.stores.accounts.credential(PHONE_JID, 'SCRAM-SHA-256'))?.secrets, undefined)
  })
  test('is made once', async (t) => {
    const w = await world(t)
    await w.accounts.create({ jid: ROMEO, naming: 'chosen', password: 'deny thy father' })
    await refuses(w.accounts.create({ jid: ROMEO, naming: 'chosen', password: 'refuse thy name' }), 'taken')
    assert.equal(w.changes.length, 1)
  })
  test('has a name that fits how it is named', async (t) => {
    const w = await world(t)
    const make = (jid: string, naming: 'number' | 'chosen') => w.accounts.create({ jid: jid as BareJid, naming })
    await refuses(make(PHONE_JID, 'chosen'), 'reserved')
    await refuses(make('multicast@example.org', 'chosen'), 'reserved')
    await refuses(make('romeo@example.org', 'number'), 'malformed')
    await refuses(make('romeo@example.com', 'chosen'), 'foreign')
    await refuses(make('example.org', 'chosen'), 'malformed')
    await refuses(make('romeo@example.org/phone', 'chosen'), 'malformed')
    assert.deepEqual(await w.accounts.list(DOMAIN, '', 10), [])
  })
  test('is not made with a password that none can have', async (t) => {
    const w = await world(t)
    await assert.rejects(w.accounts.create({ jid: ROMEO, naming: 'chosen', password: 'short' }), PasswordError)
    assert.equal(await w.accounts.find(ROMEO), undefined)
  })
})

describe('an account later', () => {
  test('is listed by pages', async (t) => {
    const w = await world(t)
    const jids = ['a', 'b', 'c'].map((local) => `${local}@example.org` as BareJid)
    for (const jid of jids) await w.accounts.create({ jid, naming: 'chosen' })
    const page = await w.accounts.list(DOMAIN, '', 2)
    assert.deepEqual(
      page.map((a) => a.jid),
      jids.slice(0, 2),
    )
    const rest = await w.accounts.list(DOMAIN, page.at(-1)?.jid ?? '', 2)
    assert.deepEqual(
      rest.map((a) => a.jid),
      jids.slice(2),
    )
  })
  test('is disabled and enabled, each announced once', async (t) => {
    const w = await world(t)
    await w.accounts.create({ jid: ROMEO, naming: 'chosen' })
    await w.accounts.disable(ROMEO)
    await w.accounts.disable(ROMEO)
    assert.equal((await w.accounts.show(ROMEO)).disabledAt, w.clock.now)
    await w.accounts.enable(ROMEO)
    await w.accounts.enable(ROMEO)
    assert.equal((await w.accounts.show(ROMEO)).disabledAt, undefined)
    assert.deepEqual(
      w.changes.map(([, what]) => what),
      ['created', 'disabled', 'enabled'],
    )
  })
  test('gets another password, and it is told who asked', async (t) => {
    const w = await world(t)
    const account = await w.accounts.create({ jid: ROMEO, naming: 'chosen', password: 'deny thy father' })
    const before = await w.stores.accounts.credential(ROMEO, 'SCRAM-SHA-256')
    await w.accounts.setPassword(ROMEO, 'refuse thy name', by(account))
    const after = await w.stores.accounts.credential(ROMEO, 'SCRAM-SHA-256')
    assert.notDeepEqual(after?.secrets?.storedKey, before?.secrets?.storedKey)
    assert.deepEqual(w.changes.at(-1), [ROMEO, 'password', PHONE])
  })
  test('is removed', async (t) => {
    const w = await world(t)
    const account = await w.accounts.create({ jid: ROMEO, naming: 'chosen' })
    await w.accounts.remove(ROMEO, by(account))
    assert.equal(await w.accounts.find(ROMEO), undefined)
    assert.deepEqual(w.changes.at(-1), [ROMEO, 'removed', PHONE])
  })
  test('is nothing to a session of an account that had its name before', async (t) => {
    const w = await world(t)
    const old = await w.accounts.create({ jid: ROMEO, naming: 'chosen', password: 'deny thy father' })
    await w.accounts.remove(ROMEO)
    const account = await w.accounts.create({ jid: ROMEO, naming: 'chosen', password: 'refuse thy name' })
    const before = await w.stores.accounts.credential(ROMEO, 'SCRAM-SHA-256')
    await refuses(w.accounts.setPassword(ROMEO, 'deny thy father', by(old)), 'unknown')
    await refuses(
      w.accounts.changeKey(account, by(old), () => Promise.reject(new Error('changed'))),
      'unknown',
    )
    await refuses(w.accounts.remove(ROMEO, by(old)), 'unknown')
    assert.deepEqual(await w.stores.accounts.credential(ROMEO, 'SCRAM-SHA-256'), before)
    assert.deepEqual(await w.accounts.find(ROMEO), account)
  })
  test('is unknown when there is none', async (t) => {
    const { accounts } = await world(t)
    await refuses(accounts.show(ROMEO), 'unknown')
    await refuses(accounts.disable(ROMEO), 'unknown')
    await refuses(accounts.enable(ROMEO), 'unknown')
    await refuses(accounts.remove(ROMEO), 'unknown')
    await refuses(accounts.setPassword(ROMEO, 'refuse thy name'), 'unknown')
  })
})
