import { hkdfSync, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { makeFile } from '../util/new-file.ts'

export type RootSecretFault = 'missing' | 'unreadable' | 'unwritable' | 'empty' | 'too-short'

/** The root secret cannot be had; `path` names the file. */
export class RootSecretError extends Error {
  override readonly name = 'RootSecretError'
  readonly fault: RootSecretFault
  readonly path: string
  constructor(fault: RootSecretFault, path: string, cause?: unknown) {
    super(`root secret ${fault}: ${path}`, cause === undefined ? {} : { cause })
    this.fault = fault
    this.path = path
  }
}

/** Characters of one secret: 32 random bytes in base64 without padding. */
const MIN_LENGTH = 43
const MADE_BYTES = 48

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

/**
 * The one secret all others come from. The file holds one secret per line: the first signs and seals, all verify and open, so a
 * new first line rotates it. Empty lines and lines starting with `#` are skipped.
 */
export class RootSecret {
  readonly #secrets: readonly Buffer[]

  private constructor(secrets: readonly Buffer[]) {
    this.#secrets = secrets
  }

  /** @param path named in errors only. @throws RootSecretError */
  static parse(text: string, path = 'root secret'): RootSecret {
    const lines = text
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '' && !line.startsWith('#'))
    if (lines.length === 0) throw new RootSecretError('empty', path)
    if (lines.some((line) => line.length < MIN_LENGTH)) throw new RootSecretError('too-short', path)
    return new RootSecret(lines.map((line) => Buffer.from(line)))
  }

  /** Reads the file; with `make` it is made (mode 0600) when there is none. @throws RootSecretError */
  static async open(path: string, options: { readonly make: boolean }): Promise<RootSecret> {
    try {
      return RootSecret.parse(await readFile(path, 'utf8'), path)
    } catch (error) {
      if (error instanceof RootSecretError) throw error
      if (codeOf(error) !== 'ENOENT') throw new RootSecretError('unreadable', path, error)
      if (!options.make) throw new RootSecretError('missing', path, error)
    }
    await make(path)
    return RootSecret.open(path, { make: false })
  }

  /** A 32-byte key for one purpose, from the first secret. */
  derive(purpose: string): Buffer {
    return derive(this.#secrets[0] as Buffer, purpose)
  }

  /** The purpose's keys from every secret, the signing one first. */
  deriveAll(purpose: string): readonly Buffer[] {
    return this.#secrets.map((secret) => derive(secret, purpose))
  }
}

function derive(secret: Buffer, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, 'fernruf', purpose, 32))
}

/** Where another process was first, its secret is the one. */
async function make(path: string): Promise<void> {
  try {
    await makeFile(path, `${randomBytes(MADE_BYTES).toString('base64url')}\n`)
  } catch (error) {
    throw new RootSecretError('unwritable', path, error)
  }
}
