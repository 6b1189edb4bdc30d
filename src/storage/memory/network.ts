import { randomUUID } from 'node:crypto'
import type { Bus } from '../../presence/bus.ts'
import type { RegisteredSession, Registry } from '../../presence/registry.ts'
import { type BareJid, bareOf } from '../../xmpp/jid.ts'

/**
 * What Redis is between processes, in one process: the registry of sessions and the bus. Several servers in one process may
 * share one (as the tests do); frames cross as bytes, a turn of the event loop later.
 */
export class MemoryNetwork {
  readonly #accounts = new Map<BareJid, readonly RegisteredSession[]>()
  readonly #nodes = new Map<string, (frame: Uint8Array) => void>()

  readonly registry: Registry = {
    of: (account) => this.#accounts.get(account) ?? NONE,
    put: (session) => {
      const account = bareOf(session.jid)
      const others = this.#accounts.get(account)?.filter((s) => s.jid !== session.jid) ?? []
      this.#accounts.set(account, [...others, session])
    },
    update: (session) => {
      const account = bareOf(session.jid)
      const isOwn = (s: RegisteredSession): boolean => s.jid === session.jid && s.node === session.node
      const sessions = this.#accounts.get(account)
      if (sessions?.some(isOwn))
        this.#accounts.set(
          account,
          sessions.map((s) => (isOwn(s) ? session : s)),
        )
    },
    remove: (jid, node) => {
      const account = bareOf(jid)
      const left = this.#accounts.get(account)?.filter((s) => s.jid !== jid || s.node !== node) ?? []
      if (left.length === 0) this.#accounts.delete(account)
      else this.#accounts.set(account, left)
    },
  }

  join(): Bus {
    const node = randomUUID()
    const deliver = (to: string, frame: Uint8Array) => setImmediate(() => this.#nodes.get(to)?.(frame))
    return {
      node,
      send: (to, frame) => void deliver(to, frame),
      publish: (frame) => {
        for (const to of this.#nodes.keys()) if (to !== node) deliver(to, frame)
      },
      listen: (receive) => void this.#nodes.set(node, receive),
      close: () => void this.#nodes.delete(node),
    }
  }
}
const NONE: readonly never[] = []
