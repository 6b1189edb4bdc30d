import { randomUUID } from 'node:crypto'
import type { Bus } from '../../presence/bus.ts'
import type { RegisteredSession, Registry } from '../../presence/registry.ts'
import { type BareJid, bareOf, type FullJid } from '../../xmpp/jid.ts'

/**
 * What Redis is between processes, in one process: the registry of sessions and the bus. Several servers in one process may
 * share one (as the tests do); frames cross as bytes, a turn of the event loop later.
 */
export class MemoryNetwork {
  readonly #accounts = new Map<BareJid, Map<FullJid, RegisteredSession>>()
  readonly #nodes = new Map<string, (frame: Uint8Array) => void>()

  readonly registry: Registry = {
    of: (account) => {
      const sessions = this.#accounts.get(account)
      return sessions === undefined ? NONE : [...sessions.values()]
    },
    put: (session) => {
      const account = bareOf(session.jid)
      const sessions = this.#accounts.get(account)
      if (sessions) sessions.set(session.jid, session)
      else this.#accounts.set(account, new Map([[session.jid, session]]))
    },
    remove: (jid, node) => {
      const account = bareOf(jid)
      const sessions = this.#accounts.get(account)
      if (sessions?.get(jid)?.node !== node) return
      sessions.delete(jid)
      if (sessions.size === 0) this.#accounts.delete(account)
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
