import { createHash } from 'node:crypto'
import { type DeliveryReport, type DeliveryStatus, REPORT_SKEW_MS } from '../account/sms-provider.ts'
import { type Claim, judge } from '../account/takeover.ts'
import type {
  Delivery,
  HeldCode,
  NewAccount,
  NewRequest,
  Source,
  Spending,
  Taking,
  VerificationStore,
  Weighed,
} from '../account/verification-store.ts'
import type { BareJid } from '../xmpp/jid.ts'
import { ACCOUNT_COLUMNS, type AccountRow, accountOf, SqlAccountStore } from './account-store.ts'
import { Budgets, Undo } from './budgets.ts'
import type { Database, Sql, Transaction } from './sql.ts'

const REQUEST = `
  insert into verification (subject, state, code_hash, tries, expires_at, forced, sources)
  values ($1, 'requested', $2, 0, $3, $4, $5)
  on conflict (subject) do update set
    state = excluded.state, code_hash = excluded.code_hash, tries = excluded.tries, expires_at = excluded.expires_at,
    forced = excluded.forced, sources = excluded.sources, claimant = null, provider = null, ticket = null,
    carrier = null, reference = null, delivery = null`
const FORMER = `
  select provider, ticket, carrier, delivery from verification
  where subject = $1 and expires_at > $2 and state in ('requested', 'sent')`
const LEARN = `
  update verification set code_hash = $3, provider = null, ticket = null
  where subject = $1 and code_hash = $2 and state in ('requested', 'sent')
  returning state`
const SETTLE = `
  update verification set state = $3, provider = $4, ticket = $5
  where subject = $1 and code_hash = $2 and state = 'requested'
  returning state`
const HAND_OVER = `
  update verification set carrier = $3, reference = $4, delivery = null
  where subject = $1 and code_hash = $2 and state = 'requested'
  returning state`
const SEEN = `
  insert into sms_report (provider, id, expires_at) values ($1, $2, $3) on conflict do nothing returning provider`
/** A message that has arrived has arrived, whatever is said later of its other ways. */
const DELIVERY = `
  update verification set delivery = $3
  where carrier = $1 and reference = $2 and expires_at > $4 and state in ('requested', 'sent')
    and (delivery is null or delivery = $5)
  returning provider, ticket, sources`
const TRY = `
  update verification set tries = tries + 1
  where subject = $1 and expires_at > $2 and tries < $3 and state in ('requested', 'sent', 'confirmed')
  returning state, code_hash, expires_at, provider, ticket, claimant, sources`
const STATE = 'select state, tries, expires_at from verification where subject = $1'
const END = `update verification set state = $2 where subject = $1 and state in ('requested', 'sent')`
const LOCK = `
  update verification set state = 'locked'
  where subject = $1 and code_hash = $2 and tries >= $3 and state in ('requested', 'sent')`
const CONFIRM = `
  update verification set state = 'confirmed'
  where subject = $1 and code_hash = $2 and expires_at > $3 and state in ('requested', 'sent')
  returning sources`
const OPEN = `
  select tries, expires_at, forced, claimant from verification
  where subject = $1 and code_hash = $2 and expires_at > $3 and state in ('requested', 'sent')`
const GIVE_BACK = 'update verification set tries = $2, expires_at = $3, claimant = $4 where subject = $1'
const FORMER_ACCOUNT = `select ${ACCOUNT_COLUMNS} from account a where a.jid = $1`
/** Never none, of an account that is there. */
const TAKEOVER = `
  select l.at as last_active, case when r.account_id is null then 0 else 1 end as has_lock,
    t.state, t.asked_at, t.ripe_at, t.expires_at, t.told
  from account a left join last_active l on l.account_id = a.id
  left join registration_lock r on r.account_id = a.id left join takeover t on t.account_id = a.id
  where a.id = $1`
const CLAIM = `
  insert into takeover (account_id, state, asked_at, ripe_at, expires_at) values ($1, $2, $3, $4, $5)
  on conflict (account_id) do update set
    state = excluded.state, asked_at = excluded.asked_at, ripe_at = excluded.ripe_at, expires_at = excluded.expires_at, told = 0`
const DELIVERIES: Readonly<Record<DeliveryStatus, Delivery | undefined>> = {
  delivered: 'delivered',
  failed: 'undelivered',
  rejected: 'undelivered',
  undeliverable: 'undelivered',
  expired: 'undelivered',
  pending: undefined,
  other: undefined,
}
/** Twice as long as a report is new: the clocks of two nodes may differ too. */
const REPORT_KEPT_MS = 2 * REPORT_SKEW_MS

/** `VerificationStore` on either database. */
export class SqlVerificationStore implements VerificationStore {
  readonly #db: Database
  readonly #budgets: Budgets

  constructor(database: Database) {
    this.#db = database
    this.#budgets = new Budgets(database)
  }

  request(
    request: NewRequest & { readonly isForced: boolean },
    account: BareJid,
    spendings: readonly Spending[],
    now: number,
  ) {
    const { subject, codeHash, expiresAt, isForced, sources = [] } = request
    return this.#budgets.spending(spendings, now, async (sql) => {
      const known = await accountsIn(sql, now).find(account)
      if (known !== undefined && !isForced) return { outcome: 'taken' } as const
      const [former] = await sql.query<FormerRow>(FORMER, [subject, now])
      await sql.query(REQUEST, [subject, codeHash, expiresAt, Number(isForced), JSON.stringify(sources)])
      await this.#budgets.sent(sql, sources, now)
      const undelivered = former?.delivery === 'undelivered' ? (former.carrier ?? undefined) : undefined
      return { outcome: 'requested', former: former && heldOf(former), undelivered } as const
    })
  }

  async handOver(request: NewRequest, provider: string, reference: string): Promise<boolean> {
    return (await this.#db.query(HAND_OVER, [request.subject, request.codeHash, provider, reference])).length > 0
  }

  report({ provider, id, issuedAt, status, reference }: DeliveryReport & { readonly provider: string }, now: number) {
    return this.#db.transaction(async (sql) => {
      const name = createHash('sha256').update(id).digest()
      const seen = await sql.query(SEEN, [provider, name, issuedAt + REPORT_KEPT_MS])
      if (seen.length === 0) return { outcome: 'replayed' } as const
      const delivery = DELIVERIES[status]
      if (delivery === undefined || reference === undefined) return { outcome: 'ignored' } as const
      const overrides = delivery === 'delivered' ? 'undelivered' : null
      const [row] = await sql.query<HeldRow & SourcesRow>(DELIVERY, [provider, reference, delivery, now, overrides])
      if (row === undefined) return { outcome: 'ignored' } as const
      return { outcome: delivery, held: heldOf(row), sources: sourcesOf(row) } as const
    })
  }

  async settle(request: NewRequest, state: 'sent' | 'expired', held?: HeldCode): Promise<boolean> {
    const { subject, codeHash } = request
    const rows = await this.#db.query(SETTLE, [subject, codeHash, state, held?.provider ?? null, held?.ticket ?? null])
    return rows.length > 0
  }

  async learn(request: NewRequest, codeHash: Uint8Array): Promise<boolean> {
    return (await this.#db.query(LEARN, [request.subject, request.codeHash, codeHash])).length > 0
  }

  attempt(subject: Uint8Array, spendings: readonly Spending[], maxTries: number, now: number) {
    return this.#budgets.spending(spendings, now, async (sql) => {
      const [row] = await sql.query<OpenRow>(TRY, [subject, now, maxTries])
      if (row === undefined) return { outcome: await closedState(sql, subject, maxTries, now) } as const
      const outcome = row.state === 'confirmed' ? 'confirmed' : 'open'
      const { code_hash: codeHash, expires_at: expiresAt } = row
      const claimant = row.claimant ?? undefined
      return { outcome, codeHash, expiresAt, held: heldOf(row), claimant, sources: sourcesOf(row) } as const
    })
  }

  async lock(subject: Uint8Array, codeHash: Uint8Array, maxTries: number): Promise<void> {
    await this.#db.query(LOCK, [subject, codeHash, maxTries])
  }

  weigh(
    request: NewRequest,
    account: Pick<NewAccount, 'jid' | 'fingerprint'>,
    taking: Taking,
    now: number,
  ): Promise<Weighed> {
    return this.#db.transaction((sql) => weigh(sql, request, account, taking, now))
  }

  confirm(request: NewRequest, account: NewAccount, taking: Taking, now: number) {
    return this.#budgets.undoable(async (sql) => {
      const weighed = await weigh(sql, request, account, taking, now)
      if (weighed.outcome !== 'free' && weighed.outcome !== 'ripe' && weighed.outcome !== 'own') return weighed
      const [confirmed] = await sql.query<SourcesRow>(CONFIRM, [request.subject, request.codeHash, now])
      if (confirmed === undefined) return { outcome: 'gone' } as const
      await this.#budgets.confirmed(sql, sourcesOf(confirmed))
      if (weighed.outcome === 'own') return weighed
      const accounts = accountsIn(sql, now)
      if (weighed.outcome === 'ripe') await accounts.remove(weighed.former.id)
      const made = await accounts.create(account)
      if (made === undefined) throw new Undo({ outcome: 'taken' } as const)
      const reason = weighed.outcome === 'ripe' ? weighed.reason : undefined
      return { outcome: 'made', account: made, reason } as const
    })
  }

  spend(spendings: readonly Spending[], now: number) {
    return this.#budgets.spending(spendings, now, async () => ({ outcome: 'spent' }) as const)
  }

  async purge(now: number): Promise<number> {
    const requests = await this.#db.query('delete from verification where expires_at <= $1 returning subject', [now])
    const reports = await this.#db.query('delete from sms_report where expires_at <= $1 returning provider', [now])
    return requests.length + reports.length + (await this.#budgets.purge(now))
  }
}

/** The accounts' own store, at work inside a transaction of ours. */
function accountsIn(sql: Transaction, now: number): SqlAccountStore {
  const database: Database = {
    dialect: sql.dialect,
    query: (text, params) => sql.query(text, params),
    transaction: (work) => work(sql),
    close: async () => undefined,
  }
  return new SqlAccountStore(database, () => now)
}

/** Locks the request and the account, so that what was weighed stays so until the transaction ends. */
async function weigh(
  sql: Sql,
  { subject, codeHash }: NewRequest,
  { jid, fingerprint }: Pick<NewAccount, 'jid' | 'fingerprint'>,
  { rules, isUnlocked, isConnected, claimant }: Taking,
  now: number,
): Promise<Weighed> {
  const locked = (text: string): string => (sql.dialect === 'postgres' ? `${text} for update` : text)
  const [request] = await sql.query<WeighedRow>(locked(OPEN), [subject, codeHash, now])
  if (request === undefined) return { outcome: 'gone' }
  const [row] = await sql.query<AccountRow>(locked(FORMER_ACCOUNT), [jid])
  const isBound = request.claimant !== null
  if (row === undefined) return { outcome: isBound ? 'gone' : 'free' }
  const former = accountOf(row)
  if (former.disabledAt !== undefined) return { outcome: 'disabled' }
  if (fingerprint !== undefined && former.fingerprint === fingerprint) return { outcome: 'own', account: former }
  if (request.forced === 0) return { outcome: 'taken' }
  const [found] = await sql.query<TakeoverRow>(TAKEOVER, [former.id])
  const lastActive = isConnected ? now : (found?.last_active ?? undefined)
  const known = found && claimOf(found)
  // Whoever had the number once opens nothing anew by it: such a code is good for the claim that it has opened.
  if (isBound && (known === undefined || known.expiresAt <= now)) return { outcome: 'gone' }
  // A claim that the devices do not know of, since the server stopped before or could not keep the notice, begins anew.
  const claim = known?.state === 'waiting' && found?.told !== 1 ? undefined : known
  const verdict = judge({ now, lastActive, hasLock: found?.has_lock === 1, isUnlocked, claim }, rules)
  if (verdict.outcome === 'ripe') return { outcome: 'ripe', former, reason: verdict.reason }
  const opened = verdict.outcome === 'refused' ? undefined : verdict.opened
  if (opened !== undefined)
    await sql.query(CLAIM, [former.id, opened.state, opened.askedAt, opened.ripeAt, opened.expiresAt])
  const isKept = claimant !== undefined && verdict.outcome !== 'refused'
  const expiresAt = isKept ? Math.max(request.expires_at, (opened ?? claim)?.expiresAt ?? 0) : request.expires_at
  const tries = Math.max(0, request.tries - 1)
  await sql.query(GIVE_BACK, [subject, tries, expiresAt, isKept ? claimant : request.claimant])
  return { outcome: verdict.outcome, until: verdict.until, isNew: opened !== undefined }
}

interface WeighedRow {
  readonly tries: number
  readonly expires_at: number
  readonly forced: number
  readonly claimant: Uint8Array | null
}
interface TakeoverRow {
  readonly last_active: number | null
  readonly has_lock: number
  readonly state: Claim['state'] | null
  readonly asked_at: number
  readonly ripe_at: number
  readonly expires_at: number
  readonly told: number | null
}
const claimOf = (row: TakeoverRow): Claim | undefined =>
  row.state === null
    ? undefined
    : { state: row.state, askedAt: row.asked_at, ripeAt: row.ripe_at, expiresAt: row.expires_at }

interface HeldRow {
  readonly provider: string | null
  readonly ticket: string | null
}
interface FormerRow extends HeldRow {
  readonly carrier: string | null
  readonly delivery: Delivery | null
}
interface SourcesRow {
  /** Null of requests made before sources were counted. */
  readonly sources: string | null
}
interface OpenRow extends HeldRow, SourcesRow {
  readonly state: string
  readonly code_hash: Uint8Array
  readonly expires_at: number
  readonly claimant: Uint8Array | null
}

const sourcesOf = ({ sources }: SourcesRow): readonly Source[] =>
  sources === null ? [] : (JSON.parse(sources) as readonly Source[])

function heldOf({ provider, ticket }: HeldRow): HeldCode | undefined {
  return provider === null || ticket === null ? undefined : { provider, ticket }
}

/** Why no try was to be had; notes it where time or tries ran out unseen. */
async function closedState(sql: Sql, subject: Uint8Array, maxTries: number, now: number) {
  const [row] = await sql.query<{ state: string; tries: number; expires_at: number }>(STATE, [subject])
  if (row === undefined) return 'none'
  if (row.state === 'locked') return 'locked'
  const state = row.state !== 'expired' && row.expires_at > now && row.tries >= maxTries ? 'locked' : 'expired'
  await sql.query(END, [subject, state])
  return state
}
