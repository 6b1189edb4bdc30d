import assert from 'node:assert/strict'
import { createHash, createPrivateKey, X509Certificate } from 'node:crypto'
import { mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { after, before, describe, test } from 'node:test'
import { pino } from 'pino'
import { Certificates, developmentCertificate } from '../../../src/net/certificates.ts'
import { StartError } from '../../../src/util/start-error.ts'

let folder: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fernruf-certificates-'))
})
after(() => rm(folder, { recursive: true }))

/** A log whose lines are awaited by their message. */
function logged(): { readonly log: pino.Logger; line(message: string): Promise<void> } {
  const awaited = new Map<string, () => void>()
  const into = new Writable({
    write: (chunk, _encoding, done) => {
      const { msg } = JSON.parse(String(chunk)) as { msg: string }
      awaited.get(msg)?.()
      done()
    },
  })
  return {
    log: pino({ level: 'info' }, into),
    line: (message) => new Promise((resolve) => awaited.set(message, resolve)),
  }
}
const silent = pino({ level: 'silent' })
const hashOf = async (file: string): Promise<Buffer> =>
  createHash('sha256')
    .update(new X509Certificate(await readFile(file)).raw)
    .digest()

describe('a certificate for development', () => {
  test('is of P-256, for all domains, with a key nobody else may read', async () => {
    const data = join(folder, 'development')
    const files = await developmentCertificate(data, ['example.org', 'chat.example.org'])
    const certificate = new X509Certificate(await readFile(files.certificate))
    assert.equal(certificate.publicKey.asymmetricKeyType, 'ec')
    assert.equal(certificate.publicKey.asymmetricKeyDetails?.namedCurve, 'prime256v1')
    assert.equal(certificate.subjectAltName, 'DNS:example.org, DNS:chat.example.org')
    assert.ok(certificate.validToDate.getTime() > Date.now() + 9 * 365 * 24 * 3_600_000)
    assert.ok(certificate.checkPrivateKey(createPrivateKey(await readFile(files.key))))
    assert.equal((await stat(files.key)).mode & 0o777, 0o600)
  })
  test('is made once, and again for a domain it is not for', async () => {
    const data = join(folder, 'again')
    const files = await developmentCertificate(data, ['example.org'])
    const first = await readFile(files.certificate)
    assert.deepEqual(await developmentCertificate(data, ['example.org']), files)
    assert.deepEqual(await readFile(files.certificate), first)
    assert.deepEqual(await developmentCertificate(data, ['example.org', 'example.net']), files)
    const second = new X509Certificate(await readFile(files.certificate))
    assert.equal(second.checkHost('example.net'), 'example.net')
  })
  test('a broken one is made again', async () => {
    const data = join(folder, 'broken')
    const files = await developmentCertificate(data, ['example.org'])
    await writeFile(files.certificate, 'nonsense')
    await developmentCertificate(data, ['example.org'])
    assert.equal(new X509Certificate(await readFile(files.certificate)).checkHost('example.org'), 'example.org')
  })
})

describe('Certificates', () => {
  test('tell the hash for channel binding (RFC 5929 §4.1)', async () => {
    const files = await developmentCertificate(join(folder, 'hash'), ['example.org'])
    const certificates = await Certificates.open(files, silent)
    assert.deepEqual(certificates.identity.endPointHash, await hashOf(files.certificate))
    certificates.close()
  })

  test('that cannot be used stop the start, with the names of the files', async () => {
    const files = await developmentCertificate(join(folder, 'start'), ['example.org'])
    const other = await developmentCertificate(join(folder, 'other'), ['example.org'])
    const missing = join(folder, 'start', 'missing.crt')
    for (const wrong of [
      { ...files, certificate: missing },
      { ...files, certificate: files.key },
      { ...files, key: other.key },
    ])
      await assert.rejects(
        Certificates.open(wrong, silent),
        (error) =>
          error instanceof StartError && error.message.includes(wrong.certificate) && error.message.includes(wrong.key),
      )
  })

  test('are loaded when their files change, and stay when the new ones are broken', async () => {
    const files = await developmentCertificate(join(folder, 'watched'), ['example.org'])
    const renewed = await developmentCertificate(join(folder, 'renewed'), ['example.org'])
    const { log, line } = logged()
    const certificates = await Certificates.open(files, log)
    const old = certificates.identity

    const loaded = line('certificate loaded')
    await rename(renewed.key, files.key)
    await rename(renewed.certificate, files.certificate)
    await loaded
    const { identity } = certificates
    assert.notEqual(identity, old)
    assert.deepEqual(identity.endPointHash, await hashOf(files.certificate))

    const kept = line('certificate not loaded, the old one stays')
    await writeFile(files.certificate, 'nonsense')
    await kept
    assert.equal(certificates.identity, identity)
    certificates.close()
  })
})
