import type { DataKeyStore, StoredDataKey } from '../../src/account/data-key-store.ts'

/** A DataKeyStore of one test. */
export class MemoryDataKeyStore implements DataKeyStore {
  readonly rows = new Map<number, StoredDataKey>()
  /** Accounts asked for, call by call. */
  readonly asked: (readonly number[])[] = []

  async find(accounts: readonly number[]): Promise<readonly StoredDataKey[]> {
    this.asked.push(accounts)
    return accounts.flatMap((account) => this.rows.get(account) ?? [])
  }
  async add(keys: readonly StoredDataKey[]): Promise<void> {
    for (const key of keys) if (!this.rows.has(key.account)) this.rows.set(key.account, key)
  }
  async notUnder(operatorKey: string, after: number, limit: number): Promise<readonly StoredDataKey[]> {
    return [...this.rows.values()]
      .filter((row) => row.account > after && row.operatorKey !== operatorKey)
      .toSorted((a, b) => a.account - b.account)
      .slice(0, limit)
  }
  async rewrap(changes: Parameters<DataKeyStore['rewrap']>[0]): Promise<void> {
    for (const { from, to } of changes)
      if (this.rows.get(from.account)?.operatorKey === from.operatorKey) this.rows.set(from.account, to)
  }
  async operatorKeys(): Promise<readonly string[]> {
    return [...new Set([...this.rows.values()].map((row) => row.operatorKey))].toSorted()
  }
  async forget(operatorKey: string, limit: number): Promise<number> {
    const found = [...this.rows.values()].filter((row) => row.operatorKey === operatorKey).slice(0, limit)
    for (const { account } of found) this.rows.delete(account)
    return found.length
  }
}
