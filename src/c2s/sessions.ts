import type { LocalSessions } from '../router/local.ts'
import type { Timed, Wheel } from '../util/wheel.ts'
import type { BareJid, FullJid } from '../xmpp/jid.ts'
import type { ClientSession } from './session.ts'

/** All sessions of this node, connected and detached. */
export class Sessions implements LocalSessions {
  readonly #byJid = new Map<FullJid, ClientSession>()
  readonly #byAccount = new Map<BareJid, ClientSession[]>()
  readonly #resumable = new Map<string, ClientSession>()
  readonly #expiring = new Map<ClientSession, Timed>()
  readonly #wheel: Wheel
  readonly #detachedPerAccount: number

  constructor(wheel: Wheel, detachedPerAccount: number) {
    this.#wheel = wheel
    this.#detachedPerAccount = detachedPerAccount
  }
  get size(): number {
    return this.#byJid.size
  }
  get detachedCount(): number {
    return this.#expiring.size
  }
  [Symbol.iterator](): Iterator<ClientSession> {
    return this.#byJid.values()
  }
  get(jid: FullJid): ClientSession | undefined {
    return this.#byJid.get(jid)
  }
  of(account: BareJid): readonly ClientSession[] {
    return this.#byAccount.get(account) ?? NONE
  }
  add(session: ClientSession): void {
    this.#byJid.set(session.jid, session)
    this.#byAccount.set(session.account, [...this.of(session.account), session])
  }
  remove(session: ClientSession): void {
    this.#stopExpiring(session)
    if (session.stream !== undefined) this.#resumable.delete(smidOf(session.stream))
    if (this.#byJid.get(session.jid) === session) this.#byJid.delete(session.jid)
    const left = this.of(session.account).filter((s) => s !== session)
    if (left.length === 0) this.#byAccount.delete(session.account)
    else this.#byAccount.set(session.account, left)
  }

  addResumable(smid: string, session: ClientSession): void {
    this.#resumable.set(smid, session)
  }
  /** The session of that resumption id, if it is the account's own (conformance.md row 31). */
  resumable(smid: string, account: BareJid): ClientSession | undefined {
    const session = this.#resumable.get(smid)
    return session?.account === account && session.isResumable ? session : undefined
  }
  /** Keeps a session that lost its connection for its resumption time; the oldest of an account's goes when there are too many. */
  detached(session: ClientSession): void {
    const detached = this.of(session.account).filter((s) => this.#expiring.has(s))
    if (detached.length >= this.#detachedPerAccount) this.makeRoom(session.account)
    const timed: Timed = { due: Infinity, elapsed: () => session.expire() }
    this.#expiring.set(session, timed)
    this.#wheel.schedule(timed, this.#wheel.now() + session.resumeMs)
  }
  /** Ends the account's oldest detached session; false when there is none here. */
  makeRoom(account: BareJid): boolean {
    const oldest = this.of(account).find((s) => this.#expiring.has(s))
    oldest?.expire()
    return oldest !== undefined
  }
  attached(session: ClientSession): void {
    this.#stopExpiring(session)
  }
  #stopExpiring(session: ClientSession): void {
    const timed = this.#expiring.get(session)
    if (timed === undefined) return
    this.#wheel.cancel(timed)
    this.#expiring.delete(session)
  }
}
const NONE: readonly ClientSession[] = []
export const smidOf = (stream: Uint8Array): string => Buffer.from(stream).toString('base64url')
