import { randomBytes } from 'node:crypto'
import type { Entry } from '../inbox/entry.ts'
import { AckQueue } from '../stream/ack-queue.ts'
import type { Stream } from '../stream/stream.ts'
import { el } from '../xmpp/element.ts'
import { type Domain, domainOf, type FullJid } from '../xmpp/jid.ts'
import { NS_PING, NS_SM } from '../xmpp/ns.ts'
import { Stanza } from '../xmpp/stanza.ts'
import type { RawElement } from '../xmpp/tokenizer.ts'

/** Stanzas other than entries that a session may leave unacknowledged before it is asked. */
const ASK_AFTER = 5
const PING_EVERY_MS = 5_000
/** After an answer that covered less than we had asked about. */
const ASK_AGAIN_MS = 5_000
/** Entries, and their bytes, after which the next ping does not wait: a long archive is read faster than that. */
const PING_AFTER = 250
const PING_AFTER_BYTES = 1024 * 1024
/** COMPAT(@xmpp/client 0.14): it miscounts what comes together with <enabled/>: it is asked, and given what waits, a moment later. */
const ASK_AFTER_ENABLED_MS = 250
const ENTRIES_AFTER_ENABLED_MS = 40
const ASK = Buffer.from(`<r xmlns='${NS_SM}'/>`)

/** An entry of the account's log that this node knows by its id alone. */
export interface StoredSent {
  readonly id: number
  readonly isArchived: boolean
  /** It was sent as a result of the archive, where it may have been taken long ago. */
  readonly isResult?: boolean
}
/** What was sent and is not known to have arrived. */
export interface Sent {
  readonly stanza: Stanza
  /** Set where it is an entry of the account's inbox: as this node's own, or as it was read from the log or told by another node. */
  readonly entry: Entry | StoredSent | undefined
}
export const isOwn = (entry: Entry | StoredSent): entry is Entry => 'state' in entry

/**
 * What a session has sent and its device has not confirmed. With XEP-0198 that is every stanza, asked about by <r/>; without,
 * only the entries of the inbox, asked about by a ping: whoever answers it has received all before it.
 */
export class Outbox {
  readonly #jid: FullJid
  readonly #now: () => number
  readonly #take: (sent: Sent) => void
  readonly #sent = new AckQueue<Sent>()
  /** Entries that were sent before counting began. */
  #early: readonly Sent[] = NONE
  #bytes = 0
  #entries = 0
  /** Ms of the wheel's clock: since when the oldest entry here is the oldest. */
  #entriesSince = 0
  #isCounting = false
  #wantsAnswer = false
  /** Since when our <r/> or ping is unanswered; 0: none is. */
  #askedAt = 0
  #askedCount = 0
  /** When we ask again because an answer covered too little; 0: none did. */
  #againAt = 0
  #pingId: string | undefined
  #pingedAt = Number.NEGATIVE_INFINITY
  #enabledAt = Number.NEGATIVE_INFINITY

  /** `take` is called with each item that the device has confirmed; `now` is the wheel's clock. */
  constructor(jid: FullJid, now: () => number, take: (sent: Sent) => void) {
    this.#jid = jid
    this.#now = now
    this.#take = (sent) => {
      this.#left(sent)
      take(sent)
    }
  }
  #left({ stanza, entry }: Sent): void {
    this.#bytes -= stanza.content.length
    if (entry === undefined) return
    this.#entries--
    this.#entriesSince = this.#now()
  }
  get length(): number {
    return this.#sent.length
  }
  /** How long the oldest entry has been waited for; 0: there is none. */
  entryWaitsMs(now: number): number {
    return this.#entries === 0 ? 0 : now - this.#entriesSince
  }
  /** The id of the oldest entry that is not confirmed and has one. */
  get oldestId(): number | undefined {
    let oldest: number | undefined
    for (const { entry } of this)
      if (entry?.id !== undefined && (oldest === undefined || entry.id < oldest)) oldest = entry.id
    return oldest
  }
  /**
   * Entries that were not confirmed are somebody else's now: they are not sent again (policy `exclusive`). Results of the archive are
   * what this session has asked for. @returns the entries
   */
  dropEntries(): readonly (Entry | StoredSent)[] {
    const dropped: (Entry | StoredSent)[] = []
    this.#sent.drop((sent) => {
      const { entry } = sent
      if (entry === undefined || (!isOwn(entry) && entry.isResult === true)) return false
      this.#left(sent)
      dropped.push(entry)
      return true
    })
    return dropped
  }
  /** Of what is kept here. */
  get bytes(): number {
    return this.#bytes
  }
  /** Ms of the wheel's clock since which our question is unanswered; 0: none is. */
  get askedAt(): number {
    return this.#askedAt
  }
  get wantsAnswer(): boolean {
    return this.#wantsAnswer
  }
  get #domain(): Domain {
    return domainOf(this.#jid)
  }
  *[Symbol.iterator](): Generator<Sent> {
    yield* this.#early
    yield* this.#sent
  }
  has(id: number): boolean {
    for (const { entry } of this) if (entry?.id === id) return true
    return false
  }

  /** Notes what is being sent. */
  add(stanza: Stanza, entry: Entry | StoredSent | undefined): void {
    if (entry === undefined && !this.#isCounting) return
    this.#sent.push({ stanza, entry })
    this.#bytes += stanza.content.length
    if (entry !== undefined && this.#entries++ === 0) this.#entriesSince = this.#now()
    if (entry !== undefined || this.#sent.length >= ASK_AFTER) this.#wantsAnswer = true
  }
  /** The question goes out with the next write. */
  wonder(): void {
    this.#wantsAnswer = true
  }
  /** XEP-0198 begins: what was sent before is not part of the peer's count; the answer to our first <r/> shows that it has arrived. */
  count(now: number): void {
    this.#isCounting = true
    this.#early = [...this.#sent]
    this.#sent.clear()
    this.#pingId = undefined
    this.#askedAt = 0
    this.#wantsAnswer = this.#early.length > 0
    this.#enabledAt = now
  }
  /** How long entries still have to wait after <enabled/>. */
  entriesWaitMs(now: number): number {
    return this.#enabledAt + ENTRIES_AFTER_ENABLED_MS - now
  }

  /** Asks whether all has arrived, if it is time; `watch` sees to it that the session looks again in so many ms. */
  ask(wire: Stream, answerMs: number, watch: (ms: number) => void): void {
    if (!this.#wantsAnswer || this.#askedAt !== 0) return
    const now = wire.now()
    const isMuch = this.#sent.length >= PING_AFTER || this.#bytes >= PING_AFTER_BYTES
    const pingAt = isMuch ? now : this.#pingedAt + PING_EVERY_MS
    const wait = (this.#isCounting ? Math.max(this.#enabledAt + ASK_AFTER_ENABLED_MS, this.#againAt) : pingAt) - now
    if (wait > 0) {
      watch(wait)
      return
    }
    if (this.#isCounting) {
      wire.send(ASK)
    } else {
      this.#pingedAt = now
      this.#pingId = `fernruf-${randomBytes(8).toString('base64url')}`
      const fields = { kind: 'iq' as const, type: 'get', id: this.#pingId, from: this.#domain, to: this.#jid }
      wire.send(Stanza.of(fields, el('ping', NS_PING)).bytes)
    }
    this.#wantsAnswer = false
    this.#askedAt = now
    this.#askedCount = this.#sent.sent
    watch(answerMs)
  }
  /** The time for an answer begins anew: nothing was read meanwhile. */
  excuse(now: number): void {
    if (this.#askedAt !== 0) this.#askedAt = now
  }
  /** The client's <a/>. @throws StreamError when it covers more than was sent */
  acknowledge(h: number): void {
    this.#sent.acknowledge(h, this.#take)
    if (this.#askedAt === 0 && this.#againAt === 0) return
    this.#askedAt = 0
    if (this.#sent.covers(this.#askedCount)) {
      this.#againAt = 0
      this.#takeEarly()
      if (this.#sent.length === 0) this.#wantsAnswer = false
    } else {
      // It crossed our question, whose answer may never come; or the client is behind.
      this.#againAt = this.#now() + ASK_AGAIN_MS
      this.#wantsAnswer = true
    }
  }
  #takeEarly(): void {
    for (const sent of this.#early) this.#take(sent)
    this.#early = NONE
  }
  /** True when it was the answer to our ping. */
  answers(raw: RawElement): boolean {
    if (this.#pingId === undefined || raw.name !== 'iq' || raw.id !== this.#pingId) return false
    if (raw.type !== 'result' && raw.type !== 'error') return false
    this.#pingId = undefined
    this.#sent.acknowledge(this.#askedCount, this.#take)
    this.#askedAt = 0
    return true
  }

  /** The stream is lost. What was not counted cannot be sent again by count: it is handed back. */
  detach(): readonly Sent[] {
    const early = this.#early
    this.#early = NONE
    for (const sent of early) this.#left(sent)
    this.#askedAt = 0
    this.#againAt = 0
    return early
  }
  /** Goes on with another stream that has everything up to `h`. @throws StreamError when that is more than was sent */
  resume(h: number): void {
    this.#sent.acknowledge(h, this.#take)
    // It knows the id to resume by, which came after them.
    this.#takeEarly()
    this.#askedAt = 0
  }
  /** Sends again what the resumed stream lacks. */
  resend(wire: Stream): void {
    for (const { stanza } of this.#sent) wire.send(stanza.bytes)
    this.#wantsAnswer = this.#sent.length > 0
  }
}
const NONE: readonly Sent[] = []
