import { type BareJid, bareOf, type Domain, domainOf, type FullJid, isFull, localOf, parseJid } from '../xmpp/jid.ts'
import type { Passwords } from './password.ts'
import { isNumberLocalpart } from './phone-number.ts'
import type { Account, AccountStore, Delivery } from './store.ts'
import type { NewAccount } from './verification-store.ts'

/**
 * `malformed`: no account can have this address; `foreign`: its domain is not served here; `reserved`: names of 40 hex digits
 * belong to phone numbers, some others to services; `taken`; `unknown`: there is no such account.
 */
export type AccountFault = 'malformed' | 'foreign' | 'reserved' | 'taken' | 'unknown'

export class AccountError extends Error {
  override readonly name = 'AccountError'
  readonly fault: AccountFault
  constructor(fault: AccountFault) {
    super(`account ${fault}`)
    this.fault = fault
  }
}

export type AccountChange = 'created' | 'disabled' | 'enabled' | 'removed' | 'password' | 'key' | 'delivery'

export interface AccountsOptions {
  readonly store: AccountStore
  readonly passwords: Pick<Passwords, 'hash'>
  readonly domains: ReadonlySet<Domain>
  /**
   * After each committed change. `by` is the session that asked for it and waits for its answer: it is not to be ended here.
   * What it returns is awaited before the asker is told.
   */
  readonly onChanged: (jid: BareJid, what: AccountChange, by?: FullJid) => void | Promise<void>
  /** Before an account goes, while its roster is still there: takes leave of its contacts. */
  readonly onRemoving?: (account: Account) => void | Promise<void>
  readonly now?: () => number
}

export interface CreateAccount {
  readonly jid: BareJid
  /** `number`: proven by a code, named by the number's hash; `chosen`: any other name. */
  readonly naming: 'number' | 'chosen'
  readonly password?: string
  readonly fingerprint?: string
}

/** Of services of the domain, here or to come: a stanza to such an address would never reach an account. */
const SERVICE_NAMES: ReadonlySet<string> = new Set(['multicast', 'network', 'probe', 'push'])

/** Who may exist: the only one to create, disable and remove accounts and to set their passwords. */
export class Accounts {
  readonly #store: AccountStore
  readonly #passwords: Pick<Passwords, 'hash'>
  readonly #domains: ReadonlySet<Domain>
  readonly #onChanged: AccountsOptions['onChanged']
  readonly #onRemoving: NonNullable<AccountsOptions['onRemoving']>
  readonly #now: () => number

  constructor(options: AccountsOptions) {
    this.#store = options.store
    this.#passwords = options.passwords
    this.#domains = options.domains
    this.#onChanged = options.onChanged
    this.#onRemoving = options.onRemoving ?? (() => undefined)
    this.#now = options.now ?? Date.now
  }

  /**
   * `insert` stands in for the store's plain insertion where more belongs into its transaction; undefined from it: taken.
   * @throws AccountError malformed, foreign, reserved, taken; PasswordError
   */
  async create(
    request: CreateAccount,
    insert: (account: NewAccount) => Promise<Account | undefined> = (account) => this.#store.create(account),
  ): Promise<Account> {
    const { jid, naming, password, fingerprint } = request
    this.#checkName(jid, naming)
    const secrets = password === undefined ? [] : await this.#passwords.hash(password)
    const account = await insert({ jid, isNumber: naming === 'number', fingerprint, secrets })
    if (account === undefined) throw new AccountError('taken')
    await this.#onChanged(jid, 'created')
    return account
  }

  find(jid: BareJid): Promise<Account | undefined> {
    return this.#store.find(jid)
  }
  /** @throws AccountError unknown */
  async show(jid: BareJid): Promise<Account> {
    const account = await this.#store.find(jid)
    if (account === undefined) throw new AccountError('unknown')
    return account
  }
  /** Accounts of a domain in order of their JIDs; `after` is the last one's of the page before, or ''. */
  list(domain: Domain, after: string, limit: number): Promise<readonly Account[]> {
    return this.#store.list(domain, after, limit)
  }

  /** Lets nobody log in until it is enabled again; messages wait. Idempotent. @throws AccountError unknown */
  async disable(jid: BareJid): Promise<void> {
    const account = await this.show(jid)
    if (account.disabledAt !== undefined) return
    await this.#store.setDisabled(account.id, this.#now())
    await this.#onChanged(jid, 'disabled')
  }
  /** Idempotent. @throws AccountError unknown */
  async enable(jid: BareJid): Promise<void> {
    const account = await this.show(jid)
    if (account.disabledAt === undefined) return
    await this.#store.setDisabled(account.id, undefined)
    await this.#onChanged(jid, 'enabled')
  }
  /** Undefined: the domain's policy. @throws AccountError unknown */
  async setDelivery(jid: BareJid, delivery: Delivery | undefined): Promise<void> {
    const account = await this.show(jid)
    await this.#store.setDelivery(account.id, delivery)
    await this.#onChanged(jid, 'delivery')
  }
  /** Removes the account and all it has. @throws AccountError unknown */
  async remove(jid: BareJid, by?: FullJid): Promise<void> {
    const account = await this.show(jid)
    await this.#onRemoving(account)
    await this.#store.remove(account.id)
    await this.#onChanged(jid, 'removed', by)
  }
  /** @throws AccountError unknown, PasswordError */
  async setPassword(jid: BareJid, password: string, by?: FullJid): Promise<void> {
    const account = await this.show(jid)
    await this.#store.setSecrets(account.id, await this.#passwords.hash(password))
    await this.#onChanged(jid, 'password', by)
  }
  /** The account is that of another key from now on. @throws AccountError unknown */
  async setFingerprint(jid: BareJid, fingerprint: string, by?: FullJid): Promise<void> {
    const account = await this.show(jid)
    await this.#store.setFingerprint(account.id, fingerprint)
    await this.#onChanged(jid, 'key', by)
  }

  #checkName(jid: BareJid, naming: CreateAccount['naming']): void {
    const local = localOf(jid)
    if (local === undefined || isFull(jid) || parseJid(jid) !== bareOf(jid)) throw new AccountError('malformed')
    if (!this.#domains.has(domainOf(jid))) throw new AccountError('foreign')
    if (SERVICE_NAMES.has(local)) throw new AccountError('reserved')
    if (isNumberLocalpart(local) !== (naming === 'number')) {
      throw new AccountError(naming === 'number' ? 'malformed' : 'reserved')
    }
  }
}
