import type { Report, ReportReason, ReportStore, StoredReport } from '../roster/report-store.ts'
import type { Jid } from '../xmpp/jid.ts'
import { lockAccount } from './lock-account.ts'
import type { Database } from './sql.ts'

interface ReportRow {
  readonly id: number
  readonly at: number
  readonly account_id: number
  readonly reported: Jid
  readonly reason: ReportReason
  readonly text: string
  readonly messages: string
  readonly to_origin: number
  readonly to_third_party: number
}

/** Table `report` in either dialect. */
export class SqlReportStore implements ReportStore {
  readonly #database: Database
  readonly #now: () => number

  constructor(database: Database, now: () => number = Date.now) {
    this.#database = database
    this.#now = now
  }

  add(report: Report, bounds: { readonly perAccount: number; readonly total: number }): Promise<number | undefined> {
    return this.#database.transaction(async (sql) => {
      if (!(await lockAccount(sql, report.account))) return undefined
      const [row] = await sql.query<{ id: number }>(
        `insert into report (at, account_id, reported, reason, text, messages, to_origin, to_third_party)
         values ($1, $2, $3, $4, $5, $6, $7, $8) returning id`,
        [
          this.#now(),
          report.account,
          report.reported,
          report.reason,
          report.text,
          JSON.stringify(report.messages),
          Number(report.toOrigin),
          Number(report.toThirdParty),
        ],
      )
      await sql.query(
        `delete from report where account_id = $1 and id <=
           (select id from report where account_id = $1 order by id desc limit 1 offset $2)`,
        [report.account, bounds.perAccount],
      )
      await sql.query('delete from report where id <= (select id from report order by id desc limit 1 offset $1)', [
        bounds.total,
      ])
      return row?.id
    })
  }

  async list(limit: number): Promise<readonly StoredReport[]> {
    const rows = await this.#database.query<ReportRow>(
      `select id, at, account_id, reported, reason, text, messages, to_origin, to_third_party
       from report order by id desc limit $1`,
      [limit],
    )
    return rows.map((row) => ({
      id: row.id,
      at: row.at,
      account: row.account_id,
      reported: row.reported,
      reason: row.reason,
      text: row.text,
      messages: JSON.parse(row.messages) as StoredReport['messages'],
      toOrigin: row.to_origin !== 0,
      toThirdParty: row.to_third_party !== 0,
    }))
  }

  async purge(before: number): Promise<number> {
    return (await this.#database.query('delete from report where at < $1 returning id', [before])).length
  }
}
