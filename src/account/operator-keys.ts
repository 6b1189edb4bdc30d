import { createHash, createSecretKey, type KeyObject, randomBytes } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { makeFile } from '../util/new-file.ts'
import { seal, unseal } from '../util/seal.ts'

export type KeyFileFault = 'missing' | 'unreadable' | 'unwritable' | 'exists' | 'empty' | 'malformed' | 'open-to-others'

/** The file with the operator's keys cannot be had, or not be made; `path` names it. */
export class KeyFileError extends Error {
  override readonly name = 'KeyFileError'
  readonly fault: KeyFileFault
  readonly path: string
  constructor(fault: KeyFileFault, path: string, cause?: unknown) {
    super(`key file ${fault}: ${path}`, cause === undefined ? {} : { cause })
    this.fault = fault
    this.path = path
  }
  /** In the operator's words, to follow the path. */
  get text(): string {
    return FAULT_TEXTS[this.fault]
  }
}
const FAULT_TEXTS: Readonly<Record<KeyFileFault, string>> = {
  missing: 'does not exist',
  unreadable: 'cannot be read',
  unwritable: 'cannot be written',
  exists: 'exists already and is not overwritten',
  empty: 'holds no key',
  malformed: 'has a line that is no key (32 random bytes in base64)',
  'open-to-others': 'is open to everybody on this machine; chmod 640 or less',
}

const KEY_BYTES = 32
/** 32 bytes in either base64. */
const KEY_LINE = /^[A-Za-z0-9+/_-]{43}=?$/

/** One key of the operator, under which the data keys of accounts are kept. */
export class OperatorKey {
  /** Names it where it was used: 16 hex digits of its hash. */
  readonly id: string
  readonly #key: KeyObject

  /** @param key 32 bytes */
  constructor(key: Buffer) {
    this.#key = createSecretKey(key)
    this.id = createHash('sha256').update('fernruf operator key\n').update(key).digest('hex').slice(0, 16)
  }
  wrap(account: number, dataKey: Uint8Array): Uint8Array {
    return seal(this.#key, dataKey, wrappedPlace(account))
  }
  /** Undefined when it was not wrapped by this key for this account. */
  unwrap(account: number, wrapped: Uint8Array): Buffer | undefined {
    return unseal(this.#key, wrapped, wrappedPlace(account))
  }
}
const wrappedPlace = (account: number): string => `fernruf data key\n${account}`

/**
 * The operator's keys. The file holds one a line, 32 random bytes in base64: the first wraps, all unwrap, so a new first line
 * rotates them. Empty lines and lines starting with `#` are skipped.
 */
export class OperatorKeys {
  readonly path: string
  #keys: readonly OperatorKey[]

  private constructor(path: string, keys: readonly OperatorKey[]) {
    this.path = path
    this.#keys = keys
  }

  /** @throws KeyFileError */
  static async open(path: string): Promise<OperatorKeys> {
    return new OperatorKeys(path, await read(path))
  }

  /** Makes a file with one new key, for its owner alone, and returns the key's id. @throws KeyFileError */
  static async make(path: string): Promise<string> {
    const key = randomBytes(KEY_BYTES)
    let isMade: boolean
    try {
      isMade = await makeFile(path, `${key.toString('base64')}\n`)
    } catch (error) {
      throw new KeyFileError('unwritable', path, error)
    }
    if (!isMade) throw new KeyFileError('exists', path)
    return new OperatorKey(key).id
  }

  get current(): OperatorKey {
    return this.#keys[0] as OperatorKey
  }
  find(id: string): OperatorKey | undefined {
    return this.#keys.find((key) => key.id === id)
  }
  /** Reads the file again; the keys stay as they are when it is faulty. @throws KeyFileError */
  async reload(): Promise<void> {
    this.#keys = await read(this.path)
  }
}

async function read(path: string): Promise<readonly OperatorKey[]> {
  const lines = (await textOf(path))
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
  if (lines.length === 0) throw new KeyFileError('empty', path)
  return lines.map((line) => {
    const key = Buffer.from(line, 'base64')
    if (!KEY_LINE.test(line) || key.length !== KEY_BYTES) throw new KeyFileError('malformed', path)
    return new OperatorKey(key)
  })
}

/** @throws KeyFileError, also when others than its owner and group may have to do with it */
async function textOf(path: string): Promise<string> {
  let file: FileHandle | undefined
  try {
    file = await open(path)
    if (((await file.stat()).mode & 0o007) !== 0) throw new KeyFileError('open-to-others', path)
    return await file.readFile('utf8')
  } catch (error) {
    if (error instanceof KeyFileError) throw error
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    throw new KeyFileError(isMissing ? 'missing' : 'unreadable', path, error)
  } finally {
    await file?.close()
  }
}
