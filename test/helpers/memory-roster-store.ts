import { ARCHIVE_ALL } from '../../src/account/archiving.ts'
import type { Account } from '../../src/account/store.ts'
import { RosterError } from '../../src/roster/roster-error.ts'
import type { RosterItem, RosterStore } from '../../src/roster/store.ts'
import type { BareJid, Jid } from '../../src/xmpp/jid.ts'

interface Kept {
  readonly account: Account
  readonly items: Map<BareJid, RosterItem>
  readonly removed: Map<BareJid, number>
  readonly blocked: Jid[]
  version: number
}

/** Rosters in maps, for tests of what stands above the store. Every answer comes a turn later, as a database's does. */
export class MemoryRosterStore implements RosterStore {
  readonly #rosters = new Map<BareJid, Kept>()
  /** Changes asked for, written or not. */
  changes = 0

  addAccount(jid: BareJid, id: number = this.#rosters.size + 1, fingerprint?: string): Account {
    const account: Account = {
      id,
      jid,
      isNumber: false,
      createdAt: 0,
      disabledAt: undefined,
      delivery: undefined,
      epoch: 0,
      fingerprint,
    }
    this.#rosters.set(jid, { account, items: new Map(), removed: new Map(), blocked: [], version: 0 })
    return account
  }
  /** Adds to the account's block list. */
  block(jid: BareJid, blocked: Jid): void {
    this.#rosters.get(jid)?.blocked.push(blocked)
  }
  async load(jid: BareJid): ReturnType<RosterStore['load']> {
    await undefined
    const kept = this.#rosters.get(jid)
    return (
      kept && {
        account: kept.account,
        archiving: ARCHIVE_ALL,
        items: [...kept.items.values()],
        version: kept.version,
        blocked: kept.blocked,
      }
    )
  }
  async change(
    account: number,
    contact: BareJid,
    change: (item: RosterItem | undefined) => RosterItem | undefined,
    maxItems: number,
  ): ReturnType<RosterStore['change']> {
    this.changes++
    await undefined
    const kept = this.#of(account)
    if (kept === undefined) throw new RosterError('no-account')
    const before = kept.items.get(contact)
    const wish = change(before)
    if (wish === before) return { before, after: before, version: kept.version }
    if (before === undefined && kept.items.size >= maxItems) throw new RosterError('full')
    const version = ++kept.version
    const after = wish === undefined ? undefined : { ...wish, version }
    if (after === undefined) {
      kept.items.delete(contact)
      kept.removed.set(contact, version)
    } else {
      kept.items.set(contact, after)
      kept.removed.delete(contact)
    }
    return { before, after, version }
  }
  async since(account: number, version: number): ReturnType<RosterStore['since']> {
    await undefined
    const kept = this.#of(account)
    if (kept === undefined || version > kept.version) return undefined
    const items = [...kept.items.values()].map((item) => ({ contact: item.contact, item, version: item.version }))
    const removed = [...kept.removed].map(([contact, at]) => ({ contact, item: undefined, version: at }))
    const changes = [...items, ...removed].filter((c) => c.version > version).sort((a, b) => a.version - b.version)
    return { changes, version: kept.version }
  }
  #of(account: number): Kept | undefined {
    return [...this.#rosters.values()].find((r) => r.account.id === account)
  }
}
