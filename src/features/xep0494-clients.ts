/**
 * XEP-0494: Client Access Management.
 *
 * Shows an account's owner which devices may come in, and shuts them out. Who knows the password or has the key can come
 * again: their tokens and sessions end all the same, and the answer says what else there is to do (§3.2).
 */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import type { Device } from '../account/login-store.ts'
import { defineFeature } from '../contract/feature.ts'
import type { Session } from '../contract/session.ts'
import { formatDateTime } from '../xmpp/date-time.ts'
import { type Element, el } from '../xmpp/element.ts'
import { type FullJid, fullJid, resourceOf } from '../xmpp/jid.ts'
import { StanzaError } from '../xmpp/stanza-error.ts'

const NS_CLIENTS = 'urn:xmpp:cam:0'

/** A device, or a session of one that does not say which it is. */
interface Client {
  readonly id: string
  readonly device: Device | undefined
  /** What it has bound last. */
  readonly jid: FullJid | undefined
  readonly isConnected: boolean
}

export default defineFeature({
  name: 'clients',
  xeps: [{ number: 494, version: '0.1.0', status: 'complete' }],
  config: z.strictObject({}).prefault({}),
  disco: { account: [NS_CLIENTS] },
  metrics: {},
  uses: ['devices', 'registry', 'sessions'],
  setup: ({ ports: { devices, registry, sessions } }) => {
    const clientsOf = async ({ account }: Session): Promise<readonly Client[]> => {
      const known = await devices.list(account)
      const connected = new Set((await registry.of(account)).map((session) => session.jid))
      const clients = known.map((device): Client => {
        const jid = device.resource === undefined ? undefined : fullJid(account, device.resource)
        return { id: device.name, device, jid, isConnected: jid !== undefined && connected.has(jid) }
      })
      const named = new Set(clients.map(({ jid }) => jid))
      const others = [...connected].filter((jid) => !named.has(jid))
      return [
        ...clients,
        ...others.map((jid): Client => ({ id: idOf(jid), device: undefined, jid, isConnected: true })),
      ]
    }
    const revoke = async (id: string, session: Session): Promise<void> => {
      const client = (await clientsOf(session)).find((c) => c.id === id)
      if (client === undefined) throw new StanzaError('item-not-found', { text: 'There is no such client.' })
      const { device, jid } = client
      if (device !== undefined) await devices.revoke(session.account, device)
      // Also where it was not connected: it may have come while its tokens were still there.
      if (jid !== undefined) sessions.end(jid, 'not-authorized', 'The access of this client was revoked.', session.jid)
      if (device === undefined || device.hasPassword)
        throw new StanzaError('service-unavailable', {
          text: 'It is logged out, but may know the password: change that.',
          app: el('password-reset-required', NS_CLIENTS),
        })
      if (device.hasKey)
        throw new StanzaError('service-unavailable', { text: 'It is logged out, but has the key of the account.' })
    }
    return {
      iq: [
        {
          type: 'get',
          target: 'self',
          name: 'list',
          ns: NS_CLIENTS,
          answer: async ({ session }) =>
            el('clients', NS_CLIENTS, {}, ...(await clientsOf(session)).map((client) => clientElement(client))),
        },
        {
          type: 'set',
          target: 'self',
          name: 'revoke',
          ns: NS_CLIENTS,
          answer: async ({ session, payload }) => {
            const { id } = payload.attrs
            if (id === undefined) throw new StanzaError('bad-request', { text: 'Which client?' })
            await revoke(id, session)
            return undefined
          },
        },
      ],
    }
  },
})

/** A session without a name of its own is called by a hash of its resource. */
const idOf = (jid: FullJid): string =>
  createHash('sha256')
    .update(resourceOf(jid) ?? '')
    .digest('base64url')

function clientElement({ id, device, jid, isConnected }: Client): Element {
  const time = (name: string, at: number): Element => el(name, NS_CLIENTS, {}, formatDateTime(new Date(at)))
  const times = device === undefined ? [] : [time('first-seen', device.firstSeen), time('last-seen', device.lastSeen)]
  return el(
    'client',
    NS_CLIENTS,
    { connected: String(isConnected), id, type: jid === undefined ? 'access' : 'session' },
    ...times,
    el('auth', NS_CLIENTS, {}, ...(device === undefined ? [] : proofs(device))),
    el('permission', NS_CLIENTS, { status: 'unrestricted' }),
    ...(device === undefined ? [] : userAgent(device)),
  )
}
function proofs({ hasPassword, hasKey, hasToken }: Device): Element[] {
  const names = [hasPassword && 'password', hasToken && 'fast'].filter((name) => name !== false)
  const known = names.map((name) => el(name, NS_CLIENTS))
  // The specification leaves other ways to other namespaces.
  return hasKey ? [...known, el('external', 'urn:ietf:params:xml:ns:xmpp-sasl')] : known
}
function userAgent({ software, device }: Device): Element[] {
  const parts = [
    software === undefined ? undefined : el('software', NS_CLIENTS, {}, software),
    device === undefined ? undefined : el('device', NS_CLIENTS, {}, device),
  ].filter((part) => part !== undefined)
  return parts.length === 0 ? [] : [el('user-agent', NS_CLIENTS, {}, ...parts)]
}
