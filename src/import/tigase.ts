import { createHash, createHmac } from 'node:crypto'
import { AccountError, type Accounts } from '../account/accounts.ts'
import type { ImportPart, ImportStore } from '../account/import-store.ts'
import type { LastSeenStore } from '../account/last-seen-store.ts'
import { isNumberLocalpart } from '../account/phone-number.ts'
import type { AccountStore } from '../account/store.ts'
import type { InboxStore, NewEntry } from '../inbox/store.ts'
import { worthOf } from '../inbox/worth.ts'
import type { Keys } from '../keys/directory.ts'
import { KeyError } from '../keys/key-error.ts'
import type { NetworkStore } from '../keys/network-store.ts'
import { POLICIES, PublicKeyMaterial } from '../keys/openpgp.ts'
import { splitPackets } from '../keys/packets.ts'
import type { BlockStore } from '../roster/block-store.ts'
import { newItem } from '../roster/roster.ts'
import { RosterError } from '../roster/roster-error.ts'
import type { RosterItem, RosterStore, Subscription } from '../roster/store.ts'
import { parseDateTime } from '../xmpp/date-time.ts'
import type { Element } from '../xmpp/element.ts'
import {
  type BareJid,
  bareOf,
  type Domain,
  domainOf,
  isFull,
  type Jid,
  localOf,
  parseJid,
  prepareDomain,
} from '../xmpp/jid.ts'
import { NS_CLIENT, NS_DELAY, NS_PUBKEY, NS_SID } from '../xmpp/ns.ts'
import { type Message, Stanza } from '../xmpp/stanza.ts'
import type { TokenizerLimits } from '../xmpp/tokenizer.ts'
import { DumpError } from './dump-text.ts'
import { elementsIn } from './fragments.ts'
import { keyRings } from './key-rings.ts'
import { type DumpRow, SqlDump } from './sql-dump.ts'

export interface TigaseImportParts {
  readonly accounts: Pick<Accounts, 'create' | 'find'>
  readonly accountStore: Pick<AccountStore, 'setDisabled' | 'setFingerprint'>
  readonly imports: ImportStore
  readonly rosters: Pick<RosterStore, 'change'>
  readonly blocks: Pick<BlockStore, 'add'>
  readonly inbox: Pick<InboxStore, 'commit'>
  readonly lastSeen: Pick<LastSeenStore, 'put'>
  readonly network: Pick<NetworkStore, 'put'>
  readonly keys: Pick<Keys, 'successor' | 'certify' | 'registered'>
  /** Those served here; accounts of others are left behind. */
  readonly domains: ReadonlySet<Domain>
  /** For the marks: 32 bytes of the root secret, of their own. */
  readonly markKey: Uint8Array
  readonly limits: {
    readonly rosterItems: number
    readonly rosterGroups: number
    readonly blocks: number
    readonly network: number
    readonly stanza: TokenizerLimits
  }
  readonly now: () => number
}
/** What came of it: how many of each thing; of what was left behind also the first few, by the other server's row ids. */
export interface ImportReport {
  readonly taken: ReadonlyMap<string, number>
  readonly left: ReadonlyMap<string, { readonly count: number; readonly ids: readonly string[] }>
}

const EXAMPLES = 5
const BATCH = 128
const BATCH_BYTES = 4 * 1024 * 1024
/** The lists that the other server keeps of one account as one text. */
const LIST_LIMITS: TokenizerLimits = {
  maxBytes: 16 * 1024 * 1024,
  maxDepth: 64,
  maxElements: 1_000_000,
  maxAttributes: 64,
  maxNamespaces: 1_000_000,
}
/** Names of the nodes on the ways to what is taken; the last one as older releases wrote it. */
const NODES: ReadonlySet<string> = new Set(['root', 'kontalk', 'auth', 'roster', 'blocklist', 'kontalk/auth'])
const MAX_PACKETS = 4_096
/** Bytes of a contact's name or group, as of one that a client brings. */
const MAX_NAME_BYTES = 1_023
const isShort = (name: string): boolean => Buffer.byteLength(name) <= MAX_NAME_BYTES

type Wish = Pick<RosterItem, 'subscription' | 'pendingOut' | 'approved'> & { readonly pendingIn: boolean }
const wish = (subscription: Subscription, ...more: readonly ('out' | 'in' | 'approved')[]): Wish => ({
  subscription,
  pendingOut: more.includes('out'),
  pendingIn: more.includes('in'),
  approved: more.includes('approved'),
})
const SUBSCRIPTIONS: Readonly<Record<string, Wish>> = {
  none: wish('none'),
  none_pending_out: wish('none', 'out'),
  none_pending_in: wish('none', 'in'),
  none_pending_out_in: wish('none', 'out', 'in'),
  to: wish('to'),
  to_pending_in: wish('to', 'in'),
  from: wish('from'),
  from_pending_out: wish('from', 'out'),
  both: wish('both'),
  none_pre_approved: wish('none', 'approved'),
  none_pending_out_pre_approved: wish('none', 'out', 'approved'),
  to_pre_approved: wish('to', 'approved'),
}

/** An account of the dump that is one of ours now. */
interface Person {
  readonly jid: BareJid
  readonly id: number
  readonly mark: string
  readonly parts: Set<ImportPart>
  /** It had a key here before this run. */
  readonly hadKey: boolean
  /** The last one that was kept before this run. */
  readonly lastMessage: number
}
interface Node {
  readonly parent: string | null
  readonly name: string
}
interface Waiting {
  readonly entry: NewEntry
  readonly person: Person
  readonly id: number
}

/**
 * Takes accounts with their rosters, block lists, waiting messages and keys over from a dump of Kontalk's reference server (Tigase
 * 7.1 or 8 with its extension). The dump is read twice, since what belongs to an account stands before it; memory is bounded by the
 * number of accounts, not by what they hold. Done again it goes on where it stopped, and takes nothing twice.
 */
export class TigaseImport {
  readonly #parts: TigaseImportParts
  readonly #people = new Map<string, Person>()
  readonly #nodes = new Map<string, Node>()
  readonly #byFingerprint = new Map<string, Person>()
  readonly #taken = new Map<string, number>()
  readonly #left = new Map<string, { count: number; ids: string[] }>()
  /** By user, the last message that was seen in the first reading. */
  readonly #latestIds = new Map<string, number>()
  /** Each user's messages stand in the order of their ids. PostgreSQL may have filled the gaps of those that were taken. */
  #isOrdered = true
  /** By mark, the last message that is kept and not remembered yet. */
  #kept = new Map<string, number>()
  #batch: Waiting[] = []
  #batchBytes = 0

  constructor(parts: TigaseImportParts) {
    this.#parts = parts
  }

  /** `open` begins the dump anew; `keys`: a file or a folder of public keys. @throws DumpError, KeyError, StoreError */
  async run(open: () => AsyncIterable<Buffer>, keys: string | undefined): Promise<ImportReport> {
    const tables = await this.#read(open(), ['tig_users', 'tig_nodes', 'messages'], (row) => {
      if (row.table === 'messages') return this.#order(row)
      return row.table === 'tig_users' ? this.#user(row) : this.#node(row)
    })
    if (!tables.has('tig_users')) throw new DumpError('there is no table tig_users in it: no dump of Tigase', 0)
    await this.#read(open(), ['tig_pairs', 'messages', 'servers', 'push', 'validations'], (row) => this.#rest(row))
    await this.#flush()
    await this.#remember()
    if (keys !== undefined) for await (const ring of keyRings(keys)) await this.#key(ring)
    for (const [fingerprint, { parts }] of this.#byFingerprint)
      if (!parts.has('key'))
        this.#leave('keys that were not brought along: these accounts have to register again', fingerprint)
    const withKey = new Set(this.#byFingerprint.values())
    for (const [uid, person] of this.#people)
      if (!person.hadKey && !withKey.has(person))
        this.#leave('keys that were never there: these accounts have to register again', uid)
    return { taken: this.#taken, left: this.#left }
  }
  async #read(
    dump: AsyncIterable<Buffer>,
    wanted: readonly string[],
    take: (row: DumpRow) => Promise<void> | void,
  ): Promise<ReadonlySet<string>> {
    const reader = new SqlDump(wanted)
    for await (const part of dump) for (const row of reader.push(part)) await take(row)
    for (const row of reader.end()) await take(row)
    return reader.tables
  }
  #take(what: string): void {
    this.#taken.set(what, (this.#taken.get(what) ?? 0) + 1)
  }
  #leave(why: string, id: string): void {
    const left = this.#left.get(why) ?? { count: 0, ids: [] }
    left.count++
    if (left.ids.length < EXAMPLES) left.ids.push(id)
    this.#left.set(why, left)
  }

  async #user({ values }: DumpRow): Promise<void> {
    const uid = values.get('uid') ?? ''
    const jid = parseJid(values.get('user_id') ?? '')
    const local = jid === undefined ? undefined : localOf(jid)
    if (jid === undefined || isFull(jid) || local === undefined) {
      this.#leave('users whose name is no address of an account', uid)
      return
    }
    const bare = bareOf(jid)
    const person = await this.#person(bare, local, uid)
    if (person === undefined) return
    this.#people.set(uid, person)
    // -1 is an account without a password, as all of Kontalk's are.
    if (values.get('account_status') === '0') {
      await this.#parts.accountStore.setDisabled(person.id, this.#parts.now())
      this.#take('of them disabled')
    }
    const seen = timeOf(values.get('last_logout')) ?? timeOf(values.get('last_login'))
    if (seen !== undefined && seen <= this.#parts.now()) await this.#parts.lastSeen.put(new Map([[person.id, seen]]))
  }
  async #person(jid: BareJid, local: string, uid: string): Promise<Person | undefined> {
    const { accounts, imports, markKey } = this.#parts
    const mark = createHmac('sha256', markKey).update(jid).digest('base64url')
    const known = await imports.find(mark)
    if (known !== undefined) {
      const account = await accounts.find(jid)
      if (account?.id !== known.account) {
        this.#leave('accounts that were taken over before and are gone, or another’s, by now', uid)
        return undefined
      }
      this.#take('accounts that were taken over before')
      return {
        jid,
        id: known.account,
        mark,
        parts: new Set(known.parts),
        hadKey: account.fingerprint !== undefined,
        lastMessage: known.lastMessage,
      }
    }
    try {
      const naming = isNumberLocalpart(local) ? 'number' : 'chosen'
      const { id } = await accounts.create({ jid, naming }, async (wanted) => {
        const account = await imports.create(mark, wanted)
        return account && { account, change: 'created' }
      })
      this.#take('accounts')
      return { jid, id, mark, parts: new Set(), hadKey: false, lastMessage: 0 }
    } catch (error) {
      if (!(error instanceof AccountError)) throw error
      this.#leave(ACCOUNTS[error.fault], uid)
      return undefined
    }
  }
  #order({ values }: DumpRow): void {
    const [uid, id] = [values.get('uid') ?? '', Number(values.get('id'))]
    if (id < (this.#latestIds.get(uid) ?? 0)) this.#isOrdered = false
    this.#latestIds.set(uid, id)
  }
  #node({ values }: DumpRow): void {
    const name = values.get('node') ?? ''
    if (NODES.has(name)) this.#nodes.set(values.get('nid') ?? '', { name, parent: values.get('parent_nid') ?? null })
  }
  /** Names from below the root; undefined where it leads somewhere else. */
  #pathOf(nid: string): string | undefined {
    const names: string[] = []
    for (let at: string | null = nid; at !== null; ) {
      const node: Node | undefined = this.#nodes.get(at)
      // No way to anything that is taken is longer.
      if (node === undefined || names.length > 3) return undefined
      if (node.name !== 'root') names.unshift(node.name)
      at = node.parent
    }
    return names.join('/')
  }

  async #rest(row: DumpRow): Promise<void> {
    const { table, values } = row
    if (table === 'tig_pairs') await this.#pair(row)
    else if (table === 'messages') await this.#message(row)
    else if (table === 'servers') await this.#server(row)
    else if (table === 'push')
      this.#leave('registrations for push, which do not say for which device they are', values.get('provider') ?? '')
    else this.#leave('codes that were not entered yet', '')
  }
  async #pair({ values }: DumpRow): Promise<void> {
    const person = this.#people.get(values.get('uid') ?? '')
    const path = person === undefined ? undefined : this.#pathOf(values.get('nid') ?? '')
    if (person === undefined || path === undefined) return
    const text = values.get('pval') ?? ''
    const uid = values.get('uid') ?? ''
    const key = values.get('pkey')
    if (path === 'kontalk/auth' && key === 'fingerprint') await this.#fingerprint(person, text, uid)
    else if ((path === '' || path === 'roster') && key === 'roster') await this.#part('roster', person, text, uid)
    else if (path === 'blocklist' && key === 'blocklist') await this.#part('blocks', person, text, uid)
  }
  async #fingerprint(person: Person, text: string, uid: string): Promise<void> {
    const fingerprint = text.trim().toUpperCase()
    if (!/^[0-9A-F]{40}$/.test(fingerprint)) {
      this.#leave('fingerprints that are none', uid)
      return
    }
    const account = await this.#parts.accounts.find(person.jid)
    // What the account did here since counts.
    if (account?.fingerprint === undefined) {
      await this.#parts.accountStore.setFingerprint(person.id, fingerprint)
      this.#take('fingerprints of keys')
    } else if (account.fingerprint !== fingerprint) return
    this.#byFingerprint.set(fingerprint, person)
  }
  async #part(part: 'roster' | 'blocks', person: Person, text: string, uid: string): Promise<void> {
    if (person.parts.has(part)) return
    let elements: readonly Element[]
    try {
      elements = text.trim() === '' ? [] : elementsIn(text, LIST_LIMITS).map(({ element }) => element)
    } catch {
      this.#leave(part === 'roster' ? 'rosters that cannot be read' : 'block lists that cannot be read', uid)
      return
    }
    if (part === 'roster') for (const element of elements) await this.#contact(person, element, uid)
    else await this.#blocked(person, elements, uid)
    await this.#parts.imports.done(person.mark, part)
    person.parts.add(part)
    this.#take(part === 'roster' ? 'rosters' : 'block lists')
  }
  async #contact(person: Person, { name: tag, attrs }: Element, uid: string): Promise<void> {
    if (tag !== 'contact') return
    const contact = parseJid(attrs.jid ?? '')
    const subs = attrs.subs ?? 'none'
    const state = Object.hasOwn(SUBSCRIPTIONS, subs) ? SUBSCRIPTIONS[subs] : undefined
    if (contact === undefined || state === undefined || bareOf(contact) === person.jid) {
      this.#leave('contacts with an address or subscription that is none', uid)
      return
    }
    const { rosterItems, rosterGroups } = this.#parts.limits
    const all = new Set((attrs.groups ?? '').split(',').filter((group) => group !== ''))
    const groups = [...all].filter(isShort)
    const name = attrs.name === '' || !isShort(attrs.name ?? '') ? undefined : attrs.name
    if (groups.length < all.size || (name === undefined && attrs.name))
      this.#leave('names and groups of contacts that are too long', uid)
    const { pendingIn, ...rest } = state
    const item = (before: RosterItem | undefined): RosterItem => ({
      contact: bareOf(contact),
      name,
      groups: groups.slice(0, rosterGroups),
      ...rest,
      // A request that waited came with its stanza, if it still waits.
      pendingIn: before?.pendingIn ?? (pendingIn ? Buffer.alloc(0) : undefined),
      listed: subs !== 'none_pending_in',
      version: 0,
    })
    await this.#roster(person, bareOf(contact), item, rosterItems, uid)
    this.#take('contacts')
  }
  async #roster(
    person: Person,
    contact: BareJid,
    change: (before: RosterItem | undefined) => RosterItem | undefined,
    max: number,
    uid: string,
  ): Promise<void> {
    try {
      await this.#parts.rosters.change(person.id, contact, change, max)
    } catch (error) {
      if (!(error instanceof RosterError)) throw error
      this.#leave('contacts beyond limits.roster.max_items', uid)
    }
  }
  async #blocked(person: Person, elements: readonly Element[], uid: string): Promise<void> {
    const items = elements.flatMap(({ children }) => children.filter((c): c is Element => typeof c !== 'string'))
    const jids = items.map(({ attrs }) => parseJid(attrs.jid ?? '')).filter((jid): jid is Jid => jid !== undefined)
    if (jids.length < items.length) this.#leave('blocked addresses that are none', uid)
    if (jids.length === 0) return
    try {
      await this.#parts.blocks.add(person.id, [...new Set(jids)], this.#parts.limits.blocks)
    } catch (error) {
      if (!(error instanceof RosterError)) throw error
      this.#leave('block lists that are too long', uid)
    }
  }

  async #message({ values }: DumpRow): Promise<void> {
    const id = Number(values.get('id'))
    const person = this.#people.get(values.get('uid') ?? '')
    const told = String(id)
    if (!Number.isSafeInteger(id) || id <= 0)
      return this.#leave('waiting messages without an id', values.get('id') ?? '')
    if (person === undefined) return this.#leave('waiting messages of users who were not taken', told)
    if (id <= person.lastMessage) return
    const expired = timeOf(values.get('expired'))
    if (expired !== undefined && expired <= this.#parts.now())
      return this.#leave('waiting messages that had expired', told)
    const stanza = this.#stanza(values.get('stanza') ?? '', person)
    if (stanza === undefined) return this.#leave('waiting stanzas that cannot be read', told)
    if (stanza.kind === 'presence') return await this.#request(person, stanza as Stanza<'presence'>, told)
    if (stanza.kind !== 'message') return this.#leave('waiting stanzas that are no messages', told)
    const { domains, now } = this.#parts
    const { message, at } = unmarked(stanza as Message, domains, [timeOf(values.get('timestamp'))], now())
    const worth = worthOf(message)
    if (worth !== 'archived' && worth !== 'kept') return this.#leave('waiting messages that nobody would miss', told)
    const entry: NewEntry = {
      account: person.id,
      direction: 'received',
      archived: worth === 'archived',
      wanted: true,
      peer: message.from,
      payload: message.bytes,
      messageId: message.id,
      at,
      stream: undefined,
      number: 0,
      floor: 0,
    }
    this.#batch.push({ entry, person, id })
    this.#batchBytes += entry.payload.length
    if (this.#batch.length >= BATCH || this.#batchBytes >= BATCH_BYTES) await this.#flush()
  }
  #stanza(text: string, person: Person): Stanza | undefined {
    try {
      const [raw, ...more] = elementsIn(text, this.#parts.limits.stanza)
      const from = parseJid(raw?.from ?? '')
      if (raw === undefined || more.length > 0 || from === undefined || raw.ns !== NS_CLIENT) return undefined
      if (raw.name !== 'message' && raw.name !== 'presence' && raw.name !== 'iq') return undefined
      return Stanza.received(raw.name, raw, from, person.jid)
    } catch {
      return undefined
    }
  }
  /** A request for subscription that waits is part of the roster. */
  async #request(person: Person, presence: Stanza<'presence'>, id: string): Promise<void> {
    if (presence.type !== 'subscribe') return this.#leave('waiting answers to requests, which the rosters hold', id)
    const contact = bareOf(presence.from)
    const content = presence.without(NS_PUBKEY).content
    const change = (before: RosterItem | undefined): RosterItem | undefined => {
      if (before?.subscription === 'from' || before?.subscription === 'both') return before
      return { ...(before ?? newItem(contact)), pendingIn: content }
    }
    await this.#roster(person, contact, change, this.#parts.limits.rosterItems, id)
    this.#take('requests for subscription')
  }
  /** The same batch made again after a crash is found done by its id. */
  async #flush(): Promise<void> {
    const batch = this.#batch
    this.#batch = []
    this.#batchBytes = 0
    if (batch.length === 0) return
    const hash = createHash('sha256')
    for (const { person, id } of batch) hash.update(`${person.mark} ${id}\n`)
    const id = hash.digest().subarray(0, 16)
    await this.#parts.inbox.commit({ id, entries: batch.map(({ entry }) => entry), takes: [] })
    for (const { person, id: message } of batch) {
      this.#kept.set(person.mark, Math.max(this.#kept.get(person.mark) ?? 0, message))
      this.#take('waiting messages')
    }
    // Where an earlier one may come yet, what is kept is remembered when all is.
    if (this.#isOrdered) await this.#remember()
  }

  async #remember(): Promise<void> {
    if (this.#kept.size === 0) return
    await this.#parts.imports.messages(this.#kept)
    this.#kept = new Map()
  }

  async #server({ values }: DumpRow): Promise<void> {
    const host = values.get('host') ?? ''
    const domain = host === '' ? undefined : prepareDomain(host)
    const fingerprint = (values.get('fingerprint') ?? '').toUpperCase()
    if (values.get('enabled') === '0') return this.#leave('servers of the network that were off', host)
    if (domain === undefined || !/^[0-9A-F]{40}$/.test(fingerprint))
      return this.#leave('servers of the network without domain or fingerprint', host)
    if (this.#parts.domains.has(domain)) return
    const { limits, network, now } = this.#parts
    if (await network.put({ domain, fingerprint }, now(), limits.network)) this.#take('servers of the network')
    else this.#leave('servers of the network that are too many', host)
  }

  async #key(ring: Buffer): Promise<void> {
    const { keys, accounts, imports } = this.#parts
    let fingerprint = 'unreadable'
    try {
      const [head] = splitPackets(ring, MAX_PACKETS)
      fingerprint = (await PublicKeyMaterial.read(head?.body ?? Buffer.alloc(0), 'primary', POLICIES.era)).fingerprint
      const person = this.#byFingerprint.get(fingerprint)
      if (person === undefined) return this.#leave('keys that no account taken over has', fingerprint)
      const account = await accounts.find(person.jid)
      if (person.parts.has('key') || account?.id !== person.id || account.fingerprint !== fingerprint) return
      // The other server's record says that it is the account's; so we say it too.
      const key = await keys.successor(ring, person.jid)
      await keys.registered(account, key, await keys.certify(key))
      await imports.done(person.mark, 'key')
      person.parts.add('key')
      this.#take('keys')
    } catch (error) {
      if (!(error instanceof KeyError)) throw error
      this.#leave(`keys that are ${error.fault.replaceAll('-', ' ')}`, fingerprint)
    }
  }
}

const ACCOUNTS: Readonly<Record<AccountError['fault'], string>> = {
  malformed: 'users whose name is no address of an account',
  foreign: 'users of domains that are not served here',
  reserved: 'users whose name belongs to a service',
  taken: 'accounts that exist here already',
  unknown: 'accounts that are gone',
}
/** A time as the databases write it, with or without its zone (then UTC); undefined for none. */
function timeOf(text: string | null | undefined): number | undefined {
  const [, day, time, fraction = '', zone = 'Z'] =
    /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(\.\d{1,9})?([+-]\d\d(?::?\d\d)?)?$/.exec(text ?? '') ?? []
  if (day === undefined || time === undefined) return undefined
  const offset = zone === 'Z' ? 'Z' : `${zone.slice(0, 3)}:${zone.slice(3).replace(':', '') || '00'}`
  return parseDateTime(`${day}T${time}${fraction}${offset}`)?.getTime()
}
/**
 * The message without what the other server said of it, which ours says anew, and without what others said in its place: ids that claim to
 * be given here (XEP-0359 §3). When it came is what the server's own mark says, if that can be.
 */
function unmarked(
  message: Message,
  domains: ReadonlySet<Domain>,
  otherwise: readonly (number | undefined)[],
  now: number,
): { message: Message; at: number } {
  const times: (number | undefined)[] = []
  const isOurs = (jid: string | undefined): boolean => {
    const by = jid === undefined ? undefined : parseJid(jid)
    return by !== undefined && domains.has(domainOf(by))
  }
  const kept = message.element.children.filter((c) => {
    if (typeof c === 'string') return true
    if (c.name === 'stanza-id' && c.ns === NS_SID) return !isOurs(c.attrs.by)
    if (c.name !== 'delay' || c.ns !== NS_DELAY || !isOurs(c.attrs.from)) return true
    times.push(parseDateTime(c.attrs.stamp ?? '')?.getTime())
    return false
  })
  const at = [...times, ...otherwise].find((time) => time !== undefined && time <= now) ?? now
  if (kept.length === message.element.children.length) return { message, at }
  const { kind, type, id, from, to, lang } = message
  return { message: Stanza.of({ kind, type, id, from, to, lang }, ...kept), at }
}
