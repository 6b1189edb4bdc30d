import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { describe, test } from 'node:test'
import { pino } from 'pino'
import blocking from '../../../src/features/xep0191-blocking.ts'
import type { Report } from '../../../src/roster/report-store.ts'
import { RosterError } from '../../../src/roster/roster-error.ts'
import { MetricRegistry } from '../../../src/telemetry/metrics.ts'
import type { Jid } from '../../../src/xmpp/jid.ts'
import { StanzaError } from '../../../src/xmpp/stanza-error.ts'
import { ask, handlersOf } from '../../helpers/feature-handlers.ts'
import { bare, PresenceWorld } from '../../helpers/presence-world.ts'

const NS = 'urn:xmpp:blocking'
const REPORTING = 'urn:xmpp:reporting:1'
const SPAM = 'urn:xmpp:reporting:spam'
const condition = (expected: string) => (error: unknown) => error instanceof StanzaError && error.condition === expected

async function setUp(
  options: { readonly config?: unknown; readonly isReportStoreAway?: boolean; readonly slow?: Promise<void> } = {},
) {
  const world = new PresenceWorld()
  const session = await world.connect('juliet', 'balcony')
  const blocked = new Set<Jid>()
  const reports: Report[] = []
  const logged: string[] = []
  const into = new Writable({ write: (line: Buffer, _, next) => next(void logged.push(line.toString())) })
  const metrics = new MetricRegistry({ process: false })
  const handlers = await handlersOf(
    blocking,
    {
      line: world.line,
      views: world.views,
      registry: world.registry,
      presence: world.step,
      blocks: {
        add: async (_, jids, maxItems) => {
          await options.slow
          if (new Set([...blocked, ...jids]).size > maxItems) throw new RosterError('full')
          for (const jid of jids) {
            blocked.add(jid)
            world.store.block(bare('juliet'), jid)
          }
        },
        remove: async (_, jids) => {
          if (jids === 'all') blocked.clear()
          else for (const jid of jids) blocked.delete(jid)
        },
      },
      reports: {
        add: async (report) => {
          if (options.isReportStoreAway === true) throw new Error('away')
          return reports.push(report)
        },
        list: async () => [],
        purge: async () => 0,
      },
    },
    { config: options.config, log: pino(into), metrics },
  )
  return {
    world,
    session,
    blocked,
    reports,
    logged,
    metrics,
    set: (xml: string) => ask(handlers, { target: 'self', from: session.jid, session }, 'set', xml),
  }
}
const block = (items: string) => `<block xmlns='${NS}'>${items}</block>`
const reported = (report: string, jid = 'spam@evil.example') => block(`<item jid='${jid}'>${report}</item>`)

describe('a report', () => {
  test('is kept as it was meant, its addresses prepared', async () => {
    const { set, reports, world } = await setUp()
    await set(
      reported(
        `<report xmlns='${REPORTING}' reason='${SPAM}'>
          <stanza-id xmlns='urn:xmpp:sid:0' by='EVIL.example' id='1'/><stanza-id xmlns='urn:xmpp:sid:0' by='@' id='2'/>
          <stanza-id xmlns='urn:xmpp:sid:0' id='3'/><text xml:lang='en'>Never came</text><text>trouble.</text>
          <report-origin/><third-party/></report>`,
        'SPAM@evil.example/X',
      ),
    )
    assert.deepEqual(reports, [
      {
        account: (await world.store.load(bare('juliet')))?.account.id,
        reported: 'spam@evil.example/X',
        reason: 'spam',
        text: 'Never came\ntrouble.',
        messages: [{ by: 'evil.example', id: '1' }],
        toOrigin: true,
        toThirdParty: true,
      },
    ])
  })

  test('says why in a word we know or another; without one it is none, and the block stands', async () => {
    const { set, reports, blocked } = await setUp()
    for (const attrs of [
      `reason='urn:xmpp:reporting:abuse'`,
      `reason='urn:example:rude'`,
      `reason='__proto__'`,
      `reason=''`,
      '',
    ])
      await set(reported(`<report xmlns='${REPORTING}' ${attrs}/>`))
    await set(reported(`<report xmlns='urn:xmpp:reporting:0' reason='${SPAM}'/>`, 'b.example'))
    assert.deepEqual(
      reports.map((r) => r.reason),
      ['abuse', 'other', 'other'],
    )
    assert.deepEqual([...blocked], ['spam@evil.example', 'b.example'])
    assert.deepEqual([reports[0]?.toOrigin, reports[0]?.toThirdParty], [false, false])
  })

  test('is bounded: words, messages, reports of one command', async () => {
    const { set, reports } = await setUp({ config: { reports: { text: '10B', per_account: 2 } } })
    const ids = Array.from({ length: 60 }, (_, i) => `<stanza-id xmlns='urn:xmpp:sid:0' by='a.example' id='${i}'/>`)
    const long = `<stanza-id xmlns='urn:xmpp:sid:0' by='a.example' id='${'x'.repeat(1025)}'/>`
    const report = `<report xmlns='${REPORTING}' reason='${SPAM}'>${long}${ids.join('')}<text>12345678éé</text></report>`
    await set(block(['a', 'b', 'c'].map((d) => `<item jid='${d}.example'>${report}</item>`).join('')))
    assert.equal(reports.length, 2)
    assert.equal(reports[0]?.messages.length, 50)
    assert.equal(reports[0]?.messages[0]?.id, '0')
    assert.equal(reports[0]?.text, '12345678é')
    await set(reported(`<report xmlns='${REPORTING}' reason='${SPAM}'><text>123456789é</text></report>`))
    assert.equal(reports.at(-1)?.text, '123456789', 'no half character')
  })

  test('leaves a line and a number, neither of which says who or whom', async () => {
    const { set, logged, metrics } = await setUp()
    await set(reported(`<report xmlns='${REPORTING}' reason='${SPAM}'><text>words of hers</text></report>`))
    assert.equal(logged.length, 1)
    assert.match(logged[0] ?? '', /"report":1,"reason":"spam","msg":"contact reported"/)
    for (const secret of ['juliet', 'evil', 'words']) assert.ok(!logged.join('').includes(secret), secret)
    assert.match((await metrics.page()).text, /fernruf_blocking_reports_total\{reason="spam"\} 1/)
  })

  test('that cannot be kept changes nothing of the block', async () => {
    const { set, blocked, logged } = await setUp({ isReportStoreAway: true })
    assert.equal(await set(reported(`<report xmlns='${REPORTING}' reason='${SPAM}'/>`)), '')
    assert.deepEqual([...blocked], ['spam@evil.example'])
    assert.match(logged.join(''), /report not kept/)
  })
})

describe('a list', () => {
  test('holds prepared addresses, and no more than it may', async () => {
    const { set, blocked } = await setUp({ config: { max_items: 2 } })
    await set(block(`<item jid='ROMEO@Montague.EXAMPLE/Orchard'/><item jid='&#xFF2E;urse@example.org'/>`))
    assert.deepEqual([...blocked], ['romeo@montague.example/Orchard', 'nurse@example.org'])
    await assert.rejects(set(block(`<item jid='x.example'/>`)), condition('resource-constraint'))
    await set(`<unblock xmlns='${NS}'><item jid='Nurse@EXAMPLE.org'/></unblock>`)
    assert.deepEqual([...blocked], ['romeo@montague.example/Orchard'])
  })

  test('is not changed by what is malformed', async () => {
    const { set, blocked } = await setUp()
    const table: readonly (readonly [string, string])[] = [
      [block(''), 'bad-request'],
      [block(`<item/>`), 'bad-request'],
      [block(`<item xmlns='urn:example' jid='x.example'/>`), 'bad-request'],
      [block(`<item jid='fine.example'/><item jid='ro meo@example.org'/>`), 'jid-malformed'],
      [block(`<item jid=''/>`), 'jid-malformed'],
      [block(`<item jid='${'x'.repeat(1024)}@example.org'/>`), 'jid-malformed'],
      [`<unblock xmlns='${NS}'><item/></unblock>`, 'bad-request'],
      [`<unblock xmlns='${NS}'><itme jid='x.example'/></unblock>`, 'bad-request'],
      [`<unblock xmlns='${NS}'><item jid='@'/></unblock>`, 'jid-malformed'],
    ]
    await set(block(`<item jid='stays.example'/>`))
    for (const [xml, expected] of table) await assert.rejects(set(xml), condition(expected), xml)
    assert.deepEqual([...blocked], ['stays.example'])
  })

  test('is changed by one command after the other', async () => {
    const slow = Promise.withResolvers<void>()
    const { set, blocked } = await setUp({ slow: slow.promise })
    const done = [
      set(block(`<item jid='a.example'/>`)),
      set(`<unblock xmlns='${NS}'/>`),
      set(block(`<item jid='b.example'/>`)),
    ]
    slow.resolve()
    await Promise.all(done)
    assert.deepEqual([...blocked], ['b.example'])
  })
})
