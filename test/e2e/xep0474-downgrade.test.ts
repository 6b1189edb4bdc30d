import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import type { Element } from '../../src/xmpp/element.ts'
import { auth, LoginRefused, NS_SASL } from '../helpers/login.ts'
import { authenticateElement, elements, has, NS_SASL2, openFrom, text, the } from '../helpers/sasl2.ts'
import { hashOf, ScramClient } from '../helpers/scram.ts'
import { PASSWORD, story } from '../helpers/story.ts'

const local = (jid: string): string => jid.slice(0, jid.indexOf('@'))
const base64 = (bytes: string): string => Buffer.from(bytes).toString('base64')

/** XEP-0474 §5.1, made of what a client was told. */
function offer(features: Element, profile: 'mechanisms' | 'authentication'): string {
  const mechanisms = elements(the(features, profile))
    .filter((e) => e.name === 'mechanism')
    .map(text)
  const types = elements(the(features, 'sasl-channel-binding')).map((e) => e.attrs.type ?? '')
  return `${mechanisms.sort().join('\x1e')}\x1f${types.sort().join('\x1e')}`
}

for (const profile of ['mechanisms', 'authentication'] as const) {
  for (const mechanism of ['SCRAM-SHA-1', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'SCRAM-SHA-256-PLUS']) {
    story(
      `row 12: ${mechanism} in ${profile} tells what was offered, tokens left out`,
      async (tell) => {
        const jid = await tell.account('romeo')
        for (const tls of [{}, { tls: { maxVersion: 'TLSv1.2' as const } }]) {
          const c = await tell.connection({ directTls: true, ...tls })
          const features = await openFrom(c, jid)
          const plus = mechanism.endsWith('-PLUS')
          const scram = new ScramClient({
            mechanism,
            username: local(jid),
            password: PASSWORD,
            channelBinding: plus ? 'p=tls-server-end-point' : 'n',
            ...(plus ? { bindingData: c.channelBinding('tls-server-end-point') } : {}),
          })
          const isOld = profile === 'mechanisms'
          c.write(isOld ? auth(mechanism, base64(scram.first())) : authenticateElement(mechanism, scram.first()))
          const challenge = Buffer.from(text(await c.element()), 'base64').toString()
          const told = /,h=([^,]+)$/.exec(challenge)?.[1]
          const expected = offer(features, profile)
          assert.ok(!expected.includes('HT-'))
          assert.equal(told, createHash(hashOf(mechanism)).update(expected).digest('base64'))
          // Whoever changed it on the way changed what both sides prove.
          const changed = challenge.replace(/,h=.*/, ',h=AAAA')
          const final = base64(scram.final(tls.tls === undefined ? changed : challenge))
          c.write(`<response xmlns='${isOld ? NS_SASL : NS_SASL2}'>${final}</response>`)
          const answer = await c.element()
          if (tls.tls === undefined) assert.equal(new LoginRefused(answer).condition, 'not-authorized')
          else assert.equal(answer.name, 'success')
          c.destroy()
        }
      },
      { servers: 1 },
    )
  }
}

story(
  'row 12: a stripped channel binding is noticed in SASL2, too',
  async (tell) => {
    const jid = await tell.account('romeo')
    for (const [mechanism, gs2] of [
      ['SCRAM-SHA-256', 'y'],
      ['SCRAM-SHA-256', 'p=tls-exporter'],
      ['SCRAM-SHA-256-PLUS', 'n'],
      ['SCRAM-SHA-256-PLUS', 'y'],
      ['SCRAM-SHA-256-PLUS', 'p=tls-unique'],
    ] as const) {
      const c = await tell.connection({ directTls: true })
      await openFrom(c, jid)
      const scram = new ScramClient({ mechanism, username: local(jid), password: PASSWORD, channelBinding: gs2 })
      c.write(authenticateElement(mechanism, scram.first()))
      const answer = await c.element()
      assert.equal(answer.name, 'failure', `${mechanism} ${gs2}`)
      assert.ok(has(answer, 'not-authorized') || has(answer, 'malformed-request'))
      c.destroy()
    }
  },
  { servers: 1 },
)
