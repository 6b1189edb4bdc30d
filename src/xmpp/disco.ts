import { createHash } from 'node:crypto'
import { type FormDescription, formElement } from './data-form.ts'
import { type Element, el } from './element.ts'
import type { Jid } from './jid.ts'
import { NS_DISCO_INFO, NS_DISCO_ITEMS } from './ns.ts'

/** XEP-0030 §3: what an entity says of itself. */
export interface DiscoInfo {
  readonly identities: readonly { readonly category: string; readonly type: string; readonly name?: string }[]
  readonly features: readonly string[]
  /** XEP-0128. */
  readonly forms?: readonly FormDescription[]
}
/** XEP-0030 §4. */
export interface DiscoItem {
  readonly jid: Jid
  readonly name: string
  readonly node?: string
}
export const serverInfo = (name: string, features: readonly string[]): DiscoInfo => ({
  identities: [{ category: 'server', type: 'im', name }],
  features,
})

/** The answer's payload; `node` is the one asked for. */
export function infoElement(info: DiscoInfo, node?: string): Element {
  return el(
    'query',
    NS_DISCO_INFO,
    node === undefined ? {} : { node },
    ...info.identities.map(({ category, type, name }) =>
      el('identity', NS_DISCO_INFO, name === undefined ? { category, type } : { category, type, name }),
    ),
    ...[...new Set(info.features)].sort(byOctets).map((feature) => el('feature', NS_DISCO_INFO, { var: feature })),
    ...(info.forms ?? []).map(formElement),
  )
}

/** The same for items. */
export function itemsElement(items: readonly DiscoItem[], node?: string): Element {
  const found = items.map((item) => el('item', NS_DISCO_ITEMS, { ...item }))
  return el('query', NS_DISCO_ITEMS, node === undefined ? {} : { node }, ...found)
}

/** XEP-0115 §5.1 with SHA-1, for info without forms and languages. */
export function capsHash(info: DiscoInfo): string {
  const identities = info.identities.map(({ category, type, name = '' }) => `${category}/${type}//${name}`)
  const parts = [...identities.sort(byOctets), ...[...new Set(info.features)].sort(byOctets)]
  return createHash('sha1')
    .update(parts.map((part) => `${part}<`).join(''))
    .digest('base64')
}
/** What stands for this software in the server's own `<c/>`: the address to ask, since there is no page to name. */
export const capsNode = (domain: Jid): string => `xmpp:${domain}`
/** The i;octet collation (RFC 4790 §9.3). */
function byOctets(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}
