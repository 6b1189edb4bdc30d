import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { readKey, revokeKey } from 'openpgp'
import type { PhoneKey } from '../helpers/bridge-certificate.ts'
import { KONTALK_CODE, keyFor, People, registrationForm, WIDE_BUDGETS } from '../helpers/kontalk-phone.ts'
import { bind } from '../helpers/login.ts'
import { write } from '../helpers/match-element.ts'
import { startTestServers, type TestServers } from '../helpers/test-server.ts'
import type { XmppConnection } from '../helpers/xmpp-connection.ts'

const KEY = 'http://kontalk.org/protocol/register#key'

let servers: TestServers
let people: People
before(async () => {
  const config = {
    account: { registration: ['sms'] },
    sms: { provider: 'console' },
    limits: { registration: WIDE_BUDGETS },
  }
  servers = await startTestServers(2, config)
  people = new People(servers)
})
after(async () => {
  people.leave()
  await servers.stop()
})

async function revoked({ key }: PhoneKey): Promise<Buffer> {
  const { publicKey } = await revokeKey({ key, format: 'object' })
  return Buffer.from(publicKey.write())
}
async function rolls(device: XmppConnection, next: Uint8Array, old: Uint8Array): Promise<string> {
  const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')
  device.write(registrationForm({ FORM_TYPE: KEY, publickey: base64(next), revoked: base64(old) }))
  return write(await device.element())
}

describe('b.9: a key follows another one', () => {
  test('the account stays, the new key is certified and logs in, the old one does not, and its sessions end on all nodes', async () => {
    const { jid, key } = await people.registers()
    const next = await keyFor(jid)
    const [asking, here, there] = [
      await people.device(key),
      await people.device(key, 0, 'here'),
      await people.device(key, 1, 'there'),
    ]
    const account = await servers.stores.accounts.find(jid as never)

    const answer = await rolls(asking, next.ring, await revoked(key))
    assert.ok(answer.includes(KONTALK_CODE), answer)
    const ring = Buffer.from(/var='publickey'[^>]*><value>([^<]+)</.exec(answer)?.[1] ?? '', 'base64')
    for (const device of [here, there]) await device.endsWith('not-authorized')
    asking.write(`<iq type='get' id='still' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>`)
    assert.equal((await asking.element()).attrs.id, 'still')

    assert.match(String(await people.logsIn(key, 1)), /not-authorized/)
    assert.match(String(await people.logsIn({ ...key, ring: await revoked(key) })), /not-authorized/)
    await people.device({ ...next, ring }, 1)
    const after = await servers.stores.accounts.find(jid as never)
    assert.deepEqual([after?.id, after?.fingerprint], [account?.id, next.fingerprint])
  })

  test('whose answer was lost logs in with the new key all the same', async () => {
    const { jid, key } = await people.registers()
    const next = await keyFor(jid)
    await rolls(await people.device(key), next.ring, await revoked(key))
    await people.device(next)
  })

  test('whoever had logged in by the old key, and binds afterwards, is not let in', async () => {
    const { jid, key } = await people.registers()
    const next = await keyFor(jid)
    const waiting = [await people.logsIn(key, 0), await people.logsIn(key, 1)]
    await rolls(await people.device(key), next.ring, await revoked(key))
    for (const c of waiting) {
      assert.ok(typeof c !== 'string')
      await assert.rejects(bind(c, 'late'), /not-allowed/)
    }
  })

  test('without the revocation of just this key, or for another account, nothing changes', async () => {
    const { jid, key } = await people.registers()
    const other = await people.registers()
    const next = await keyFor(jid)
    const device = await people.device(key)
    const forbidden = /type='error'.*<forbidden .*Invalid revocation key\./
    assert.match(await rolls(device, next.ring, key.ring), forbidden)
    assert.match(await rolls(device, next.ring, await revoked(other.key)), forbidden)
    assert.match(await rolls(device, next.ring, await revoked(next)), forbidden)
    assert.match(await rolls(device, next.ring, Buffer.alloc(100)), forbidden)
    const bad = /type='error'.*<bad-request .*Invalid public key\./
    assert.match(await rolls(device, (await keyFor(other.jid)).ring, await revoked(key)), bad)
    assert.match(await rolls(device, await revoked(next), await revoked(key)), bad)
    assert.match(await rolls(device, key.ring, await revoked(key)), bad)
    assert.match(await rolls(device, Buffer.alloc(100), await revoked(key)), bad)
    device.destroy()
    await people.device(key, 1)
  })
})

describe('a key that has revoked itself', () => {
  test('and is shown so at a login: no copy of it logs in any more, and its sessions end on all nodes', async () => {
    const { jid, key } = await people.registers()
    const [here, there] = [await people.device(key, 0, 'here'), await people.device(key, 1, 'there')]
    const waiting = await people.logsIn(key, 1)
    assert.ok(typeof waiting !== 'string')
    const ring = await revoked(key)
    // Whoever has the public half alone proves nothing by it: the certificate is of another key.
    const thief = await keyFor(jid)
    assert.match(String(await people.logsIn({ ...thief, ring })), /not-authorized/)
    here.write(`<iq type='get' id='still' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>`)
    assert.equal((await here.element()).attrs.id, 'still')

    assert.match(String(await people.logsIn({ ...key, ring })), /not-authorized/)
    for (const device of [here, there]) await device.endsWith('not-authorized')
    await assert.rejects(bind(waiting, 'late'), /not-allowed/)
    for (const server of [0, 1]) assert.match(String(await people.logsIn(key, server)), /not-authorized/)
    // Others hear of it when they ask for the key.
    const { key: other } = await people.registers()
    const asking = await people.device(other, 1)
    asking.write(`<iq type='get' id='k' to='${jid}'><pubkey xmlns='urn:xmpp:pubkey:2'/></iq>`)
    const told = />([^<]+)<\/pubkey>/.exec(write(await asking.element()))?.[1] ?? ''
    assert.ok(await (await readKey({ binaryKey: Buffer.from(told, 'base64') })).isRevoked())
  })
  test('and an account that has another one by now keeps that', async () => {
    const { jid, key } = await people.registers()
    const next = await keyFor(jid)
    await rolls(await people.device(key), next.ring, await revoked(key))
    const device = await people.device(next)
    assert.match(String(await people.logsIn({ ...key, ring: await revoked(key) }, 1)), /not-authorized/)
    await people.device(next, 1, 'other')
    device.write(`<iq type='get' id='still' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>`)
    assert.equal((await device.element()).attrs.id, 'still')
  })
})

describe('a key that is over', () => {
  test('ends the sessions that are there, on all nodes', async () => {
    const [one, other] = [await people.registers(), await people.registers()]
    const [here, there] = [await people.device(one.key, 0), await people.device(one.key, 1, 'there')]
    const still = await people.device(other.key, 1)
    // As if its time had come.
    const { id } = (await servers.stores.accounts.find(one.jid as never)) ?? assert.fail('no account')
    await servers.stores.database.query('update public_key set expires_at = 1 where account_id = $1', [id])
    await servers.another()
    for (const device of [here, there]) await device.endsWith('not-authorized')
    still.write(`<iq type='get' id='still' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>`)
    assert.equal((await still.element()).attrs.id, 'still')
  })
  test('is known to be so from its registration on', async () => {
    const { jid, key } = await people.registers(7 * 86_400)
    const { id } = (await servers.stores.accounts.find(jid as never)) ?? assert.fail('no account')
    const [row] = await servers.stores.database.query<{ expires_at: number }>(
      'select expires_at from public_key where account_id = $1',
      [id],
    )
    const { keyPacket } = key.key
    assert.equal(row?.expires_at, keyPacket.created.getTime() + 7 * 86_400_000)
  })
})
