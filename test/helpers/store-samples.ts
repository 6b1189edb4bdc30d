import type { Account, ScramSecrets } from '../../src/account/store.ts'
import type { Batch, InboxStore, NewEntry, Placed, Takes } from '../../src/inbox/store.ts'
import type { Stores } from '../../src/storage/open.ts'
import type { BareJid, Domain } from '../../src/xmpp/jid.ts'

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
export const text = (data: Uint8Array): string => new TextDecoder().decode(data)
export const jid = (address: string): BareJid => address as BareJid
export const EXAMPLE = 'example.org' as unknown as Domain

export const secrets = (mechanism: ScramSecrets['mechanism'], salt = 'salt'): ScramSecrets => ({
  mechanism,
  salt: bytes(salt),
  iterations: 4096,
  storedKey: bytes('stored'),
  serverKey: bytes('server'),
})

export async function createAccount(stores: Stores, address: string): Promise<Account> {
  const account = await stores.accounts.create({
    jid: jid(address),
    isNumber: false,
    fingerprint: undefined,
    secrets: [],
  })
  if (account === undefined) throw new Error(`${address} exists`)
  return account
}

/** A wanted, unarchived message to the account, unless said otherwise. */
export const entry = (account: number, body: string, other: Partial<NewEntry> = {}): NewEntry => ({
  account,
  direction: 'received',
  archived: false,
  wanted: true,
  peer: 'peer@example.org/phone',
  payload: bytes(body),
  messageId: undefined,
  at: 1_700_000_000_000,
  stream: undefined,
  number: 0,
  floor: 0,
  ...other,
})
export const batch = (entries: readonly NewEntry[], takes: readonly Takes[] = []): Batch => ({
  id: crypto.getRandomValues(new Uint8Array(16)),
  entries,
  takes,
})

export const idsOf = (places: readonly Placed[]): number[] => places.map(({ id }) => id)
/** Takes of one account, which do not linger unless said otherwise. */
export const takesOf = (
  account: number,
  ids: readonly (number | undefined)[],
  lingers = false,
  from?: number,
): Takes => ({
  account,
  ids: ids.map((id) => id ?? 0),
  from,
  lingers,
})

/** Bodies and ids of what is open, in order. */
export async function openOf(inbox: InboxStore, account: number): Promise<readonly (readonly [number, string])[]> {
  const { entries } = await inbox.read(account, 0, undefined, 10_000)
  return entries.map(({ id, payload }) => [id, text(payload)])
}
