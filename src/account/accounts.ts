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

/** `replaced`: another one bears its address now, and has nothing of it; `secrets`: a new password, and all sessions stay. */
export type AccountChange =
  | 'created'
  | 'replaced'
  | 'disabled'
  | 'enabled'
  | 'removed'
  | 'password'
  | 'secrets'
  | 'key'
  | 'delivery'

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

/** A new account, and what it means for its address. */
export interface Inserted {
  readonly account: Account
  readonly change: 'created' | 'replaced'
}
/** An account as a session knows it: under its address there may be another one by now. */
export interface SessionAccount {
  readonly account: BareJid
  readonly accountId: number
  readonly jid: FullJid
}

/** Of services of the domain, here or to come: a stanza to such an address would never reach an account. */
const SERVICE_NAMES: ReadonlySet<string> = new Set(['multicast', 'network', 'probe', 'push', 'registration', 'upload'])

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
   * `insert` stands in for the store's plain insertion where more belongs into its transaction; undefined from it: taken. `former`:
   * the account whose place this one takes there, which leaves its contacts before.
   * @throws AccountError malformed, foreign, reserved, taken; PasswordError; what `insert` throws
   */
  async create(
    request: CreateAccount,
    insert?: (account: NewAccount) => Promise<Inserted | undefined>,
    former?: Account,
  ): Promise<Account> {
    const { jid, naming, password, fingerprint } = request
    this.#checkName(jid, naming)
    const secrets = password === undefined ? [] : await this.#passwords.hash(password)
    const wanted = { jid, isNumber: naming === 'number', fingerprint, secrets }
    if (former !== undefined) await this.#onRemoving(former)
    const made = await (insert === undefined ? this.#insert(wanted) : insert(wanted))
    if (made === undefined) throw new AccountError('taken')
    await this.#onChanged(jid, made.change)
    return made.account
  }
  async #insert(wanted: NewAccount): Promise<Inserted | undefined> {
    const account = await this.#store.create(wanted)
    return account && { account, change: 'created' }
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
  async remove(jid: BareJid, by?: SessionAccount): Promise<void> {
    const account = await this.#of(jid, by)
    await this.#onRemoving(account)
    await this.#store.remove(account.id)
    await this.#onChanged(jid, 'removed', by?.jid)
  }
  /** Removes it if nobody has used it since. @returns whether nobody has */
  async removeUnused(jid: BareJid, before: number): Promise<boolean> {
    const account = await this.#store.find(jid)
    if (account === undefined) return false
    await this.#onRemoving(account)
    if (!(await this.#store.removeUnused(account.id, before))) return false
    await this.#onChanged(jid, 'removed')
    return true
  }
  /** Ends all tokens; other sessions end unless `keepsSessions`. @throws AccountError unknown, PasswordError */
  async setPassword(
    jid: BareJid,
    password: string,
    by?: SessionAccount & { readonly keepsSessions?: boolean },
  ): Promise<void> {
    const { id } = await this.#of(jid, by)
    await this.#store.setSecrets(id, await this.#passwords.hash(password))
    await this.#onChanged(jid, by?.keepsSessions === true ? 'secrets' : 'password', by?.jid)
  }
  /** The account is that of another key from now on, which `change` writes. @throws AccountError unknown; what `change` throws */
  async changeKey({ id, jid }: Account, by: SessionAccount, change: () => Promise<void>): Promise<void> {
    if (by.accountId !== id) throw new AccountError('unknown')
    await change()
    await this.#onChanged(jid, 'key', by.jid)
  }
  /** A session may be of an account that has been replaced, and not know it yet. */
  async #of(jid: BareJid, by: SessionAccount | undefined): Promise<Account> {
    const account = await this.show(jid)
    if (by !== undefined && by.accountId !== account.id) throw new AccountError('unknown')
    return account
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
