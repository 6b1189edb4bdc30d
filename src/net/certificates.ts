import { createHash, X509Certificate } from 'node:crypto'
import { watch } from 'node:fs'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { createSecureContext, type SecureContext } from 'node:tls'
import type { Logger } from 'pino'
import { generate } from 'selfsigned'
import { StartError } from '../util/start-error.ts'

/** RFC 7590 and common sense of 2026; TLS 1.3's suites are not chosen here. */
const CIPHERS = 'ECDHE+AESGCM:ECDHE+CHACHA20'
const SETTLE_MS = 500

/** What a listener needs to be a TLS server. */
export interface TlsIdentity {
  /** With tickets; for streams whose handshake is left alone. */
  readonly context: SecureContext
  /** Without tickets; for streams whose records are gathered and which may log in by their certificate. */
  readonly ticketless: SecureContext
  /** RFC 5929 §4.1: hash of our certificate, for channel binding. */
  readonly endPointHash: Buffer
}

/** The server's certificate; read again when its files change, without a restart. */
export class Certificates {
  #identity: TlsIdentity
  readonly #files: { readonly certificate: string; readonly key: string }
  readonly #log: Logger
  readonly #watchers: { close(): void }[] = []
  #timer: NodeJS.Timeout | undefined

  private constructor(
    files: { readonly certificate: string; readonly key: string },
    identity: TlsIdentity,
    log: Logger,
  ) {
    this.#files = files
    this.#identity = identity
    this.#log = log
  }
  /** @throws StartError */
  static async open(files: { readonly certificate: string; readonly key: string }, log: Logger): Promise<Certificates> {
    let identity: TlsIdentity
    try {
      identity = await read(files)
    } catch (cause) {
      throw new StartError(
        `The TLS certificate ${files.certificate} with key ${files.key} cannot be used: ${(cause as Error).message}`,
      )
    }
    const certificates = new Certificates(files, identity, log)
    certificates.#watch()
    return certificates
  }
  get identity(): TlsIdentity {
    return this.#identity
  }
  /** Keeps the old certificate when the new one is no good. */
  async reload(): Promise<void> {
    try {
      this.#identity = await read(this.#files)
      this.#log.info({ file: this.#files.certificate }, 'certificate loaded')
    } catch (error) {
      this.#log.error({ err: error, file: this.#files.certificate }, 'certificate not loaded, the old one stays')
    }
  }
  close(): void {
    clearTimeout(this.#timer)
    for (const watcher of this.#watchers) watcher.close()
  }
  /** Folders are watched, since a renewed file is usually put in place by a rename or a changed link. */
  #watch(): void {
    for (const folder of new Set([dirname(this.#files.certificate), dirname(this.#files.key)])) {
      const watcher = watch(folder, { persistent: false }, () => {
        clearTimeout(this.#timer)
        this.#timer = setTimeout(() => void this.#changed(), SETTLE_MS)
        this.#timer.unref()
      })
      watcher.on('error', (error) =>
        this.#log.warn({ err: error, folder }, 'folder of the certificate cannot be watched'),
      )
      this.#watchers.push(watcher)
    }
  }
  async #changed(): Promise<void> {
    const hash = await endPointHash(await readFile(this.#files.certificate).catch(() => Buffer.alloc(0)))
    if (hash === undefined || !hash.equals(this.#identity.endPointHash)) await this.reload()
  }
}

async function read(files: { readonly certificate: string; readonly key: string }): Promise<TlsIdentity> {
  const [cert, key] = await Promise.all([readFile(files.certificate), readFile(files.key)])
  const hash = await endPointHash(cert)
  if (hash === undefined) throw new Error('the certificate is not readable')
  const options = {
    cert,
    key,
    minVersion: 'TLSv1.2' as const,
    ciphers: CIPHERS,
    honorCipherOrder: true,
    sessionIdContext: 'fernruf',
  }
  const SSL_OP_NO_TICKET = 0x4000
  return {
    context: createSecureContext(options),
    ticketless: createSecureContext({ ...options, secureOptions: SSL_OP_NO_TICKET }),
    endPointHash: hash,
  }
}
/** RFC 5929 §4.1: SHA-256 unless the certificate's signature uses a stronger hash. */
async function endPointHash(pem: Buffer): Promise<Buffer | undefined> {
  try {
    const certificate = new X509Certificate(pem)
    const name = /sha(384|512)/i.exec(certificate.signatureAlgorithm ?? '')?.[0]
    return createHash(name?.toLowerCase() ?? 'sha256')
      .update(certificate.raw)
      .digest()
  } catch {
    return undefined
  }
}

/** A self-signed P-256 certificate for development, made once in the data folder. */
export async function developmentCertificate(
  dataDir: string,
  domains: readonly string[],
): Promise<{ certificate: string; key: string }> {
  const folder = join(dataDir, 'tls')
  const files = { certificate: join(folder, `${domains[0]}.crt`), key: join(folder, `${domains[0]}.key`) }
  try {
    const present = new X509Certificate(await readFile(files.certificate))
    if (present.validToDate.getTime() > Date.now() && domains.every((d) => present.checkHost(d) !== undefined))
      return files
  } catch {
    // There is none yet.
  }
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const pems = await generate([{ name: 'commonName', value: domains[0] ?? 'localhost' }], {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    notAfterDate: new Date(Date.now() + 10 * 365 * 24 * 3_600_000),
    extensions: [{ name: 'subjectAltName', altNames: domains.map((value) => ({ type: 2 as const, value })) }],
  })
  await writeFile(files.key, pems.private, { mode: 0o600 })
  await chmod(files.key, 0o600)
  await writeFile(files.certificate, pems.cert)
  return files
}
