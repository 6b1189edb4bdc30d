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
import { RosterError } from '../roster/roster-error.ts'
import type { RosterStore } from '../roster/store.ts'
import type { Element } from '../xmpp/element.ts'
import { type BareJid, bareOf, type Domain, isFull, type Jid, localOf, parseJid, prepareDomain } from '../xmpp/jid.ts'
import type { Message, Stanza } from '../xmpp/stanza.ts'
import type { TokenizerLimits } from '../xmpp/tokenizer.ts'
import { DumpError } from './dump-text.ts'
import { elementsIn } from './fragments.ts'
import { type ImportReport, ImportTally } from './import-tally.ts'
import { keyRings } from './key-rings.ts'
import { type DumpRow, SqlDump } from './sql-dump.ts'
import { type ContactChange, contactOf, requestOf } from './tigase-contact.ts'
import { TigaseNodes } from './tigase-nodes.ts'
import { stanzaOf, timeOf, unmarked } from './tigase-stanza.ts'

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
const MAX_PACKETS = 4_096

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
  readonly #nodes = new TigaseNodes()
  readonly #byFingerprint = new Map<string, Person>()
  readonly #tally = new ImportTally()
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
      return row.table === 'tig_users' ? this.#user(row) : this.#nodes.add(row)
    })
    if (!tables.has('tig_users')) throw new DumpError('there is no table tig_users in it: no dump of Tigase', 0)
    await this.#read(open(), ['tig_pairs', 'messages', 'servers', 'push', 'validations'], (row) => this.#rest(row))
    await this.#flush()
    await this.#remember()
    if (keys !== undefined) for await (const ring of keyRings(keys)) await this.#key(ring)
    for (const [fingerprint, { parts }] of this.#byFingerprint)
      if (!parts.has('key'))
        this.#tally.leave('keys that were not brought along: these accounts have to register again', fingerprint)
    const withKey = new Set(this.#byFingerprint.values())
    for (const [uid, person] of this.#people)
      if (!person.hadKey && !withKey.has(person))
        this.#tally.leave('keys that were never there: these accounts have to register again', uid)
    return this.#tally
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
  async #user({ values }: DumpRow): Promise<void> {
    const uid = values.get('uid') ?? ''
    const jid = parseJid(values.get('user_id') ?? '')
    const local = jid === undefined ? undefined : localOf(jid)
    if (jid === undefined || isFull(jid) || local === undefined) {
      this.#tally.leave('users whose name is no address of an account', uid)
      return
    }
    const bare = bareOf(jid)
    const person = await this.#person(bare, local, uid)
    if (person === undefined) return
    this.#people.set(uid, person)
    // -1 is an account without a password, as all of Kontalk's are.
    if (values.get('account_status') === '0') {
      await this.#parts.accountStore.setDisabled(person.id, this.#parts.now())
      this.#tally.take('of them disabled')
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
        this.#tally.leave('accounts that were taken over before and are gone, or another’s, by now', uid)
        return undefined
      }
      this.#tally.take('accounts that were taken over before')
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
      this.#tally.take('accounts')
      return { jid, id, mark, parts: new Set(), hadKey: false, lastMessage: 0 }
    } catch (error) {
      if (!(error instanceof AccountError)) throw error
      this.#tally.leave(ACCOUNTS[error.fault], uid)
      return undefined
    }
  }
  #order({ values }: DumpRow): void {
    const [uid, id] = [values.get('uid') ?? '', Number(values.get('id'))]
    if (id < (this.#latestIds.get(uid) ?? 0)) this.#isOrdered = false
    this.#latestIds.set(uid, id)
  }

  async #rest(row: DumpRow): Promise<void> {
    const { table, values } = row
    if (table === 'tig_pairs') await this.#pair(row)
    else if (table === 'messages') await this.#message(row)
    else if (table === 'servers') await this.#server(row)
    else if (table === 'push')
      this.#tally.leave(
        'registrations for push, which do not say for which device they are',
        values.get('provider') ?? '',
      )
    else this.#tally.leave('codes that were not entered yet', '')
  }
  async #pair({ values }: DumpRow): Promise<void> {
    const person = this.#people.get(values.get('uid') ?? '')
    const path = person === undefined ? undefined : this.#nodes.pathOf(values.get('nid') ?? '')
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
      this.#tally.leave('fingerprints that are none', uid)
      return
    }
    const account = await this.#parts.accounts.find(person.jid)
    // What the account did here since counts.
    if (account?.fingerprint === undefined) {
      await this.#parts.accountStore.setFingerprint(person.id, fingerprint)
      this.#tally.take('fingerprints of keys')
    } else if (account.fingerprint !== fingerprint) return
    this.#byFingerprint.set(fingerprint, person)
  }
  async #part(part: 'roster' | 'blocks', person: Person, text: string, uid: string): Promise<void> {
    if (person.parts.has(part)) return
    let elements: readonly Element[]
    try {
      elements = text.trim() === '' ? [] : elementsIn(text, LIST_LIMITS).map(({ element }) => element)
    } catch {
      this.#tally.leave(part === 'roster' ? 'rosters that cannot be read' : 'block lists that cannot be read', uid)
      return
    }
    if (part === 'roster') {
      for (const element of elements) if (element.name === 'contact') await this.#contact(person, element, uid)
    } else await this.#blocked(person, elements, uid)
    await this.#parts.imports.done(person.mark, part)
    person.parts.add(part)
    this.#tally.take(part === 'roster' ? 'rosters' : 'block lists')
  }
  async #contact(person: Person, element: Element, uid: string): Promise<void> {
    const contact = contactOf(element, person.jid, this.#parts.limits.rosterGroups)
    if (contact === undefined) {
      this.#tally.leave('contacts with an address or subscription that is none', uid)
      return
    }
    if (contact.isCut) this.#tally.leave('names and groups of contacts that are too long', uid)
    await this.#roster(person, contact, uid)
    this.#tally.take('contacts')
  }
  async #roster(person: Person, { contact, change }: ContactChange, id: string): Promise<void> {
    try {
      await this.#parts.rosters.change(person.id, contact, change, this.#parts.limits.rosterItems)
    } catch (error) {
      if (!(error instanceof RosterError)) throw error
      this.#tally.leave('contacts beyond limits.roster.max_items', id)
    }
  }
  async #blocked(person: Person, elements: readonly Element[], uid: string): Promise<void> {
    const items = elements.flatMap(({ children }) => children.filter((c): c is Element => typeof c !== 'string'))
    const jids = items.map(({ attrs }) => parseJid(attrs.jid ?? '')).filter((jid): jid is Jid => jid !== undefined)
    if (jids.length < items.length) this.#tally.leave('blocked addresses that are none', uid)
    if (jids.length === 0) return
    try {
      await this.#parts.blocks.add(person.id, [...new Set(jids)], this.#parts.limits.blocks)
    } catch (error) {
      if (!(error instanceof RosterError)) throw error
      this.#tally.leave('block lists that are too long', uid)
    }
  }

  async #message({ values }: DumpRow): Promise<void> {
    const id = Number(values.get('id'))
    const person = this.#people.get(values.get('uid') ?? '')
    const told = String(id)
    if (!Number.isSafeInteger(id) || id <= 0)
      return this.#tally.leave('waiting messages without an id', values.get('id') ?? '')
    if (person === undefined) return this.#tally.leave('waiting messages of users who were not taken', told)
    if (id <= person.lastMessage) return
    const expired = timeOf(values.get('expired'))
    if (expired !== undefined && expired <= this.#parts.now())
      return this.#tally.leave('waiting messages that had expired', told)
    const stanza = stanzaOf(values.get('stanza') ?? '', person.jid, this.#parts.limits.stanza)
    if (stanza === undefined) return this.#tally.leave('waiting stanzas that cannot be read', told)
    if (stanza.kind === 'presence') return await this.#request(person, stanza as Stanza<'presence'>, told)
    if (stanza.kind !== 'message') return this.#tally.leave('waiting stanzas that are no messages', told)
    const { domains, now } = this.#parts
    const { message, at } = unmarked(stanza as Message, domains, [timeOf(values.get('timestamp'))], now())
    const worth = worthOf(message)
    if (worth !== 'archived' && worth !== 'kept')
      return this.#tally.leave('waiting messages that nobody would miss', told)
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
  async #request(person: Person, presence: Stanza<'presence'>, id: string): Promise<void> {
    if (presence.type !== 'subscribe')
      return this.#tally.leave('waiting answers to requests, which the rosters hold', id)
    await this.#roster(person, requestOf(presence), id)
    this.#tally.take('requests for subscription')
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
      this.#tally.take('waiting messages')
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
    if (values.get('enabled') === '0') return this.#tally.leave('servers of the network that were off', host)
    if (domain === undefined || !/^[0-9A-F]{40}$/.test(fingerprint))
      return this.#tally.leave('servers of the network without domain or fingerprint', host)
    if (this.#parts.domains.has(domain)) return
    const { limits, network, now } = this.#parts
    if (await network.put({ domain, fingerprint }, now(), limits.network)) this.#tally.take('servers of the network')
    else this.#tally.leave('servers of the network that are too many', host)
  }

  async #key(ring: Buffer): Promise<void> {
    const { keys, accounts, imports } = this.#parts
    let fingerprint = 'unreadable'
    try {
      const [head] = splitPackets(ring, MAX_PACKETS)
      fingerprint = (await PublicKeyMaterial.read(head?.body ?? Buffer.alloc(0), 'primary', POLICIES.era)).fingerprint
      const person = this.#byFingerprint.get(fingerprint)
      if (person === undefined) return this.#tally.leave('keys that no account taken over has', fingerprint)
      const account = await accounts.find(person.jid)
      if (person.parts.has('key') || account?.id !== person.id || account.fingerprint !== fingerprint) return
      // The other server's record says that it is the account's; so we say it too.
      const key = await keys.successor(ring, person.jid)
      await keys.registered(account, key, await keys.certify(key))
      await imports.done(person.mark, 'key')
      person.parts.add('key')
      this.#tally.take('keys')
    } catch (error) {
      if (!(error instanceof KeyError)) throw error
      this.#tally.leave(`keys that are ${error.fault.replaceAll('-', ' ')}`, fingerprint)
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
