import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ARCHIVE_ALL } from '../../../src/account/archiving.ts'
import type { Views } from '../../../src/contract/account-view.ts'
import archive from '../../../src/features/xep0313-archive.ts'
import type { ArchivePage, ArchiveStore } from '../../../src/inbox/archive.ts'
import type { BareJid, Jid } from '../../../src/xmpp/jid.ts'
import { ask, handlersOf } from '../../helpers/feature-handlers.ts'
import { bare, FakeSession } from '../../helpers/presence-world.ts'
import { accountOf } from '../router/world.ts'

const QUERY = `<query xmlns='urn:xmpp:mam:2'/>`

test('a session has one query at a time, others are not held up', async () => {
  const asked: PromiseWithResolvers<ArchivePage>[] = []
  const store: Pick<ArchiveStore, 'page'> = {
    page: () => {
      const answer = Promise.withResolvers<ArchivePage>()
      asked.push(answer)
      return answer.promise
    },
  }
  const view = (jid: BareJid) => ({
    jid,
    account: accountOf(jid),
    roster: new Map(),
    archiving: ARCHIVE_ALL,
    blocked: new Set<Jid>(),
  })
  const views: Views = { peek: view, latest: view, load: (jid) => Promise.resolve(view(jid)), changed: () => undefined }
  const handlers = await handlersOf(archive, { archive: store as ArchiveStore, views })
  const phone = new FakeSession(bare('juliet'), 'phone')
  const laptop = new FakeSession(bare('juliet'), 'laptop')
  const answers: string[] = []
  const asks = (session: FakeSession, name: string) =>
    ask(handlers, { target: 'self', from: session.jid, session }, 'set', QUERY).then(() => answers.push(name))
  const turn = () => new Promise((resolve) => setImmediate(resolve))
  const all = [asks(phone, 'p1'), asks(phone, 'p2'), asks(laptop, 'l1')]
  await turn()
  assert.equal(asked.length, 2)
  asked[1]?.resolve({ entries: [], isComplete: true })
  await turn()
  assert.deepEqual([asked.length, answers], [2, ['l1']])
  asked[0]?.reject(new Error('away'))
  await assert.rejects(all[0] as Promise<unknown>, /away/)
  await turn()
  assert.equal(asked.length, 3, 'what went wrong holds nothing up')
  asked[2]?.resolve({ entries: [], isComplete: true })
  await all[1]
  assert.deepEqual(answers, ['l1', 'p2'])
})
