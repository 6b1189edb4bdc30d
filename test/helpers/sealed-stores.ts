import { pino } from 'pino'
import { DataKeys } from '../../src/account/data-keys.ts'
import { PayloadSeal } from '../../src/account/payload-seal.ts'
import { SealedPrivateStore } from '../../src/account/sealed-private-store.ts'
import { SealedArchiveStore, SealedInboxStore } from '../../src/inbox/sealed-store.ts'
import type { Stores } from '../../src/storage/open.ts'
import type { KeyFile } from './operator-keys.ts'

export interface SealedStores extends Stores {
  readonly keys: DataKeys
  readonly seal: PayloadSeal
  /** Lines of the log, as objects. */
  readonly logged: readonly Readonly<Record<string, unknown>>[]
}

/** The stores as a node with that key file has them, with a memory of its own for keys. */
export async function sealedStores(stores: Stores, file: KeyFile, isOn = true): Promise<SealedStores> {
  const keys = new DataKeys(stores.dataKeys, await file.open())
  const seal = new PayloadSeal(keys, isOn)
  const logged: Record<string, unknown>[] = []
  const log = pino({}, { write: (line: string) => void logged.push(JSON.parse(line) as Record<string, unknown>) })
  return {
    ...stores,
    inbox: new SealedInboxStore(stores.inbox, seal, log),
    archive: new SealedArchiveStore(stores.archive, seal, log),
    privateXml: new SealedPrivateStore(stores.privateXml, seal),
    keys,
    seal,
    logged,
  }
}
