import type { Readable } from 'node:stream'

/** `full`: no room on the disk. */
export class FileStoreError extends Error {
  override readonly name = 'FileStoreError'
  readonly fault: 'full'
  constructor(fault: 'full', cause: unknown) {
    super(`file store ${fault}`, { cause })
    this.fault = fault
  }
}

/** Bytes that have come, where nobody finds them yet. */
export interface ReceivedFile {
  readonly bytes: number
  /** Makes them the file of the id, safe from a power cut; false when it has one. Not to be asked twice. */
  keep(): Promise<boolean>
  discard(): Promise<void>
}

/** Where the bytes of uploads are: a folder, or something like it. Ids are 32 hex digits. */
export interface FileStore {
  /**
   * Takes bytes to the end of `body`, or until there are more than `maxBytes`: then `bytes` is greater than that, and the rest is
   * left. What `body` throws is thrown, with nothing kept. @throws FileStoreError
   */
  receive(id: string, body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<ReceivedFile>
  /** Bytes `from` to `to`, both included; undefined when there is no such file. */
  open(id: string, from: number, to: number): Promise<Readable | undefined>
  /** Idempotent. */
  remove(id: string): Promise<void>
  /** Removes what a crash has left of files that came before, in ms since the epoch. */
  tidy(before: number): Promise<void>
}
