import { child, type Element, el, textOf } from './element.ts'
import { NS_RSM } from './ns.ts'
import { StanzaError } from './stanza-error.ts'

/** Which page of a result set is asked for (XEP-0059). Ids are the asker's words: nothing is known of them. */
export interface PageRequest {
  /** At most so many; undefined: as the server likes. */
  readonly max: number | undefined
  readonly after: string | undefined
  readonly before: string | undefined
  /** An empty `<before/>`, or one with an id: pages are taken from the end. */
  readonly backwards: boolean
}
/** What a page was. */
export interface PageInfo {
  readonly first?: string | undefined
  readonly last?: string | undefined
  /** Of the whole result set, where it is known. */
  readonly count?: number | undefined
}

const EVERYTHING: PageRequest = { max: undefined, after: undefined, before: undefined, backwards: false }

/** The `<set/>` of a request; @throws StanzaError bad-request; feature-not-implemented for pages by index (§2.6 allows it) */
export function readPageRequest(parent: Element): PageRequest {
  const set = child(parent, 'set', NS_RSM)
  if (set === undefined) return EVERYTHING
  if (child(set, 'index', NS_RSM) !== undefined)
    throw new StanzaError('feature-not-implemented', { text: 'Pages are asked for by id, not by index.' })
  const textIn = (name: string): string | undefined => {
    const found = child(set, name, NS_RSM)
    return found && textOf(found).trim()
  }
  const before = textIn('before')
  return {
    max: readMax(textIn('max')),
    after: textIn('after') || undefined,
    before: before || undefined,
    backwards: before !== undefined,
  }
}
function readMax(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (!/^\d{1,20}$/.test(text)) throw new StanzaError('bad-request', { text: 'max is a number of results.' })
  return Math.min(Number(text), Number.MAX_SAFE_INTEGER)
}

/** The `<set/>` of an answer. */
export function pageElement({ first, last, count }: PageInfo): Element {
  const part = (name: string, value: string | number | undefined): Element[] =>
    value === undefined ? [] : [el(name, NS_RSM, {}, String(value))]
  return el('set', NS_RSM, {}, ...part('first', first), ...part('last', last), ...part('count', count))
}
