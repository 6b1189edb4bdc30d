import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type RosterOwner, Rosters } from '../../../src/roster/roster.ts'
import { RosterError } from '../../../src/roster/roster-error.ts'
import type { BareJid } from '../../../src/xmpp/jid.ts'
import { MemoryRosterStore } from '../../helpers/memory-roster-store.ts'

const ROMEO = 'romeo@example.org' as BareJid
const JULIET = 'juliet@example.org' as BareJid
const NURSE = 'nurse@example.org' as BareJid
const fault = (expected: string) => (error: unknown) => error instanceof RosterError && error.fault === expected

async function setUp(maxItems = 100) {
  const store = new MemoryRosterStore()
  store.addAccount(ROMEO, 7)
  const rosters = new Rosters({ store, maxItems, maxGroups: 3 })
  const owner = async (): Promise<RosterOwner> => {
    const found = await store.load(ROMEO)
    return { jid: ROMEO, account: found?.account, roster: new Map(found?.items.map((i) => [i.contact, i])) }
  }
  return { store, rosters, owner }
}

describe('a roster', () => {
  test('keeps names and groups', async () => {
    const { rosters, owner } = await setUp()
    await rosters.set(await owner(), JULIET, { name: 'Juliet', groups: ['Friends'] })
    await rosters.set(await owner(), JULIET, { name: undefined, groups: [] })
    const { items, version } = await rosters.get(ROMEO)
    assert.equal(version, '7-2')
    assert.deepEqual(
      items.map((i) => [i.contact, i.name, i.groups, i.subscription]),
      [[JULIET, undefined, [], 'none']],
    )
  })
  test('keeps the subscription when name and groups change', async () => {
    const { rosters, owner } = await setUp()
    await rosters.apply(await owner(), JULIET, 'outbound', 'subscribe')
    const { after } = await rosters.set(await owner(), JULIET, { name: 'J', groups: [] })
    assert.equal(after?.pendingOut, true)
  })
  test('refuses too many groups of one contact', async () => {
    const { rosters, owner, store } = await setUp()
    const groups = ['a', 'b', 'c', 'd']
    await assert.rejects(rosters.set(await owner(), JULIET, { name: undefined, groups }), fault('too-many-groups'))
    assert.equal(store.changes, 0)
  })
  test('refuses one contact too many', async () => {
    const { rosters, owner } = await setUp(2)
    await rosters.set(await owner(), JULIET, { name: undefined, groups: [] })
    await rosters.apply(await owner(), NURSE, 'outbound', 'subscribe')
    const third = 'paris@example.org' as BareJid
    await assert.rejects(rosters.set(await owner(), third, { name: undefined, groups: [] }), fault('full'))
    await assert.rejects(rosters.apply(await owner(), third, 'outbound', 'subscribe'), fault('full'))
    await rosters.set(await owner(), JULIET, { name: 'known', groups: [] })
  })
  test('lets strangers fill a quarter of it and no more', async () => {
    const { rosters, owner } = await setUp(8)
    for (const n of [1, 2]) {
      await rosters.apply(await owner(), `s${n}@example.net` as BareJid, 'inbound', 'subscribe')
    }
    const third = 's3@example.net' as BareJid
    await assert.rejects(rosters.apply(await owner(), third, 'inbound', 'subscribe'), fault('full'))
    await rosters.set(await owner(), third, { name: undefined, groups: [] })
    await rosters.apply(await owner(), third, 'inbound', 'subscribe')
  })
  test('of nobody is an error', async () => {
    const { rosters } = await setUp()
    const nobody = { jid: NURSE, account: undefined, roster: new Map() }
    await assert.rejects(rosters.get(NURSE), fault('no-account'))
    await assert.rejects(rosters.since(nobody, '7-1'), fault('no-account'))
    await assert.rejects(rosters.set(nobody, JULIET, { name: undefined, groups: [] }), fault('no-account'))
  })
})

describe('versions', () => {
  test('say what changed since', async () => {
    const { rosters, owner } = await setUp()
    await rosters.set(await owner(), JULIET, { name: undefined, groups: [] })
    const { version } = await rosters.get(ROMEO)
    assert.deepEqual(await rosters.since(await owner(), version), [])
    await rosters.set(await owner(), NURSE, { name: undefined, groups: [] })
    await rosters.remove(await owner(), JULIET)
    await rosters.set(await owner(), NURSE, { name: 'Nurse', groups: [] })
    const news = await rosters.since(await owner(), version)
    assert.deepEqual(
      news?.map((n) => [n.contact, n.item?.name, n.version]),
      [
        [JULIET, undefined, '7-3'],
        [NURSE, 'Nurse', '7-4'],
      ],
    )
  })
  test('of an earlier account of that name are unknown', async () => {
    const { rosters, owner } = await setUp()
    assert.equal(await rosters.since(await owner(), '6-0'), undefined)
  })
  test('that are no versions are unknown', async () => {
    const { rosters, owner } = await setUp()
    for (const text of ['', 'x', '7', '7-', '-0', '7-0-1', '7- 0', `7-${'9'.repeat(400)}`, '7-0\n', '9-0']) {
      assert.equal(await rosters.since(await owner(), text), undefined, JSON.stringify(text))
    }
  })
  test('show a contact who was removed and asks again as removed', async () => {
    const { rosters, owner } = await setUp()
    await rosters.set(await owner(), JULIET, { name: undefined, groups: [] })
    const { version } = await rosters.get(ROMEO)
    await rosters.remove(await owner(), JULIET)
    await rosters.apply(await owner(), JULIET, 'inbound', 'subscribe')
    const news = await rosters.since(await owner(), version)
    assert.deepEqual(news, [{ contact: JULIET, item: undefined, version: '7-3' }])
  })
})

describe('a request', () => {
  test('is kept with its content, unlisted, and once', async () => {
    const { rosters, owner } = await setUp()
    const first = await rosters.apply(await owner(), JULIET, 'inbound', 'subscribe', Buffer.from('<a/>'))
    assert.deepEqual([first.pass, first.push, first.changed], [true, false, true])
    const again = await rosters.apply(await owner(), JULIET, 'inbound', 'subscribe', Buffer.from('<b/>'))
    assert.deepEqual([again.pass, again.push, again.changed], [false, false, false])
    assert.deepEqual(again.after?.pendingIn, Buffer.from('<a/>'))
    assert.deepEqual((await rosters.get(ROMEO)).items, [])
  })
  test('that is accepted makes a contact, and is gone', async () => {
    const { rosters, owner } = await setUp()
    await rosters.apply(await owner(), JULIET, 'inbound', 'subscribe')
    const change = await rosters.apply(await owner(), JULIET, 'outbound', 'subscribed')
    assert.deepEqual([change.pass, change.push], [true, true])
    assert.deepEqual(
      [change.after?.subscription, change.after?.pendingIn, change.after?.listed],
      ['from', undefined, true],
    )
  })
  test('that is refused or withdrawn leaves nothing', async () => {
    for (const [direction, type] of [
      ['outbound', 'unsubscribed'],
      ['inbound', 'unsubscribe'],
    ] as const) {
      const { rosters, owner } = await setUp()
      await rosters.apply(await owner(), JULIET, 'inbound', 'subscribe')
      const change = await rosters.apply(await owner(), JULIET, direction, type)
      assert.deepEqual([change.pass, change.push, change.after], [true, false, undefined])
    }
  })
  test('approved beforehand is answered; the approval is taken back by unsubscribed', async () => {
    const { rosters, owner } = await setUp()
    const approval = await rosters.apply(await owner(), JULIET, 'outbound', 'subscribed')
    assert.deepEqual([approval.pass, approval.push, approval.after?.approved], [false, true, true])
    const request = await rosters.apply(await owner(), JULIET, 'inbound', 'subscribe')
    assert.deepEqual([request.pass, request.reply, request.after?.subscription], [false, true, 'from'])
    const back = await rosters.apply(await owner(), JULIET, 'outbound', 'unsubscribed')
    assert.deepEqual([back.after?.approved, back.after?.subscription, back.push], [false, 'none', true])
  })
})

describe('removing', () => {
  test('tells what was there', async () => {
    const { rosters, owner } = await setUp()
    await rosters.apply(await owner(), JULIET, 'outbound', 'subscribe')
    const change = await rosters.remove(await owner(), JULIET)
    assert.deepEqual([change.before.pendingOut, change.after], [true, undefined])
  })
  test('of a contact who is not there, or only asks, is an error and changes nothing', async () => {
    const { rosters, owner } = await setUp()
    await assert.rejects(rosters.remove(await owner(), JULIET), fault('unknown-contact'))
    await rosters.apply(await owner(), JULIET, 'inbound', 'subscribe')
    await assert.rejects(rosters.remove(await owner(), JULIET), fault('unknown-contact'))
    assert.equal((await owner()).roster.size, 1)
  })
})

test('changes of one roster happen in the order they were asked for', async () => {
  const { rosters, owner, store } = await setUp()
  const view = await owner()
  // The first takes longest, as on the busiest of several connections.
  const change = store.change.bind(store)
  let turns = 20
  store.change = async (...args) => {
    turns -= 5
    for (let i = turns; i > 0; i--) await undefined
    return change(...args)
  }
  const all = ['subscribe', 'unsubscribe', 'subscribe'].map((type) =>
    rosters.apply(view, JULIET, 'outbound', type as 'subscribe'),
  )
  const refused = assert.rejects(rosters.remove(view, NURSE), fault('unknown-contact'))
  const last = await rosters.apply(view, JULIET, 'outbound', 'unsubscribe')
  await refused
  assert.deepEqual(
    (await Promise.all(all)).map((c) => c.after?.pendingOut),
    [true, false, true],
  )
  assert.equal(last.after?.pendingOut, false)
})
