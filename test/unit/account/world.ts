import { after, type TestContext } from 'node:test'
import { type AccountChange, Accounts } from '../../../src/account/accounts.ts'
import { PASSWORD_DEFAULTS, Passwords } from '../../../src/account/password.ts'
import { BLOCKED_PREFIXES } from '../../../src/account/phone-number.ts'
import {
  type Certifier,
  Registration,
  type RegistrationMode,
  type ShownKey,
} from '../../../src/account/registration.ts'
import type {
  DeliveryReports,
  ProviderCodes,
  SmsMessage,
  SmsProvider,
  SmsTicket,
} from '../../../src/account/sms-provider.ts'
import type { SmsReport } from '../../../src/account/sms-providers.ts'
import type { Account } from '../../../src/account/store.ts'
import { type Notice, type TakeoverEvent, Takeovers } from '../../../src/account/takeovers.ts'
import { Throttle, type ThrottleLimits } from '../../../src/account/throttle.ts'
import { Verification, VerificationError, type VerificationLimits } from '../../../src/account/verification.ts'
import { openStores, type Stores } from '../../../src/storage/open.ts'
import { SqlVerificationStore } from '../../../src/storage/verification-store.ts'
import type { BareJid, Domain, FullJid } from '../../../src/xmpp/jid.ts'

export const DOMAIN = 'example.org' as Domain
export const PHONE = '+491701234567'
/** What `PHONE` becomes. */
export const PHONE_JID = '6591a134cb3ea7455a44422fc4ba1b41b7370aed@example.org' as BareJid
export const IP = '192.0.2.1'

/** A provider that keeps what it is given, and then does as the test says. */
export class FakeSms implements SmsProvider {
  readonly name: string
  readonly sender: string
  readonly messages: SmsMessage[] = []
  /** Set where it makes its own codes; then `act` gives the tickets. */
  codes?: ProviderCodes
  reports?: DeliveryReports
  act: (message: SmsMessage, signal: AbortSignal) => Promise<SmsTicket | undefined> = async () => undefined
  constructor(name = 'fake') {
    this.name = name
    this.sender = `Sender ${name}`
  }
  async send(message: SmsMessage, signal: AbortSignal): Promise<SmsTicket | undefined> {
    this.messages.push(message)
    return await this.act(message, signal)
  }
  /** The code sent last. */
  get code(): string {
    const last = this.messages.at(-1)
    if (last === undefined) throw new Error('no code was sent')
    return last.code
  }
}

/** Certificates are `address fingerprint` as text here; a certified key is the same with a mark. */
export class FakeCertifier implements Certifier {
  fail: 'certify' | 'registered' | undefined
  readonly kept: string[] = []
  async candidate(shown: Uint8Array, domain: Domain): Promise<ShownKey> {
    const [address = '', fingerprint] = Buffer.from(shown).toString().split(' ')
    if (!address.endsWith(`@${domain}`) || fingerprint === undefined) throw new Error('no key')
    return { jid: address as BareJid, fingerprint }
  }
  successor(): Promise<ShownKey> {
    return Promise.reject(new Error('no key'))
  }
  isRevocation(): Promise<boolean> {
    return Promise.resolve(false)
  }
  async certify(key: ShownKey): Promise<Uint8Array> {
    if (this.fail === 'certify') throw new Error('no server key')
    return Buffer.from(`certified ${key.fingerprint} for ${key.jid}`)
  }
  renewed(_account: Account, key: ShownKey): Promise<Uint8Array> {
    return this.certify(key)
  }
  followed(): Promise<boolean> {
    return Promise.reject(new Error('no store'))
  }
  async registered(_account: Account, _key: ShownKey, ring: Uint8Array): Promise<void> {
    if (this.fail === 'registered') throw new Error('no store')
    this.kept.push(Buffer.from(ring).toString())
  }
}
export const RULES = { activeMs: 7 * 86_400_000, delayMs: 86_400_000, lockKeptMs: 30 * 86_400_000 }
/** With what somebody comes for an account that nobody had before. */
export const TAKING = { rules: RULES, isUnlocked: false, isConnected: false }
/** The account that a proof has made. @throws VerificationError expired */
export function madeBy(redeemed: Awaited<ReturnType<Verification['redeem']>>): Account {
  if (redeemed.outcome !== 'made') throw new VerificationError('expired')
  return redeemed.account
}
export const certificate = (address: string, fingerprint = 'A'.repeat(40)): Uint8Array =>
  Buffer.from(`${address} ${fingerprint}`)

export interface WorldOptions {
  readonly modes?: readonly RegistrationMode[]
  readonly throttle?: Partial<ThrottleLimits>
  readonly limits?: Partial<VerificationLimits>
  readonly fallback?: SmsProvider
  readonly countries?: ReadonlySet<string>
  /** Instead of the fake one. */
  readonly keys?: Certifier
}

/** An embedded database in memory for the tests of one file. */
export async function openMemory(): Promise<Stores> {
  const stores = await openStores({ databaseUrl: undefined, dataDir: ':memory:' })
  await stores.migrate()
  after(() => stores.close())
  return stores
}

/** Accounts and registration on an emptied database, with a clock of their own. */
export async function worldOn(stores: Stores, t: TestContext, options: WorldOptions = {}) {
  for (const table of ['account', 'verification', 'budget', 'reputation', 'sms_report'])
    await stores.database.query(`delete from ${table}`)
  const clock = { now: Date.UTC(2026, 10, 23) }
  const now = () => clock.now
  const changes: [BareJid, AccountChange, FullJid | undefined][] = []
  const reports: SmsReport[] = []
  const heard: string[] = []
  const sms = new FakeSms()
  const certifier = new FakeCertifier()
  const store = new SqlVerificationStore(stores.database)
  const accounts = new Accounts({
    store: stores.accounts,
    passwords: new Passwords({ ...PASSWORD_DEFAULTS, iterations: 1 }),
    domains: new Set([DOMAIN]),
    onChanged: (jid, what, by) => void changes.push([jid, what, by]),
    now,
  })
  const verification = new Verification({
    store,
    throttle: new Throttle(Buffer.alloc(32, 1), options.throttle),
    providers: options.fallback === undefined ? [sms] : [sms, options.fallback],
    key: Buffer.alloc(32, 2),
    ...(options.limits === undefined ? {} : { limits: options.limits }),
    report: (report) => void reports.push(report),
    heard: (provider, what) => void heard.push(`${provider} ${what}`),
    now,
  })
  const notices: [BareJid, Notice][] = []
  /** Whether notices get into the log. */
  const hearing = { value: true }
  const events: TakeoverEvent[] = []
  const passwords = new Passwords({ ...PASSWORD_DEFAULTS, iterations: 1 })
  const connected = new Set<BareJid>()
  const takeovers = new Takeovers({
    store: stores.takeovers,
    accounts: stores.accounts,
    passwords,
    rules: RULES,
    lockTries: 3,
    isConnected: (jid) => connected.has(jid),
    tell: async (jid, notice) => {
      notices.push([jid, notice])
      return hearing.value
    },
    audit: (_jid, event) => void events.push(event),
    now,
  })
  const registration = new Registration({
    modes: new Set(options.modes ?? ['sms']),
    phones: { countries: options.countries, blockedPrefixes: BLOCKED_PREFIXES, acceptUnassigned: false },
    accounts,
    verification,
    certifier: options.keys ?? certifier,
    takeovers,
  })
  t.after(() => verification.close())
  const made = { accounts, verification, registration, takeovers }
  const seen = { changes, reports, heard, notices, hearing, events }
  return { stores, store, clock, sms, certifier, connected, ...seen, ...made }
}
export type World = Awaited<ReturnType<typeof worldOn>>
