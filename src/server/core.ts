import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type AccountChange, Accounts } from '../account/accounts.ts'
import { DataKeys, lackingKeys, lackingText } from '../account/data-keys.ts'
import { DecoySecrets } from '../account/decoy-secrets.ts'
import { KeyFileError, OperatorKeys } from '../account/operator-keys.ts'
import { PASSWORD_DEFAULTS, Passwords } from '../account/password.ts'
import { PayloadSeal } from '../account/payload-seal.ts'
import { RootSecret, RootSecretError } from '../account/root-secret.ts'
import type { Account } from '../account/store.ts'
import type { Config } from '../config/schema.ts'
import { Keys } from '../keys/directory.ts'
import { KeyError } from '../keys/key-error.ts'
import { ServerKey, ServerKeyError } from '../keys/server-key.ts'
import { SqlKeyStore } from '../storage/key-store.ts'
import { openStores, type Stores } from '../storage/open.ts'
import { StartError } from '../util/start-error.ts'
import type { BareJid, Domain, FullJid } from '../xmpp/jid.ts'

/** Told of every change of an account; `by` is the session that asked for it. */
export type OnAccountChanged = (jid: BareJid, what: AccountChange, by: FullJid | undefined) => void | Promise<void>

/** What both the running server and the command line on a store without one stand on. */
export interface Core {
  readonly config: Config
  readonly stores: Stores
  readonly root: RootSecret
  readonly passwords: Passwords
  readonly decoys: DecoySecrets
  readonly accounts: Accounts
  readonly keyStore: SqlKeyStore
  readonly domains: ReadonlySet<Domain>
  readonly sealing: Sealing
}
/** Encryption at rest (`inbox.encryption`). */
export interface Sealing {
  readonly seal: PayloadSeal
  /** Undefined where no key file is configured. */
  readonly operatorKeys: OperatorKeys | undefined
  readonly dataKeys: DataKeys | undefined
}

/** Opens store and root secret. @throws StartError */
export async function openCore(
  config: Config,
  parts: {
    /** Absent: opened and migrated by the config. */
    readonly stores?: Stores
    readonly onChanged: OnAccountChanged
    readonly onRemoving?: (account: Account) => void | Promise<void>
  },
): Promise<Core> {
  const stores =
    parts.stores ?? (await openStores({ databaseUrl: config.database?.url.reveal(), dataDir: config.data_dir }))
  try {
    const isEmbedded = config.database === undefined
    // Safe while other nodes run: migrations only add, under a lock, until a release says otherwise.
    if (parts.stores === undefined) await stores.migrate()
    const root = await openRoot(config, isEmbedded)
    const sealing = await openSealing(config, stores)
    const passwords = new Passwords({ ...PASSWORD_DEFAULTS, maxWaiting: config.limits.login.checks })
    const domains: ReadonlySet<Domain> = new Set(config.domains)
    const accounts = new Accounts({
      store: stores.accounts,
      passwords,
      domains,
      onChanged: (jid, what, by) => parts.onChanged(jid, what, by),
      ...(parts.onRemoving === undefined ? {} : { onRemoving: parts.onRemoving }),
    })
    const decoys = new DecoySecrets(root.derive('scram decoys'), PASSWORD_DEFAULTS.iterations)
    const keyStore = new SqlKeyStore(stores.database)
    return { config, stores, root, passwords, decoys, accounts, keyStore, domains, sealing }
  } catch (error) {
    if (parts.stores === undefined) await stores.close()
    throw error
  }
}

async function openSealing({ inbox }: Config, { dataKeys: store }: Stores): Promise<Sealing> {
  const { encryption } = inbox
  if (encryption === undefined)
    return { seal: new PayloadSeal(undefined, false), operatorKeys: undefined, dataKeys: undefined }
  try {
    const operatorKeys = await OperatorKeys.open(encryption.key_file)
    const dataKeys = new DataKeys(store, operatorKeys)
    return { seal: new PayloadSeal(dataKeys, encryption.enabled), operatorKeys, dataKeys }
  } catch (error) {
    if (!(error instanceof KeyFileError)) throw error
    throw new StartError(`inbox.encryption.key_file: ${error.path} ${error.text}`, { cause: error })
  }
}
/** Whatever is sealed in the store can be opened, as far as the operator's keys go. @throws StartError */
export async function checkSealing({ stores, sealing: { operatorKeys } }: Core): Promise<void> {
  const lacking = await lackingKeys(stores.dataKeys, operatorKeys)
  if (lacking.length > 0) throw new StartError(lackingText(lacking, operatorKeys?.path))
}

async function openRoot(config: Config, isEmbedded: boolean): Promise<RootSecret> {
  const path = config.secret_file ?? join(config.data_dir, 'secret')
  try {
    return await RootSecret.open(path, { make: isEmbedded && config.secret_file === undefined })
  } catch (error) {
    if (!(error instanceof RootSecretError)) throw error
    if (error.fault === 'missing' && config.secret_file === undefined)
      throw new StartError('With a database of its own the server needs secret_file, the same on every node.')
    throw new StartError(`secret_file: ${path} is ${error.fault.replace('-', ' ')}`, { cause: error })
  }
}

/** The server's OpenPGP key and the directory above it; `told` hears of keys that were written, and of those that are over. @throws StartError */
export async function openKeys(
  core: Core,
  make: boolean,
  told: { readonly onChanged?: (jid: BareJid) => void; readonly onOver?: (jid: BareJid) => void } = {},
): Promise<Keys> {
  const [domain] = core.config.domains
  const { server_key_file: file } = core.config.keys
  const open = (options: { readonly make: boolean; readonly first?: () => Promise<Uint8Array> }): Promise<ServerKey> =>
    ServerKey.open(core.keyStore, core.root, { domain, now: Date.now(), ...options })
  try {
    const server = await open(file === undefined ? { make } : { make, first: () => readFile(file) })
    const parts = {
      store: core.keyStore,
      accounts: core.stores.accounts,
      server,
      reopen: () => open({ make: false }),
    }
    return new Keys({ ...parts, ...told })
  } catch (error) {
    if (error instanceof KeyError)
      throw new StartError(`keys.server_key_file: ${file} ${serverKeyText(error)}`, { cause: error })
    if (file !== undefined && error instanceof Error && 'code' in error)
      throw new StartError(`keys.server_key_file: ${file} cannot be read (${String(error.code)})`, { cause: error })
    if (!(error instanceof ServerKeyError)) throw error
    throw new StartError(
      error.fault === 'missing'
        ? 'There is no OpenPGP key of the server yet; make it with: fernruf key init'
        : 'The OpenPGP key of the server was sealed by another root secret; is secret_file the right one?',
      { cause: error },
    )
  }
}

/** Why a key cannot become the server's, in the operator's words. */
export function serverKeyText({ fault }: KeyError): string {
  if (fault === 'locked') return 'is locked with a passphrase; export it without one'
  if (fault === 'malformed') return 'is not one OpenPGP secret key (v4) with its primary key'
  if (fault === 'weak') return 'is too weak, or cannot certify: RSA of 2048 bits or more, Ed25519 or a NIST curve'
  if (fault === 'future') return 'was made in the future'
  return `is of no use: ${fault.replace('-', ' ')}`
}
