import type { Account } from './store.ts'
import type { NewAccount } from './verification-store.ts'

/** What of an account has been taken over. */
export interface ImportMark {
  /** `Account.id` of the account that was made. */
  readonly account: number
  readonly parts: ReadonlySet<ImportPart>
  /** The last of its messages, by the other server's id; 0: none. */
  readonly lastMessage: number
}
export const IMPORT_PARTS = ['key', 'roster', 'blocks'] as const
export type ImportPart = (typeof IMPORT_PARTS)[number]

/** Table `import_mark`; `mark` is a keyed hash of an address. */
export interface ImportStore {
  find(mark: string): Promise<ImportMark | undefined>
  /** Makes the account, and notes it; undefined when its name is taken. */
  create(mark: string, account: NewAccount): Promise<Account | undefined>
  done(mark: string, part: ImportPart): Promise<void>
  /** Its messages up to this one are in. */
  messages(last: ReadonlyMap<string, number>): Promise<void>
}
