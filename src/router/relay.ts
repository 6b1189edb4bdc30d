import { deserialize, serialize } from 'node:v8'
import type { Direction } from '../contract/hook.ts'
import type { Bus } from '../presence/bus.ts'
import type { BareJid, FullJid, Jid } from '../xmpp/jid.ts'
import { type Kind, Stanza } from '../xmpp/stanza.ts'
import type { StreamCondition } from '../xmpp/stream-error.ts'
import type { QName } from '../xmpp/tokenizer.ts'

/** What nodes tell each other. */
export type Frame =
  /** For exactly this connected resource. */
  | { readonly frame: 'stanza'; readonly to: FullJid; readonly stanza: Stanza }
  /** For a resource of that node: the node itself is to answer. */
  | { readonly frame: 'probe'; readonly stanza: Stanza<'presence'> }
  /** An entry was committed: all sessions of the account on that node are told, `jids` are given it. See `Pushed`. */
  | {
      readonly frame: 'push'
      readonly account: BareJid
      readonly jids: readonly FullJid[]
      readonly id: number
      readonly prev: number
      readonly isArchived: boolean
      readonly stanza: Stanza<'message'>
    }
  /** A message of the account, for what features make of it for another of its sessions. */
  | {
      readonly frame: 'copy'
      readonly to: FullJid
      readonly direction: Direction
      readonly stanza: Stanza<'message'>
    }
  /** A session that had entries above `position` ended without taking them. */
  | { readonly frame: 'rewind'; readonly account: BareJid; readonly position: number }
  /** The order of the account's resources has changed. */
  | { readonly frame: 'turned'; readonly account: BareJid }
  /** The account's sessions have read all of its log: what lingers by what was taken on that node may go. */
  | { readonly frame: 'passed'; readonly account: BareJid }
  /** Write down what you hold for the account (its id) and have taken from it, then answer `node` with `flushed`. */
  | { readonly frame: 'flush'; readonly node: string; readonly ask: number; readonly account: number }
  | { readonly frame: 'flushed'; readonly ask: number }
  /** The account or its roster changed: its view is to be dropped. */
  | { readonly frame: 'changed'; readonly account: BareJid }
  /** The server's keys in the store are others now. */
  | { readonly frame: 'server-keys' }
  /** Sessions of the account, or the one session, are to end. */
  | {
      readonly frame: 'end'
      readonly address: Jid
      readonly condition: StreamCondition
      readonly text: string
      readonly except: FullJid | undefined
    }

interface Wire {
  readonly kind: Kind
  readonly type: string
  readonly id: string | undefined
  readonly from: Jid
  readonly to: Jid | undefined
  readonly lang: string | undefined
  readonly content: Uint8Array
  readonly children: readonly QName[]
}

/** Frames as bytes over a bus, and back. */
export class Relay {
  readonly #bus: Bus
  constructor(bus: Bus, receive: (frame: Frame) => void) {
    this.#bus = bus
    bus.listen((bytes) => receive(read(bytes)))
  }
  get node(): string {
    return this.#bus.node
  }
  send(node: string, frame: Frame): void {
    this.#bus.send(node, write(frame))
  }
  publish(frame: Frame): void {
    this.#bus.publish(write(frame))
  }
}

function write(frame: Frame): Uint8Array {
  if (!('stanza' in frame)) return serialize(frame)
  const { kind, type, id, from, to, lang, content, children } = frame.stanza
  const wire: Wire = {
    kind,
    type,
    id,
    from,
    to,
    lang,
    content,
    children: children.map(({ name, ns }) => ({ name, ns })),
  }
  return serialize({ ...frame, stanza: wire })
}
function read(bytes: Uint8Array): Frame {
  const value = deserialize(bytes) as Frame & { readonly stanza?: Wire }
  if (value.stanza === undefined) return value
  const { content, children, ...fields } = value.stanza as unknown as Wire
  return { ...value, stanza: Stanza.stored(fields, Buffer.from(content), children) } as Frame
}
