import type { Jid } from '../xmpp/jid.ts'

/** XEP-0377 §4; `other`: a reason that no specification known here names. */
export type ReportReason = 'spam' | 'abuse' | 'other'

/** What somebody told the operator when blocking an address. */
export interface Report {
  /** The account that reports. */
  readonly account: number
  readonly reported: Jid
  readonly reason: ReportReason
  /** In the reporter's words; '' when there are none. */
  readonly text: string
  /** The messages meant, by the archive and the id there. */
  readonly messages: readonly { readonly by: Jid; readonly id: string }[]
  /** The reporter lets it be passed on: to the reported domain, to third parties (§5). */
  readonly toOrigin: boolean
  readonly toThirdParty: boolean
}
export interface StoredReport extends Report {
  readonly id: number
  /** Ms since the epoch. */
  readonly at: number
}

/** Table `report`. */
export interface ReportStore {
  /** Keeps it, and lets go of the oldest where the account or all together have more than that. Returns its id; undefined when there is no such account. */
  add(report: Report, bounds: { readonly perAccount: number; readonly total: number }): Promise<number | undefined>
  /** The newest first. */
  list(limit: number): Promise<readonly StoredReport[]>
  /** Forgets those from before that time; returns how many. */
  purge(before: number): Promise<number>
}
