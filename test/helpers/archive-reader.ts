import assert from 'node:assert/strict'
import type { Element } from '../../src/xmpp/element.ts'
import { write } from './match-element.ts'
import type { XmppClient } from './xmpp-client.ts'

const MAM = 'urn:xmpp:mam:2'
const RSM = 'http://jabber.org/protocol/rsm'

/** One result of an archive. */
export interface Archived {
  /** What the archive calls it. */
  readonly id: string
  /** The message as it was. */
  readonly message: Element
  readonly body: string | undefined
}
export interface ArchivedPage {
  readonly results: readonly Archived[]
  readonly isComplete: boolean
}

/** The child reached by these names, one after the other. */
export const inside = (parent: Element, ...names: readonly string[]): Element | undefined =>
  names.reduce<Element | undefined>(
    (e, name) => e?.children.find((c): c is Element => typeof c !== 'string' && c.name === name),
    parent,
  )
export const bodyOf = (message: Element): string | undefined => inside(message, 'body')?.children.join('')

/**
 * Reads one page; what else comes meanwhile is given to `other`, or is a failure. `set`: the inside of its <set/>.
 */
export async function readPage(
  client: XmppClient,
  set = '<max>250</max>',
  other: (e: Element) => void = (e) => assert.fail(`came with the archive: ${write(e)}`),
): Promise<ArchivedPage> {
  const id = `mam-${Math.random()}`
  const query = `<query xmlns='${MAM}' queryid='${id}'><set xmlns='${RSM}'>${set}</set></query>`
  await client.sends(`<iq type='set' id='${id}'>${query}</iq>`)
  const results: Archived[] = []
  for (;;) {
    const e = await client.receivesAny()
    const result = inside(e, 'result')
    const message = inside(e, 'result', 'forwarded', 'message')
    if (e.name === 'iq' && e.attrs.id === id) {
      assert.equal(e.attrs.type, 'result', write(e))
      return { results, isComplete: inside(e, 'fin')?.attrs.complete === 'true' }
    }
    if (result?.attrs.queryid !== id || message === undefined) other(e)
    else results.push({ id: result.attrs.id ?? '', message, body: bodyOf(message) })
  }
}
/** All that a small archive holds. */
export async function readArchive(client: XmppClient): Promise<readonly Archived[]> {
  const { results, isComplete } = await readPage(client)
  assert.ok(isComplete, 'one page holds it all')
  return results
}
/** Bodies in the archive's order. */
export const bodiesOf = (results: readonly Archived[]): string => results.map(({ body }) => body ?? '-').join(' ')
