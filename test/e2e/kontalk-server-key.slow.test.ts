import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { generateKey, readKey } from 'openpgp'
import type { Element } from '../../src/xmpp/element.ts'
import { phoneKey } from '../helpers/bridge-certificate.ts'
import { registersKey, shown, WIDE_BUDGETS } from '../helpers/kontalk-phone.ts'
import { LoginRefused } from '../helpers/login.ts'
import { write } from '../helpers/match-element.ts'
import { ServerProcess } from '../helpers/server-process.ts'
import { type Story, story } from '../helpers/story.ts'

const PUBKEY = `<pubkey xmlns='urn:xmpp:pubkey:2'/>`
const NS_COMMANDS = 'http://jabber.org/protocol/commands'
const PHONE = '+4915123456789'
const CONFIG = {
  config: {
    account: { registration: ['sms'] },
    sms: { provider: 'console' },
    limits: { registration: WIDE_BUDGETS },
  },
}
const keyId = (fingerprint: string): string => fingerprint.slice(-16).toLowerCase()
const ringIn = (e: Element): Buffer => Buffer.from(/<pubkey[^>]*>([^<]+)</.exec(write(e))?.[1] ?? '', 'base64')

/** Who has certified this key, by their key ids. */
async function issuersOf(ring: Uint8Array): Promise<readonly string[]> {
  const key = await readKey({ binaryKey: ring })
  return key.users[0]?.otherCertifications.map((signature) => signature.issuerKeyID.toHex()) ?? []
}
async function registered(tell: Story) {
  const jid = `${createHash('sha1').update(PHONE).digest('hex')}@${tell.domain}`
  const key = await phoneKey(jid, { date: new Date(Date.now() - 86_400_000) })
  const settings = { port: tell.servers[0]?.directTlsPort ?? 0, domain: tell.domain, directTls: true }
  await registersKey(tell, settings, PHONE, key)
  return {
    jid,
    key,
    on: (server: number, resource: string) =>
      tell.client('romeo', resource, { ...shown(key), login: { mechanism: 'EXTERNAL' }, server }),
  }
}

story(
  'a new key of the server’s: everybody stays, is certified by it at the next login, and both nodes tell of it at once',
  async (tell) => {
    const romeo = await registered(tell)
    const nodes = tell.servers.map(({ running }) => running)
    const last = nodes.length - 1
    const former = nodes[0]?.fingerprint ?? ''
    const early = await romeo.on(last, 'early')
    const made = await nodes[0]?.admin.rotateServerKey()
    assert.ok(made?.isCurrent === true && made.fingerprint !== former)
    for (const server of tell.servers.keys()) {
      const nurse = await tell.client('nurse', `kitchen${server}`, { server })
      const own = await readKey({ binaryKey: ringIn(await nurse.asks('get', PUBKEY, tell.domain)) })
      assert.equal(own.getFingerprint().toUpperCase(), made.fingerprint)
      const list = `<command xmlns='${NS_COMMANDS}' node='serverlist' action='execute'/>`
      assert.match(write(await nurse.asks('set', list, `network@${tell.domain}`)), new RegExp(made.fingerprint))
      assert.equal(nodes[server]?.fingerprint, made.fingerprint)
    }
    assert.deepEqual(await issuersOf(ringIn(await early.asks('get', PUBKEY, romeo.jid))), [keyId(former)])
    const late = await romeo.on(last, 'late')
    assert.equal(late.bare, romeo.jid)
    const ring = ringIn(await early.asks('get', PUBKEY, romeo.jid))
    assert.deepEqual(await issuersOf(ring), [keyId(former), keyId(made.fingerprint)])
    // It is one that a client verifies.
    const server = await readKey({ binaryKey: ringIn(await late.asks('get', PUBKEY, tell.domain)) })
    const verified = await (await readKey({ binaryKey: ring })).verifyAllUsers([server], new Date(Date.now() + 60_000))
    assert.ok(verified.some(({ keyID, valid }) => keyID.toHex() === keyId(made.fingerprint) && valid === true))
    // Given up, the former key vouches for nobody; nobody needs it any more.
    await nodes[0]?.admin.forgetServerKey(former)
    assert.equal((await romeo.on(0, 'again')).bare, romeo.jid)
  },
  CONFIG,
)

story(
  'who was certified by the former key alone is not let in when that is given up',
  async (tell) => {
    const romeo = await registered(tell)
    const [node] = tell.servers
    const former = node?.running.fingerprint ?? ''
    await node?.running.admin.rotateServerKey()
    await assert.rejects(
      async () => await node?.running.admin.forgetServerKey('A'.repeat(40)),
      /is no key of this server/,
    )
    await assert.rejects(
      async () => await node?.running.admin.forgetServerKey(node.running.fingerprint),
      /is the current key/,
    )
    await node?.running.admin.forgetServerKey(former)
    await assert.rejects(romeo.on(0, 'phone'), LoginRefused)
  },
  { ...CONFIG, servers: 1 },
)

/** One command of the program, with what it said. */
async function fernruf(server: ServerProcess, ...args: readonly string[]): Promise<{ code: number; said: string }> {
  const main = join(import.meta.dirname, '../../src/main.ts')
  const child = spawn(process.execPath, [main, ...args, '--config', server.configFile])
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
  const [code] = (await once(child, 'close')) as [number]
  return { code, said }
}
const fingerprintIn = (said: string): string => /^[0-9A-F]{40}/m.exec(said)?.[0] ?? ''

test('a key file of the config is the first one; the command line makes and takes others, with and without a server', async (t) => {
  const make = async () => {
    const made = await generateKey({ userIDs: [{ name: 'Net', email: 'net-1@localhost' }], format: 'object' })
    return made.privateKey
  }
  const [first, second] = [await make(), await make()]
  const folder = await mkdtemp(join(tmpdir(), 'fernruf-keys-'))
  const firstFile = join(folder, 'first.asc')
  const secondFile = join(folder, 'second.asc')
  const server = await ServerProcess.prepare({ config: { keys: { server_key_file: firstFile } } })
  t.after(async () => {
    await server.remove()
    await rm(folder, { recursive: true })
  })
  await writeFile(firstFile, first.armor())
  await writeFile(secondFile, second.armor())
  await server.start()
  const shows = async (...wanted: readonly string[]): Promise<void> => {
    const { code, said } = await fernruf(server, 'key', 'show')
    assert.equal(code, 0, said)
    assert.deepEqual(
      said
        .trim()
        .split('\n')
        .map((line) => `${line.slice(0, 40)}${line.endsWith('verifies only') ? '' : '!'}`),
      wanted,
    )
  }
  const [one, two] = [first, second].map((key) => key.getFingerprint().toUpperCase())
  await shows(`${one}!`)
  const rotated = await fernruf(server, 'key', 'rotate')
  assert.equal(rotated.code, 0, rotated.said)
  const three = fingerprintIn(rotated.said)
  await shows(`${three}!`, `${one}`)
  await server.end()
  const imported = await fernruf(server, 'key', 'import', secondFile)
  assert.match(imported.said, new RegExp(`^${two}  Net <net-1@localhost>`))
  const { code, said } = await fernruf(server, 'key', 'import', server.configFile)
  assert.equal(code, 1)
  assert.match(said, /is not one OpenPGP secret key/)
  const forgotten = await fernruf(server, 'key', 'forget', String(one).toLowerCase())
  assert.equal(forgotten.code, 0, forgotten.said)
  await shows(`${two}!`, three)
  await server.start()
  await shows(`${two}!`, three)
  await server.end()
})
