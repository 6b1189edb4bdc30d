import { execFile, spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
/** Where Debian's dirmngr finds the authorities that it trusts for the Web Key Directory; it has no option for others. */
const AUTHORITIES = '/etc/ssl/certs/ca-certificates.crt'

/** @returns why a test cannot run, or false */
export function gpgIsMissing(): string | false {
  for (const name of ['gpg', 'dirmngr'])
    if (spawnSync(name, ['--version']).status !== 0) return `${name} is not installed`
  return false
}
/** Whether a program can be shown another `/etc/hosts`, and other authorities, than the machine's. @returns why not, or false */
export function sandboxIsMissing(): string | false {
  const { status } = spawnSync('unshare', [...NAMESPACES, 'true'])
  return status === 0 ? false : 'no namespaces of one’s own here (unshare)'
}
const NAMESPACES = process.getuid?.() === 0 ? ['--mount'] : ['--mount', '--map-root-user']

export interface Located {
  readonly isFound: boolean
  /** As gpg lists it: `--with-colons`. */
  readonly keys: string
  readonly said: string
}

/** Debian's GnuPG with a keyring of its own. */
export class Gpg {
  readonly #home: string
  /** The world as its programs see it. */
  readonly #before: readonly string[]

  private constructor(home: string, before: readonly string[]) {
    this.#home = home
    this.#before = before
  }

  /** @param world lines for `/etc/hosts`, all the names that there are, and the one certificate to be trusted */
  static async open(world?: { readonly hosts: string; readonly certificate: string }): Promise<Gpg> {
    const home = await mkdtemp(join(tmpdir(), 'fernruf-gpg-'))
    await writeFile(join(home, 'dirmngr.conf'), 'standard-resolver\ndisable-ipv6\n')
    if (world === undefined) return new Gpg(home, [])
    await writeFile(join(home, 'hosts'), world.hosts)
    await writeFile(join(home, 'authorities'), world.certificate)
    await writeFile(join(home, 'nsswitch'), 'hosts: files\n')
    const mounts = [
      ['hosts', '/etc/hosts'],
      ['nsswitch', '/etc/nsswitch.conf'],
      ['authorities', AUTHORITIES],
    ]
    const script = [...mounts.map(([name, over]) => `mount --bind ${home}/${name} ${over}`), 'exec "$@"'].join(' && ')
    return new Gpg(home, ['unshare', ...NAMESPACES, 'sh', '-c', script, 'sh'])
  }

  /** Looks for the key of an address where it is told to, and nowhere else. */
  async locate(address: string, ...how: readonly string[]): Promise<Located> {
    const { said, isOk } = await this.#gpg(...how, '--locate-external-keys', address)
    return { isFound: isOk, keys: (await this.#gpg('--with-colons', '--list-keys')).out, said }
  }
  /** Adds a key block. */
  async import(bytes: Uint8Array): Promise<string> {
    const file = join(this.#home, 'block')
    await writeFile(file, bytes)
    const { said } = await this.#gpg('--import', file)
    return said
  }
  /** As gpg lists them: `--with-colons`. */
  async secretKeys(): Promise<string> {
    return (await this.#gpg('--with-colons', '--list-secret-keys')).out
  }
  /** A secret key, armoured and still locked. */
  async exportsSecret(fingerprint: string, passphrase: string): Promise<string> {
    const how = ['--pinentry-mode', 'loopback', '--passphrase', passphrase]
    return (await this.#gpg(...how, '--armor', '--export-secret-keys', fingerprint)).out
  }
  /** Signatures on a key as gpg judges them: `sig:!` is good. */
  async signatures(fingerprint: string): Promise<string> {
    return (await this.#gpg('--with-colons', '--check-sigs', fingerprint)).out
  }
  async close(): Promise<void> {
    await run('gpgconf', ['--homedir', this.#home, '--kill', 'all']).catch(() => undefined)
    await rm(this.#home, { recursive: true, force: true })
  }

  async #gpg(...args: readonly string[]): Promise<{ out: string; said: string; isOk: boolean }> {
    const [program = 'gpg', ...rest] = [...this.#before, 'gpg', '--homedir', this.#home, '--batch', '--no-tty', ...args]
    try {
      const { stdout, stderr } = await run(program, rest, { timeout: 30_000 })
      return { out: stdout, said: stderr, isOk: true }
    } catch (error) {
      const { stdout = '', stderr = String(error) } = error as { stdout?: string; stderr?: string }
      return { out: stdout, said: stderr, isOk: false }
    }
  }
}
