import { RootSecret } from '../../src/account/root-secret.ts'
import type { Account } from '../../src/account/store.ts'
import { Keys } from '../../src/keys/directory.ts'
import type { PolicyName } from '../../src/keys/openpgp.ts'
import { ServerKey } from '../../src/keys/server-key.ts'
import type { KeyStore, NewKey, StoredServerKey } from '../../src/keys/store.ts'
import type { BareJid, Domain } from '../../src/xmpp/jid.ts'

export const ROOT = RootSecret.parse('r'.repeat(43))
export const DOMAIN = 'example.org' as Domain

export function keyStoreInMemory(jidOf = (account: number) => `${account}@example.org` as BareJid): KeyStore {
  const keys = new Map<number, NewKey>()
  const servers: StoredServerKey[] = []
  return {
    find: async (account) => keys.get(account),
    put: async (key) => keys.set(key.account, key).has(key.account),
    follow: async (key) => keys.set(key.account, key).has(key.account),
    expired: async (now) =>
      [...keys.values()]
        .filter((key) => key.expiresAt <= now)
        .map(({ account, fingerprint }) => ({ account, fingerprint, jid: jidOf(account) })),
    endTokens: async () => true,
    ended: async ({ account }) => {
      const key = keys.get(account)
      if (key !== undefined) keys.set(account, { ...key, expiresAt: Number.POSITIVE_INFINITY })
    },
    serverKeys: async () => [...servers],
    addFirstServerKey: async (key) => {
      if (servers.length === 0) servers.push({ ...key, isCurrent: true })
    },
    makeCurrent: async (key) => {
      const others = servers.filter(({ fingerprint }) => fingerprint !== key.fingerprint)
      servers.splice(
        0,
        servers.length,
        { ...key, isCurrent: true },
        ...others.map((one) => ({ ...one, isCurrent: false })),
      )
    },
    removeServerKey: async (fingerprint) => {
      const at = servers.findIndex((key) => key.fingerprint === fingerprint && !key.isCurrent)
      return at >= 0 && servers.splice(at, 1).length > 0
    },
  }
}

export interface KeysInMemory {
  readonly keys: Keys
  readonly store: KeyStore
  readonly server: ServerKey
  /** An account registered with this key. */
  account(jid: string, fingerprint: string | undefined, disabledAt?: number): Account
  /** It, as the line's view has it when it was read anew. */
  found(jid: BareJid): Account
  /** Accounts whose key was written. */
  readonly changed: readonly BareJid[]
  /** Accounts whose key is over. */
  readonly over: readonly BareJid[]
}

/** A key directory with a server key, over stores in memory; `at` is its clock. */
export async function keysInMemory(options: { at?: () => number; policy?: PolicyName } = {}): Promise<KeysInMemory> {
  const accounts = new Map<BareJid, Account>()
  const store = keyStoreInMemory((id) => [...accounts.values()].find((a) => a.id === id)?.jid as BareJid)
  const now = options.at ?? Date.now
  const changed: BareJid[] = []
  const over: BareJid[] = []
  const server = await ServerKey.open(store, ROOT, { domain: DOMAIN, make: true, now: now() })
  return {
    keys: new Keys({
      store,
      accounts: { find: async (jid) => accounts.get(jid) },
      server,
      reopen: () => ServerKey.open(store, ROOT, { domain: DOMAIN, make: false, now: now() }),
      now,
      policy: options.policy ?? 'modern',
      onChanged: (jid) => void changed.push(jid),
      onOver: (jid) => void over.push(jid),
    }),
    changed,
    over,
    found: (jid) => ({ ...(accounts.get(jid) as Account) }),
    store,
    server,
    account: (jid, fingerprint, disabledAt) => {
      const account: Account = {
        id: accounts.size + 1,
        jid: jid as BareJid,
        isNumber: true,
        createdAt: 0,
        disabledAt,
        delivery: undefined,
        epoch: 0,
        fingerprint,
      }
      accounts.set(account.jid, account)
      return account
    },
  }
}
