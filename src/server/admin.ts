import { AccountError } from '../account/accounts.ts'
import { forgetDataKeys } from '../account/data-keys.ts'
import { KeyFileError } from '../account/operator-keys.ts'
import { PasswordError } from '../account/password.ts'
import type { Account, Delivery } from '../account/store.ts'
import {
  type AccountSummary,
  type Admin,
  AdminError,
  type HistorySummary,
  type InboxKeyRotation,
  type NetworkServer,
  type ServerKey as ServerKeySummary,
} from '../contract/admin.ts'
import { deleteHistory } from '../inbox/archive.ts'
import { KeyError } from '../keys/key-error.ts'
import { setListed } from '../keys/listing.ts'
import { ServerKey, userIdOf } from '../keys/server-key.ts'
import { type BareJid, type Domain, isFull, localOf, parseJid, prepareDomain } from '../xmpp/jid.ts'
import type { Core } from './core.ts'
import { openKeys, serverKeyText } from './core.ts'

/** The server that runs, as far as the operator's wishes concern it. */
export interface RunningParts {
  /** Of an account, on this node. */
  readonly sessions: (account: BareJid) => number
  /** The server's keys in the store are others now: all nodes are to hear of it. */
  readonly serverKeysChanged: () => Promise<void>
}

/** The operator's wishes, done on the store; `running`: where a server runs on it. */
export class CoreAdmin implements Admin {
  readonly #core: Core
  readonly #running: RunningParts | undefined

  constructor(core: Core, running: RunningParts | undefined) {
    this.#core = core
    this.#running = running
  }

  async addAccount(jid: string, password: string): Promise<void> {
    const bare = accountJid(jid)
    await told(bare, () => this.#core.accounts.create({ jid: bare, naming: 'chosen', password }))
  }
  async listAccounts(after: string | undefined, limit: number): Promise<readonly AccountSummary[]> {
    const found: AccountSummary[] = []
    const from = after === undefined ? undefined : parseJid(after)
    for (const domain of [...this.#core.domains].sort()) {
      if (found.length >= limit) break
      if (from !== undefined && !from.endsWith(`@${domain}`) && domain < from.slice(from.indexOf('@') + 1)) continue
      const start = from?.endsWith(`@${domain}`) === true ? from : ''
      const accounts = await this.#core.accounts.list(domain, start, limit - found.length)
      found.push(...accounts.map((account) => this.#summary(account)))
    }
    return found
  }
  async showAccount(jid: string): Promise<AccountSummary> {
    const bare = accountJid(jid)
    return this.#summary(await told(bare, () => this.#core.accounts.show(bare)))
  }
  async setDisabled(jid: string, disabled: boolean): Promise<void> {
    const bare = accountJid(jid)
    await told(bare, () => (disabled ? this.#core.accounts.disable(bare) : this.#core.accounts.enable(bare)))
  }
  async setPassword(jid: string, password: string): Promise<void> {
    const bare = accountJid(jid)
    await told(bare, () => this.#core.accounts.setPassword(bare, password))
  }
  async setDelivery(jid: string, delivery: Delivery | undefined): Promise<void> {
    const bare = accountJid(jid)
    await told(bare, () => this.#core.accounts.setDelivery(bare, delivery))
  }
  async isKeyListed(jid: string): Promise<boolean> {
    const bare = accountJid(jid)
    const { id } = await told(bare, () => this.#core.accounts.show(bare))
    return await this.#core.stores.keyListing.has(id)
  }
  async setKeyListed(jid: string, isListed: boolean): Promise<void> {
    const bare = accountJid(jid)
    const account = await told(bare, () => this.#core.accounts.show(bare))
    await setListed(this.#core.stores.keyListing, account, isListed)
  }
  async deleteAccount(jid: string): Promise<void> {
    const bare = accountJid(jid)
    await told(bare, () => this.#core.accounts.remove(bare))
  }
  async showHistory(jid: string): Promise<HistorySummary> {
    const bare = accountJid(jid)
    const { id } = await told(bare, () => this.#core.accounts.show(bare))
    const { archive } = this.#core.stores
    const [messages, ends] = await Promise.all([archive.count(id, {}, Number.MAX_SAFE_INTEGER - 1), archive.ends(id)])
    return { messages: messages ?? 0, oldest: ends?.first.at, newest: ends?.last.at }
  }
  async deleteHistory(jid: string, before: number | undefined): Promise<number> {
    const bare = accountJid(jid)
    const { id } = await told(bare, () => this.#core.accounts.show(bare))
    return await deleteHistory(this.#core.stores.archive, id, { end: before === undefined ? undefined : before - 1 })
  }
  async serverKeys(): Promise<readonly ServerKeySummary[]> {
    const kept = await this.#core.keyStore.serverKeys()
    const keys = kept.map(({ fingerprint, createdAt, isCurrent, ring }) => {
      return { fingerprint, createdAt, isCurrent, userId: userIdOf(ring) }
    })
    return [...keys.filter((key) => key.isCurrent), ...keys.filter((key) => !key.isCurrent)]
  }
  async initServerKey(): Promise<ServerKeySummary> {
    await openKeys(this.#core, true)
    return await this.#serverKey()
  }
  async rotateServerKey(): Promise<ServerKeySummary> {
    const { keyStore, root, config } = this.#core
    // The first one is made by init, or comes from the file that the config names.
    if ((await this.serverKeys()).length === 0)
      throw new AdminError('not-found', 'there is no server key yet; fernruf key init makes it')
    await ServerKey.rotate(keyStore, root, { domain: config.domains[0], now: Date.now() })
    await this.#running?.serverKeysChanged()
    return await this.#serverKey()
  }
  async importServerKey(key: string): Promise<ServerKeySummary> {
    const { keyStore, root } = this.#core
    try {
      await ServerKey.take(keyStore, root, Buffer.from(key, 'base64'), Date.now())
    } catch (error) {
      if (!(error instanceof KeyError)) throw error
      // What the library says may hold the key.
      throw new AdminError('invalid', `the key ${serverKeyText(error)}`)
    }
    await this.#running?.serverKeysChanged()
    return await this.#serverKey()
  }
  async forgetServerKey(fingerprint: string): Promise<void> {
    const keys = await this.serverKeys()
    if (keys.some((key) => key.isCurrent && key.fingerprint === fingerprint))
      throw new AdminError('invalid', `${fingerprint} is the current key; fernruf key rotate makes another`)
    if (!(await this.#core.keyStore.removeServerKey(fingerprint)))
      throw new AdminError('not-found', `${fingerprint} is no key of this server`)
    await this.#running?.serverKeysChanged()
  }
  async #serverKey(): Promise<ServerKeySummary> {
    return (await this.serverKeys())[0] as ServerKeySummary
  }
  async addNetworkServer(domain: string, fingerprint: string): Promise<void> {
    const prepared = networkDomain(domain)
    if (this.#core.domains.has(prepared))
      throw new AdminError('invalid', `${prepared} is served here and listed in any case`)
    const isAdded = await this.#core.stores.network.put({ domain: prepared, fingerprint }, Date.now(), MAX_NETWORK)
    if (!isAdded) throw new AdminError('invalid', `a network has at most ${MAX_NETWORK} other servers`)
  }
  async removeNetworkServer(domain: string): Promise<void> {
    const prepared = networkDomain(domain)
    if (!(await this.#core.stores.network.remove(prepared)))
      throw new AdminError('not-found', `${prepared} was not added`)
  }
  networkServers(): Promise<readonly NetworkServer[]> {
    return this.#core.stores.network.list()
  }
  async rotateInboxKeys(after: number): Promise<InboxKeyRotation> {
    const { dataKeys } = this.#core.sealing
    if (dataKeys === undefined) throw new AdminError('invalid', 'inbox.encryption.key_file is not configured')
    return await withKeyFile(() => dataKeys.rewrap(after))
  }
  async forgetInboxKeys(operatorKey: string): Promise<number> {
    const { dataKeys, operatorKeys } = this.#core.sealing
    // Also lets go of what was unwrapped before its line was taken out of the file.
    await withKeyFile(async () => await dataKeys?.reload())
    if (operatorKeys?.find(operatorKey) !== undefined)
      throw new AdminError('invalid', `${operatorKey} is in ${operatorKeys.path}; take its line out first`)
    return await forgetDataKeys(this.#core.stores.dataKeys, operatorKey)
  }

  #summary({ jid, isNumber, createdAt, disabledAt, delivery, fingerprint }: Account): AccountSummary {
    const isDisabled = disabledAt !== undefined
    return { jid, isNumber, createdAt, isDisabled, delivery, fingerprint, sessions: this.#running?.sessions(jid) }
  }
}

/** Other servers that clients are told of. */
const MAX_NETWORK = 1_000

function networkDomain(text: string): Domain {
  const domain = text === '' ? undefined : prepareDomain(text)
  if (domain === undefined) throw new AdminError('invalid', `${text} is no domain`)
  return domain
}
function accountJid(text: string): BareJid {
  const jid = parseJid(text)
  if (jid === undefined || isFull(jid) || localOf(jid) === undefined)
    throw new AdminError('invalid', `${text} is no account's address (name@domain)`)
  return jid as BareJid
}

/** @throws AdminError when the file cannot be read again */
async function withKeyFile<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    if (!(cause instanceof KeyFileError)) throw cause
    throw new AdminError('invalid', `inbox.encryption.key_file: ${cause.path} ${cause.text}`, { cause })
  }
}

const ACCOUNT_TEXTS: Readonly<Record<AccountError['fault'], string>> = {
  malformed: 'is no name an account may have',
  foreign: 'is of a domain that is not served here',
  reserved: 'is kept: for a number account, which registration alone makes, or for a service of the domain',
  taken: 'exists already',
  unknown: 'does not exist',
}
const PASSWORD_TEXTS: Readonly<Record<PasswordError['fault'], string>> = {
  'too-short': 'the password is too short',
  'too-long': 'the password is too long',
  'not-allowed': 'the password has characters that are not allowed',
  busy: 'too busy, try again',
}
/** @throws AdminError in the operator's words */
async function told<T>(jid: BareJid, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    if (cause instanceof AccountError) {
      const fault = cause.fault === 'unknown' ? 'not-found' : cause.fault === 'taken' ? 'exists' : 'invalid'
      throw new AdminError(fault, `${jid} ${ACCOUNT_TEXTS[cause.fault]}`, { cause })
    }
    if (cause instanceof PasswordError)
      throw new AdminError(cause.fault === 'busy' ? 'unavailable' : 'invalid', PASSWORD_TEXTS[cause.fault], { cause })
    throw cause
  }
}
