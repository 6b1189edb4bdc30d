import assert from 'node:assert/strict'
import { write } from '../helpers/match-element.ts'
import { story } from '../helpers/story.ts'

const NS = 'urn:xmpp:http:upload:0'
const request = (name: string, size: number): string => `<request xmlns='${NS}' filename='${name}' size='${size}'/>`

story(
  'an account has a quota, and is told when there is room again',
  async (tell) => {
    const romeo = await tell.client('romeo', 'garden')
    assert.equal((await romeo.asks('get', request('a', 900), `upload@${tell.domain}`)).attrs.type, 'result')
    const refused = write(await romeo.asks('get', request('b', 200), `upload@${tell.domain}`))
    const [, stamp = ''] =
      /<error type='wait'>.*<resource-constraint .*<retry xmlns='urn:xmpp:http:upload:0' stamp='([^']*)'\/>/.exec(
        refused,
      ) ?? []
    const inHours = (Date.parse(stamp) - Date.now()) / 3_600_000
    assert.ok(inHours > 23 && inHours <= 24, refused)
    assert.equal((await romeo.asks('get', request('a', 100), `upload@${tell.domain}`)).attrs.type, 'result')
    const juliet = await tell.client('juliet', 'balcony')
    assert.equal((await juliet.asks('get', request('a', 900), `upload@${tell.domain}`)).attrs.type, 'result')
    assert.match(
      write(await juliet.asks('get', request('e', 1_001), `upload@${tell.domain}`)),
      /<error type='cancel'>.*<resource-constraint /,
    )
  },
  { config: { limits: { upload: { bytes_per_day: '1000B', total: '100KiB' } } } },
)

story(
  'without a public HTTP server nothing is offered',
  async (tell) => {
    const romeo = await tell.client('romeo', 'garden')
    const items = write(await romeo.asks('get', `<query xmlns='http://jabber.org/protocol/disco#items'/>`, tell.domain))
    assert.ok(!items.includes('upload@'), items)
    assert.match(write(await romeo.asks('get', request('a', 5), `upload@${tell.domain}`)), /<service-unavailable /)
    assert.equal(tell.servers[0]?.httpPort, 0)
  },
  { servers: 1, config: { http: { ops: { listen: '127.0.0.1:0' } } } },
)
