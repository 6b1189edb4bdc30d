import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { readKey, readPrivateKey } from 'openpgp'
import { type MasterKind, type PhoneKey, phoneKeyOf } from '../helpers/bridge-certificate.ts'
import { registersKey, shown, WIDE_BUDGETS } from '../helpers/kontalk-phone.ts'
import { authenticate, bind, LoginRefused, mechanismsOf, secureStream } from '../helpers/login.ts'
import { startTestServers, type TestServers } from '../helpers/test-server.ts'
import { XmppConnection } from '../helpers/xmpp-connection.ts'

/** Keys that nobody here has written: made, expired and revoked by GnuPG, registered and logged in over TLS. */

const hasGpg = spawnSync('gpg', ['--version']).status === 0
const skip = hasGpg ? false : 'gpg is not installed'
/** Only Kontalk's apps write the malformed name for which their handshakes are gathered. */
const WELL_FORMED = { wellFormedSan: true }
const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const
/** GnuPG's names of a master key and its subkeys, and the helper's of the master. */
const KINDS: readonly (readonly [algorithm: string, subkeys: readonly string[], kind: MasterKind])[] = [
  ['rsa3072', ['rsa2048', 'rsa2048'], 'rsa'],
  ['nistp256', ['nistp256/ecdsa', 'nistp256'], 'nistP256'],
  ['nistp521', ['nistp384/ecdsa', 'nistp384'], 'nistP521'],
  ['ed25519', ['ed25519', 'cv25519'], 'ed25519Legacy'],
]

/** GnuPG believes that it is so many days earlier. */
const at = (daysAgo: number): readonly string[] =>
  daysAgo === 0 ? [] : ['--faked-system-time', `${Math.floor(Date.now() / 1000) - daysAgo * 86_400}!`]

/** A key ring of GnuPG's in a folder of its own. */
class Gpg {
  readonly #home = mkdtempSync(join(tmpdir(), 'fernruf-gpg-'))

  run(...args: readonly string[]): Buffer {
    const always = ['--homedir', this.#home, '--batch', '--yes', '--no-tty', '--quiet', '--pinentry-mode', 'loopback']
    const run = spawnSync('gpg', [...always, '--passphrase', '', ...args])
    if (run.status !== 0) throw new Error(`gpg ${args.join(' ')}: ${run.stderr}`)
    return run.stdout
  }
  /** @returns the fingerprint */
  makes(email: string, algorithm: string, subkeys: readonly string[], daysAgo = 0): string {
    this.run(...at(daysAgo), '--quick-generate-key', `Romeo <${email}>`, algorithm, 'cert', 'never')
    const fingerprint = /^fpr:+([0-9A-F]{40}):/m.exec(this.run('--with-colons', '--list-keys', email).toString())?.[1]
    assert.ok(fingerprint)
    for (const [i, subkey] of subkeys.entries())
      this.run('--quick-add-key', fingerprint, subkey, i === 0 ? 'sign' : 'encr', 'never')
    return fingerprint
  }
  async exports(fingerprint: string, kind: MasterKind): Promise<PhoneKey> {
    const key = await readPrivateKey({ binaryKey: this.run('--export-secret-keys', fingerprint) })
    return { ...phoneKeyOf(key, kind), ring: this.run('--export', fingerprint) }
  }
  /** By the certificate that GnuPG leaves with each new key, made harmless by a colon. */
  revokes(fingerprint: string): void {
    const file = join(this.#home, 'openpgp-revocs.d', `${fingerprint}.rev`)
    writeFileSync(file, readFileSync(file, 'utf8').replace(':-----BEGIN', '-----BEGIN'))
    this.run('--import', file)
  }
  remove(): void {
    spawnSync('gpgconf', ['--homedir', this.#home, '--kill', 'all'])
    rmSync(this.#home, { recursive: true, force: true })
  }
}

describe('keys made by GnuPG', { skip }, () => {
  let servers: TestServers
  let gpg: Gpg
  before(async () => {
    gpg = new Gpg()
    servers = await startTestServers(1, {
      account: { registration: ['sms'] },
      sms: { provider: 'console' },
      limits: { registration: WIDE_BUDGETS },
    })
  })
  after(async () => {
    gpg.remove()
    await servers.stop()
  })
  let numbers = 0
  const person = (): { readonly phone: string; readonly jid: string } => {
    const phone = `+49151${String(24_000_000 + numbers++)}`
    return { phone, jid: `${createHash('sha1').update(phone).digest('hex')}@localhost` }
  }
  const settings = () => ({ port: servers.servers[0]?.starttlsPort ?? 0, domain: 'localhost' })

  async function logsIn(key: PhoneKey, version: (typeof VERSIONS)[number]): Promise<string> {
    const tls = { minVersion: version, maxVersion: version }
    const c = await XmppConnection.open({ ...settings(), ...shown(key, WELL_FORMED, tls) })
    try {
      await secureStream(c)
      await authenticate(c, { mechanism: 'EXTERNAL', username: '', password: '' })
      await c.openStream()
      await c.features()
      return await bind(c, 'phone')
    } finally {
      c.destroy()
    }
  }
  const isRefused = async (key: PhoneKey): Promise<void> => {
    for (const version of VERSIONS)
      await assert.rejects(
        logsIn(key, version),
        (error) => error instanceof LoginRefused && error.condition === 'not-authorized',
      )
  }

  for (const [algorithm, subkeys, kind] of KINDS)
    test(`${algorithm}: registered, certified, logged in with TLS 1.2 and 1.3, as made and as certified`, async () => {
      const { phone, jid } = person()
      const fingerprint = gpg.makes(jid, algorithm, subkeys)
      const key = await gpg.exports(fingerprint, kind)
      assert.equal(key.fingerprint, fingerprint)
      const certified = { ...key, ring: await registersKey(servers, settings(), phone, key, WELL_FORMED) }
      for (const version of VERSIONS)
        for (const one of [key, certified]) assert.equal(await logsIn(one, version), `${jid}/phone`)
      const server = await readKey({ binaryKey: certified.ring })
      assert.equal(server.subkeys.length, 2)
    })

  test('revoked by its owner, or expired meanwhile: refused', async () => {
    for (const ends of [
      (fingerprint: string) => gpg.revokes(fingerprint),
      (fingerprint: string) => void gpg.run(...at(10), '--quick-set-expire', fingerprint, '1d'),
    ]) {
      const { phone, jid } = person()
      const fingerprint = gpg.makes(jid, 'ed25519', [], 20)
      const key = await gpg.exports(fingerprint, 'ed25519Legacy')
      await registersKey(servers, settings(), phone, key, WELL_FORMED)
      assert.equal(await logsIn(key, 'TLSv1.3'), `${jid}/phone`)
      ends(fingerprint)
      await isRefused(await gpg.exports(fingerprint, 'ed25519Legacy'))
    }
  })

  test('DSA: TLS 1.2 proves it, TLS 1.3 has no such certificates, and the server takes none', async () => {
    const { phone, jid } = person()
    const key = await gpg.exports(gpg.makes(jid, 'dsa2048', []), 'dsa')
    const version = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } as const
    const at12 = { ...settings(), tls: { ...version, ciphers: 'DEFAULT@SECLEVEL=0' } }
    const refused = registersKey(servers, at12, phone, key, WELL_FORMED, version)
    await assert.rejects(refused, /bad-request.*Invalid public key/)
    await assert.rejects(
      logsIn(key, 'TLSv1.2'),
      (error) => error instanceof LoginRefused && error.condition === 'not-authorized',
    )
    const c = await XmppConnection.open({ ...settings(), ...shown(key, WELL_FORMED, { minVersion: 'TLSv1.3' }) })
    assert.ok(!mechanismsOf(await secureStream(c)).includes('EXTERNAL'))
    c.destroy()
  })
})
