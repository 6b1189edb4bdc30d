import { randomBytes } from 'node:crypto'
import { type FileHandle, link, mkdir, open, readdir, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { type FileStore, FileStoreError, type ReceivedFile } from '../uploads/file-store.ts'

const COMING = 'coming'
const NO_ROOM: ReadonlySet<unknown> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG'])

/**
 * Uploads in a folder, which several nodes may share: `ab/abcd…` by the id, and `coming/` for what is not whole yet. A file is in
 * its place when all of it is on the disk, and never changes.
 */
export class UploadFolder implements FileStore {
  readonly #folder: string
  /** Folders that are known to be there. */
  readonly #made = new Set<string>()

  private constructor(folder: string) {
    this.#folder = folder
  }
  /** @throws the system's error when it cannot be made */
  static async open(folder: string): Promise<UploadFolder> {
    const made = new UploadFolder(folder)
    await made.#make(join(folder, COMING))
    return made
  }

  async receive(id: string, body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<ReceivedFile> {
    const coming = join(this.#folder, COMING, `${checked(id)}.${randomBytes(4).toString('hex')}`)
    const file = await open(coming, 'wx', 0o600)
    let bytes: number
    try {
      bytes = await write(file, body, maxBytes)
    } catch (error) {
      await file.close()
      await unlink(coming)
      throw NO_ROOM.has(codeOf(error)) ? new FileStoreError('full', error) : error
    }
    return {
      bytes,
      keep: async () => {
        try {
          await file.sync()
          await file.close()
          return await this.#place(coming, id)
        } finally {
          await unlink(coming)
        }
      },
      discard: async () => {
        await file.close()
        await unlink(coming)
      },
    }
  }
  /** A link, unlike a rename, replaces nothing. */
  async #place(coming: string, id: string): Promise<boolean> {
    const folder = this.#shelf(id)
    await this.#make(folder)
    try {
      await link(coming, join(folder, id))
    } catch (error) {
      if (codeOf(error) === 'EEXIST') return false
      throw error
    }
    await syncFolder(folder)
    return true
  }

  async open(id: string, from: number, to: number): Promise<Readable | undefined> {
    try {
      const file = await open(join(this.#shelf(id), id))
      return file.createReadStream({ start: from, end: to })
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined
      throw error
    }
  }

  remove(id: string): Promise<void> {
    return gone(join(this.#shelf(id), id))
  }

  async tidy(before: number): Promise<void> {
    const folder = join(this.#folder, COMING)
    for (const name of await readdir(folder)) {
      const path = join(folder, name)
      const found = await stat(path).catch(() => undefined)
      if (found !== undefined && found.mtimeMs < before) await gone(path)
    }
  }

  #shelf(id: string): string {
    return join(this.#folder, checked(id).slice(0, 2))
  }
  async #make(folder: string): Promise<void> {
    if (this.#made.has(folder)) return
    await mkdir(folder, { recursive: true, mode: 0o700 })
    await syncFolder(this.#folder)
    this.#made.add(folder)
  }
}

/** Nothing else becomes part of a path. */
function checked(id: string): string {
  if (!/^[0-9a-f]{32}$/.test(id)) throw new Error('no id of an upload')
  return id
}

async function write(file: FileHandle, body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<number> {
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.length
    if (bytes > maxBytes) break
    for (let at = 0; at < chunk.length; ) at += (await file.write(chunk, at)).bytesWritten
  }
  return bytes
}
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path)
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
async function gone(path: string): Promise<void> {
  try {
    await unlink(path)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
  }
}
const codeOf = (error: unknown): unknown => (error instanceof Error && 'code' in error ? error.code : undefined)
