import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ARCHIVE_ALL } from '../../../src/account/archiving.ts'
import type { AccountView } from '../../../src/contract/account-view.ts'
import type { Direction, Stations } from '../../../src/contract/hook.ts'
import retraction from '../../../src/features/xep0424-retraction.ts'
import type { ArchiveStore, KeptRetraction, Tombstone } from '../../../src/inbox/archive.ts'
import { el } from '../../../src/xmpp/element.ts'
import { type BareJid, bareOf, type Jid } from '../../../src/xmpp/jid.ts'
import { NS_CLIENT, NS_RETRACT } from '../../../src/xmpp/ns.ts'
import { retractionOf } from '../../../src/xmpp/retraction.ts'
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
interface Noted extends KeptRetraction {
  readonly account: number
}
interface Scene {
  readonly kept?: readonly Kept[]
  /** Retractions that somebody has committed before. */
  readonly noted?: Noted[]
  readonly fails?: boolean
}
/** An archive in lists, and the hook: what both archives say after a retraction went by. */
async function setUp({ kept = [], noted = [], fails = false }: Scene) {
  const asked: string[] = []
  let resolve = (): void => undefined
  const replace = (account: number, id: number, payload: Uint8Array) => {
    const entry = kept.find((e) => e.account === account && e.id === id)
    if (entry !== undefined) entry.payload = payload
    setImmediate(() => resolve())
    return Promise.resolve(entry !== undefined)
  }
  const archive = {
    candidates: async (account: number, contact: BareJid, direction: Direction, stanzaId: string, before = 1_000) => {
      asked.push(`${account} ${contact} ${direction} ${stanzaId}`)
      await undefined
      setImmediate(() => resolve())
      if (fails) throw new Error('away')
      return kept
        .filter((e) => e.account === account && e.direction === direction && bareOf(e.peer) === contact)
        .filter((e) => e.id < before)
        .map((e) => ({ ...e, at: 0 }))
        .reverse()
    },
    retracting: (after: number) =>
      Promise.resolve([...new Set(noted.map(({ account }) => account).filter((account) => account > after))].sort()),
    retractions: (account: number) => Promise.resolve(noted.filter((one) => one.account === account)),
    retract: async (account: number, id: number, buried: readonly Tombstone[]) => {
      const at = noted.findIndex((one) => one.account === account && one.id === id)
      if (at < 0) return false
      noted.splice(at, 1)
      for (const { id: of, payload } of buried) await replace(account, of, payload)
      return true
    },
  } satisfies Pick<ArchiveStore, 'candidates' | 'retract' | 'retracting' | 'retractions'>
  const handlers = await handlersOf(
    retraction,
    { archive: archive as unknown as ArchiveStore },
    { signal: new AbortController().signal },
  )
  const [hook] = handlers.hooks ?? []
  assert.deepEqual([hook?.station, hook?.kind, hook?.phase], ['toAccount', 'message', 'copy'])
  const run = hook?.run as unknown as (event: Stations<'message'>['toAccount']) => void
  return {
    asked,
    noted,
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
      const retraction = retractionOf(stanza)
      // As its commit does.
      if (retraction !== undefined)
        noted.push({ account, id: 100, contact: direction === 'sent' ? JULIET : ROMEO, direction, retraction })
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
  const { passes, asked } = await setUp({ kept })
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
  const { passes } = await setUp({ kept })
  await passes(retracts('m1'), 2, 'received')
  assert.deepEqual(text(kept), ['body', 'body', 'body'])
})

test('a store that is away is not the sender’s fault', async () => {
  const { passes, asked, noted } = await setUp({ fails: true })
  await passes(retracts('m1'), 2, 'received')
  await passes(retracts('m2'), 2, 'received')
  assert.deepEqual([asked.length, noted.length], [2, 2], 'it is left for later')
})

test('what was noted before is done before anybody is served, to what came before it', async () => {
  const peer = `${ROMEO}/a` as Jid
  const kept: Kept[] = [
    { account: 2, id: 20, direction: 'received', peer, payload: said('m1', 'old') },
    { account: 2, id: 21, direction: 'received', peer, payload: said('m1', 'meant') },
    { account: 2, id: 23, direction: 'received', peer, payload: said('m1', 'the same id again') },
    { account: 3, id: 30, direction: 'sent', peer, payload: said('m1', 'x') },
  ]
  const retraction = { of: 'm1', id: 'r1', from: peer, isInRoom: false }
  const { noted } = await setUp({
    kept,
    noted: [
      { account: 2, id: 22, contact: ROMEO, direction: 'received', retraction },
      { account: 3, id: 31, contact: ROMEO, direction: 'sent', retraction },
      { account: 3, id: 32, contact: JULIET, direction: 'sent', retraction },
    ],
  })
  assert.deepEqual(text(kept), ['body', 'retracted', 'body', 'retracted'])
  assert.deepEqual(noted, [])
})
