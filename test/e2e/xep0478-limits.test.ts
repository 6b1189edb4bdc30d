import assert from 'node:assert/strict'
import type { Element } from '../../src/xmpp/element.ts'
import { authenticate } from '../helpers/login.ts'
import { authenticate2, has, openFrom, text, the } from '../helpers/sasl2.ts'
import { PASSWORD, story } from '../helpers/story.ts'

const local = (jid: string): string => jid.slice(0, jid.indexOf('@'))
function limitsIn(features: Element): readonly [number, number] {
  const limits = the(features, 'limits')
  assert.equal(limits.ns, 'urn:xmpp:stream-limits:0')
  return [Number(text(the(limits, 'max-bytes'))), Number(text(the(limits, 'idle-seconds')))]
}

story(
  'the limits that are told are the limits that hold, before and after login',
  async (tell) => {
    const jid = await tell.account('romeo')
    const c = await tell.connection({ directTls: true })
    assert.deepEqual(limitsIn(await openFrom(c, jid)), [12_000, 30])
    await authenticate2(c, { username: local(jid), password: PASSWORD, inline: `<bind xmlns='urn:xmpp:bind:0'/>` })
    assert.deepEqual(limitsIn(await c.features()), [20_000, 240])
    const message = (bytes: number): string => {
      const [start, end] = [`<message to='nobody@${tell.domain}' id='m'><body>`, '</body></message>']
      return start + 'x'.repeat(bytes - start.length - end.length) + end
    }
    c.write(message(20_000))
    assert.equal((await c.element()).attrs.type, 'error', 'it was taken, and nobody is there')
    c.write(message(20_001))
    await c.endsWith('policy-violation')

    const old = await tell.connection({ directTls: true })
    assert.deepEqual(limitsIn(await openFrom(old, undefined)), [12_000, 30])
    await authenticate(old, { username: local(jid), password: PASSWORD })
    await old.openStream()
    assert.deepEqual(limitsIn(await old.features()), [20_000, 240])
    const stranger = await tell.connection({ directTls: true })
    await openFrom(stranger, undefined)
    stranger.write(message(12_001))
    await stranger.endsWith('policy-violation')
    // Nothing is told in clear.
    const clear = await tell.connection()
    await clear.openStream()
    assert.ok(!has(await clear.features(), 'limits'))
  },
  {
    servers: 1,
    config: {
      limits: {
        stanza: { max_bytes: '20000B' },
        stanza_before_login: { max_bytes: '12000B' },
        stream: { idle_timeout: '4m' },
      },
    },
  },
)
