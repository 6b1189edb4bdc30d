import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ARCHIVE_ALL } from '../../../src/account/archiving.ts'
import type { AccountView } from '../../../src/contract/account-view.ts'
import type { Direction, Stations } from '../../../src/contract/hook.ts'
import retraction from '../../../src/features/xep0424-retraction.ts'
import type { ArchiveStore } from '../../../src/inbox/archive.ts'
import { el } from '../../../src/xmpp/element.ts'
import { type BareJid, bareOf, type Jid } from '../../../src/xmpp/jid.ts'
import { NS_CLIENT, NS_RETRACT } from '../../../src/xmpp/ns.ts'
import { type Message, Stanza } from '../../../src/xmpp/stanza.ts'
import { messageOf } from '../../helpers/archive-samples.ts'
import { handlersOf } from '../../helpers/feature-handlers.ts'
import { accountOf } from '../router/world.ts'

const ROMEO = 'romeo@example.org' as BareJid
const JULIET = 'juliet@example.org' as BareJid

interface Kept {
  readonly account: number
  readonly id: number
  readonly direction: Direction
  readonly peer: Jid
  payload: Uint8Array
}
/** An archive in a list, and the hook: what both archives say after a retraction went by. */
async function setUp(kept: readonly Kept[], fails = false) {
  const asked: string[] = []
  let resolve = (): void => undefined
  const archive = {
    candidates: async (account: number, contact: BareJid, direction: Direction, stanzaId: string) => {
      asked.push(`${account} ${contact} ${direction} ${stanzaId}`)
      await undefined
      setImmediate(() => resolve())
      if (fails) throw new Error('away')
      return kept
        .filter((e) => e.account === account && e.direction === direction && bareOf(e.peer) === contact)
        .map((e) => ({ ...e, at: 0 }))
        .reverse()
    },
    replace: (account: number, id: number, payload: Uint8Array) => {
      const entry = kept.find((e) => e.account === account && e.id === id)
      if (entry !== undefined) entry.payload = payload
      return Promise.resolve(entry !== undefined)
    },
  } satisfies Pick<ArchiveStore, 'candidates' | 'replace'>
  const handlers = await handlersOf(retraction, { archive: archive as unknown as ArchiveStore })
  const [hook] = handlers.hooks ?? []
  assert.deepEqual([hook?.station, hook?.kind, hook?.phase], ['toAccount', 'message', 'copy'])
  const run = hook?.run as unknown as (event: Stations<'message'>['toAccount']) => void
  return {
    asked,
    passes: async (stanza: Message, account: number, direction: Direction) => {
      const view: AccountView = {
        jid: ROMEO,
        account: { ...accountOf(ROMEO), id: account },
        roster: new Map(),
        archiving: ARCHIVE_ALL,
        blocked: new Set(),
      }
      const done = new Promise<void>((resolved) => {
        resolve = resolved
      })
      run({ stanza, account: view, direction, origin: { kind: 'server' }, recipients: [] })
      if (stanza.has('retract', NS_RETRACT)) await done
    },
  }
}
const retracts = (id: string): Message =>
  Stanza.of(
    { kind: 'message', type: 'chat', id: 'r1', from: `${ROMEO}/a` as Jid, to: JULIET },
    el('retract', NS_RETRACT, { id }),
    el('body', NS_CLIENT, {}, 'retracted'),
  )
const said = (id: string, body: string, from = `${ROMEO}/a`): Uint8Array =>
  messageOf({ from, to: JULIET, body, id }).bytes
const text = (kept: readonly Kept[]): string[] =>
  kept.map(({ payload }) => /<(body|retracted)[ >]/.exec(Buffer.from(payload).toString())?.[1] ?? '')

test('the newest message of that id is buried, in the archive of the sender and of the receiver', async () => {
  const kept: Kept[] = [
    { account: 1, id: 10, direction: 'sent', peer: JULIET, payload: said('m1', 'old') },
    { account: 1, id: 11, direction: 'sent', peer: JULIET, payload: said('m1', 'new') },
    { account: 2, id: 20, direction: 'received', peer: `${ROMEO}/a` as Jid, payload: said('m1', 'new') },
    { account: 2, id: 21, direction: 'received', peer: `${ROMEO}/a` as Jid, payload: said('m2', 'other') },
  ]
  const { passes, asked } = await setUp(kept)
  await passes(retracts('m1'), 1, 'sent')
  assert.deepEqual(text(kept), ['body', 'retracted', 'body', 'body'])
  await passes(retracts('m1'), 2, 'received')
  assert.deepEqual(text(kept), ['body', 'retracted', 'retracted', 'body'])
  await passes(messageOf({ from: `${ROMEO}/a`, to: JULIET, body: 'hi' }), 2, 'received')
  assert.deepEqual(asked, [`1 ${JULIET} sent m1`, `2 ${ROMEO} received m1`])
})

test('what others have said stays, whatever was wished', async () => {
  const kept: Kept[] = [
    {
      account: 2,
      id: 20,
      direction: 'received',
      peer: `${ROMEO}/a` as Jid,
      payload: said('m1', 'x', 'mallory@example.org/a'),
    },
    { account: 2, id: 21, direction: 'received', peer: 'mallory@example.org/a' as Jid, payload: said('m1', 'y') },
    { account: 2, id: 22, direction: 'sent', peer: `${ROMEO}/a` as Jid, payload: said('m1', 'z', `${JULIET}/a`) },
  ]
  const { passes } = await setUp(kept)
  await passes(retracts('m1'), 2, 'received')
  assert.deepEqual(text(kept), ['body', 'body', 'body'])
})

test('a store that is away is not the sender’s fault', async () => {
  const { passes, asked } = await setUp([], true)
  await passes(retracts('m1'), 2, 'received')
  await passes(retracts('m2'), 2, 'received')
  assert.equal(asked.length, 2)
})
