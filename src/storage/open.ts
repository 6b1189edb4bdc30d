import type { ActivityStore } from '../account/activity.ts'
import type { DataKeyStore } from '../account/data-key-store.ts'
import type { ImportStore } from '../account/import-store.ts'
import type { LastSeenStore } from '../account/last-seen-store.ts'
import type { LoginStore } from '../account/login-store.ts'
import type { LookupStore } from '../account/lookup-store.ts'
import type { PrivateStore } from '../account/private-store.ts'
import type { AccountStore } from '../account/store.ts'
import type { TakeoverStore } from '../account/takeover-store.ts'
import type { VcardStore } from '../account/vcard-store.ts'
import type { ArchiveStore } from '../inbox/archive.ts'
import type { InboxStore } from '../inbox/store.ts'
import type { KeyListingStore } from '../keys/listing-store.ts'
import type { NetworkStore } from '../keys/network-store.ts'
import type { KeyTransferStore } from '../keys/transfer-store.ts'
import type { PushStore } from '../push/store.ts'
import type { BlockStore } from '../roster/block-store.ts'
import type { ReportStore } from '../roster/report-store.ts'
import type { RosterStore } from '../roster/store.ts'
import type { UploadStore } from '../uploads/store.ts'
import { StartError } from '../util/start-error.ts'
import { SqlAccountStore } from './account-store.ts'
import { SqlActivityStore } from './activity-store.ts'
import { SqlArchiveStore } from './archive-store.ts'
import { SqlBlockStore } from './block-store.ts'
import { SqlDataKeyStore } from './data-key-store.ts'
import { SqlImportStore } from './import-store.ts'
import { SqlInboxStore } from './inbox-store.ts'
import { SqlKeyListingStore } from './key-listing-store.ts'
import { SqlKeyTransferStore } from './key-transfer-store.ts'
import { SqlLastSeenStore } from './last-seen-store.ts'
import { SqlLoginStore } from './login-store.ts'
import { SqlLookupStore } from './lookup-store.ts'
import { migrate } from './migrate.ts'
import { SqlNetworkStore } from './network-store.ts'
import { PostgresDatabase } from './postgres/database.ts'
import { SqlPrivateStore } from './private-store.ts'
import { SqlPushStore } from './push-store.ts'
import { SqlReportStore } from './report-store.ts'
import { SqlRosterStore } from './roster-store.ts'
import { type Database, StoreError } from './sql.ts'
import { SqliteDatabase } from './sqlite/database.ts'
import { SqlTakeoverStore } from './takeover-store.ts'
import { SqlUploadStore } from './upload-store.ts'
import { SqlVcardStore } from './vcard-store.ts'

export interface Stores {
  readonly database: Database
  readonly accounts: AccountStore
  readonly logins: LoginStore
  readonly rosters: RosterStore
  readonly blocks: BlockStore
  readonly reports: ReportStore
  readonly privateXml: PrivateStore
  readonly vcards: VcardStore
  readonly lastSeen: LastSeenStore
  readonly lookups: LookupStore
  readonly inbox: InboxStore
  readonly archive: ArchiveStore
  readonly dataKeys: DataKeyStore
  readonly keyTransfers: KeyTransferStore
  readonly takeovers: TakeoverStore
  readonly activity: ActivityStore
  readonly push: PushStore
  readonly network: NetworkStore
  readonly imports: ImportStore
  readonly keyListing: KeyListingStore
  readonly uploads: UploadStore
  /** Brings the database up to date; returns the names of the migrations applied. @throws StartError, StoreError */
  migrate(): Promise<readonly string[]>
  close(): Promise<void>
}

export interface StoreOptions {
  /** `postgres://…`; undefined: embedded, in `dataDir`. */
  readonly databaseUrl: string | undefined
  /** A folder, or `:memory:`. */
  readonly dataDir: string
  /** Connections to PostgreSQL. */
  readonly connections?: number
  /** Ms since the epoch; for tests. */
  readonly now?: () => number
}

/** Opens the database with all its stores. @throws StartError when it cannot be had */
export async function openStores(options: StoreOptions): Promise<Stores> {
  const { databaseUrl, dataDir, connections = 10, now = Date.now } = options
  if (databaseUrl === undefined) {
    const database = await SqliteDatabase.open(dataDir === ':memory:' ? undefined : dataDir)
    return storesOn(database, SqlInboxStore.sqlite(database, now), now)
  }
  const database = await connected(databaseUrl, connections)
  return storesOn(database, SqlInboxStore.postgres(database, now), now)
}

function storesOn(database: Database, inbox: InboxStore, now: () => number): Stores {
  return {
    database,
    accounts: new SqlAccountStore(database, now),
    logins: new SqlLoginStore(database),
    rosters: new SqlRosterStore(database),
    blocks: new SqlBlockStore(database),
    reports: new SqlReportStore(database, now),
    privateXml: new SqlPrivateStore(database),
    vcards: new SqlVcardStore(database),
    lastSeen: new SqlLastSeenStore(database),
    lookups: new SqlLookupStore(database),
    inbox,
    archive: new SqlArchiveStore(database),
    dataKeys: new SqlDataKeyStore(database),
    keyTransfers: new SqlKeyTransferStore(database),
    takeovers: new SqlTakeoverStore(database),
    activity: new SqlActivityStore(database),
    push: new SqlPushStore(database),
    network: new SqlNetworkStore(database),
    imports: new SqlImportStore(database),
    keyListing: new SqlKeyListingStore(database),
    uploads: new SqlUploadStore(database),
    migrate: () => migrate(database),
    close: () => database.close(),
  }
}

async function connected(url: string, connections: number): Promise<PostgresDatabase> {
  const database = new PostgresDatabase({ url, connections })
  try {
    await database.query('select 1')
    return database
  } catch (error) {
    await database.close()
    if (!(error instanceof StoreError)) throw error
    const reason = error.cause instanceof Error ? error.cause.message : String(error.cause)
    throw new StartError(`database.url: PostgreSQL cannot be reached: ${reason}`)
  }
}
