import { createHash } from 'node:crypto'
import { type PhoneKey, phoneKey } from './bridge-certificate.ts'
import { registersKey, shown } from './kontalk.ts'
import type { Story } from './story.ts'
import type { XmppClient } from './xmpp-client.ts'

/** People of stories about numbers. */
export const NUMBERS = { romeo: '+4915123456789', juliet: '+4915123456780', nobody: '+4915123456781' } as const
export type Person = keyof typeof NUMBERS

/** A number with the key that was registered for it. */
export interface Phone {
  readonly jid: string
  readonly key: PhoneKey
  device(resource: string, server?: number): Promise<XmppClient>
}
export const jidOf = (tell: Story, person: Person): string =>
  `${createHash('sha1').update(NUMBERS[person]).digest('hex')}@${tell.domain}`
const DAY_MS = 86_400_000
export const keyFor = (jid: string): Promise<PhoneKey> => phoneKey(jid, { date: new Date(Date.now() - DAY_MS) })
export const settingsOf = (tell: Story, server = 0) => ({
  port: (tell.servers[server] ?? tell.servers[0])?.directTlsPort ?? 0,
  domain: tell.domain,
  directTls: true,
})
export const phoneOf = (tell: Story, person: Person, key: PhoneKey): Phone => ({
  jid: jidOf(tell, person),
  key,
  device: (resource, server) =>
    tell.client(person, resource, {
      ...shown(key),
      login: { mechanism: 'EXTERNAL' },
      hearsPresence: true,
      ...(server === undefined ? {} : { server }),
    }),
})
/** Registers a number with a key, as Kontalk's app does. */
export async function phone(tell: Story, person: Person): Promise<Phone> {
  const made = await keyFor(jidOf(tell, person))
  const ring = await registersKey(tell, settingsOf(tell), NUMBERS[person], made)
  return phoneOf(tell, person, { ...made, ring })
}
