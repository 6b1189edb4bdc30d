import assert from 'node:assert/strict'
import { readKey } from 'openpgp'
import { phoneKeyOf } from '../helpers/bridge-certificate.ts'
import { keyFor, NUMBERS, phone, phoneOf, registrationForm, shown, WIDE_BUDGETS } from '../helpers/kontalk-phone.ts'
import { auth, mechanismsOf, secureStream, success } from '../helpers/login.ts'
import { write } from '../helpers/match-element.ts'
import { story } from '../helpers/story.ts'
import { XmppConnection } from '../helpers/xmpp-connection.ts'

/**
 * kontalk-protocol section 0, by its numbers. 9 and 15 are told in kontalk-server-list, 10 and 11 in xep0363-upload, 12 in
 * kontalk-groups.
 */

const CONFIG = {
  config: {
    account: { registration: ['sms'] },
    sms: { provider: 'console' },
    limits: { registration: WIDE_BUDGETS },
  },
}
const QUERY = `<iq type='get' id='r1' to='localhost'><query xmlns='jabber:iq:register'/></iq>`

for (const version of ['TLSv1.2', 'TLSv1.3'] as const)
  story(
    `quirk 1: a bridge certificate, whose subjectAltName is malformed and whose time is over, is let in on ${version}`,
    async (tell) => {
      const { key, jid } = await phone(tell, 'romeo')
      const tls = { minVersion: version, maxVersion: version }
      for (const directTls of [true, false]) {
        const port = (directTls ? tell.servers[0]?.directTlsPort : tell.servers[0]?.starttlsPort) ?? 0
        const c = await XmppConnection.open({ port, directTls, domain: tell.domain, ...shown(key, {}, tls) })
        await secureStream(c)
        c.write(auth('EXTERNAL', '='))
        await success(c)
        await c.openStream()
        await c.features()
        c.destroy()
      }
      assert.match(jid, /^[0-9a-f]{40}@/)
    },
    CONFIG,
  )

story(
  'quirk 2: EXTERNAL is offered first and taken with an empty answer',
  async (tell) => {
    const { key } = await phone(tell, 'romeo')
    const c = await tell.connection({ directTls: true, ...shown(key) })
    assert.equal(mechanismsOf(await secureStream(c))[0], 'EXTERNAL')
    c.write(auth('EXTERNAL', '='))
    await success(c)
  },
  CONFIG,
)

story(
  'quirk 3: registration is offered and answered before login, with and without a certificate',
  async (tell) => {
    const key = await keyFor(`${'0'.repeat(40)}@${tell.domain}`)
    for (const options of [{ directTls: true }, { directTls: true, ...shown(key) }]) {
      const c = await tell.connection(options)
      assert.match(write(await secureStream(c)), /<register xmlns='http:\/\/jabber\.org\/features\/iq-register'\/>/)
      c.write(QUERY)
      assert.match(write(await c.element()), /type='result'.*var='phone'/)
    }
  },
  CONFIG,
)

story(
  'quirk 4: acknowledgements are to be had without resumption, and cover what is safe',
  async (tell) => {
    const romeo = await (await phone(tell, 'romeo')).device('phone')
    const juliet = await phone(tell, 'juliet')
    assert.equal((await romeo.enablesAcks()).name, 'enabled')
    await romeo.sends(`<message to='${juliet.jid}' type='chat' id='m1'><body>hi</body></message>`)
    await romeo.isAcknowledged()
    const device = await juliet.device('phone')
    await device.isAvailable()
    assert.equal((await device.receivesAny()).attrs.id, 'm1')
  },
  CONFIG,
)

story(
  'quirk 5: who sends a number is told from whom the code comes',
  async (tell) => {
    const c = await tell.connection({ directTls: true })
    await secureStream(c)
    c.write(registrationForm({ FORM_TYPE: 'jabber:iq:register', phone: NUMBERS.romeo, challenge: 'pin' }))
    const answer = write(await c.element())
    assert.match(answer, /<field var='from'[^>]*><value>[^<]+<\/value>/)
    assert.match(answer, /<field var='challenge'[^>]*><value>pin<\/value>/)
    // With one provider there is nothing to fall back on; sms-providers tells of a chain.
    assert.doesNotMatch(answer, /can-fallback'(?! type='boolean')/)
  },
  CONFIG,
)

story(
  'quirk 6: the key comes back whole, with our certification of the user id',
  async (tell) => {
    const { key, jid } = await phone(tell, 'romeo')
    const certified = await readKey({ binaryKey: key.ring })
    assert.equal(certified.getFingerprint().toUpperCase(), key.fingerprint)
    const own = key.key.getKeyID().toHex()
    assert.equal(certified.users[0]?.userID?.email, jid)
    assert.equal(certified.subkeys.length, key.key.subkeys.length)
    const ours = certified.users[0]?.otherCertifications.filter((c) => c.issuerKeyID.toHex() !== own) ?? []
    assert.deepEqual(
      ours.map(({ signatureType }) => signatureType),
      [0x10],
    )
  },
  CONFIG,
)

story(
  'quirk 7: a certificate whose key lacks our certification logs in, since the stored key has it',
  async (tell) => {
    const { key, jid } = await phone(tell, 'romeo')
    const bare = phoneKeyOf(key.key, key.kind)
    assert.notDeepEqual(bare.ring, key.ring)
    const device = await phoneOf(tell, 'romeo', bare).device('Kontalk_Desktop')
    assert.equal(device.jid, `${jid}/Kontalk_Desktop`)
  },
  CONFIG,
)

story('quirk 8: each item of a roster has a name, its localpart when it was given none', async (tell) => {
  const device = await tell.client('romeo', 'phone')
  await device.asks('set', `<query xmlns='jabber:iq:roster'><item jid='juliet@${tell.domain}'/></query>`)
  await device.asks('set', `<query xmlns='jabber:iq:roster'><item jid='nurse@${tell.domain}' name='Angelica'/></query>`)
  const again = await tell.client('romeo', 'desk')
  const roster = write(await again.asks('get', `<query xmlns='jabber:iq:roster'/>`))
  assert.match(roster, /<item [^>]*name='juliet'/)
  assert.match(roster, /<item [^>]*name='Angelica'/)
})

story('quirk 13: an account that exists is never said not to, when it was last seen is asked', async (tell) => {
  const device = await tell.client('romeo', 'phone')
  const [juliet, nobody] = [await tell.account('juliet'), tell.stranger('nobody')]
  for (const to of [juliet, nobody]) {
    const answer = write(await device.asks('get', `<query xmlns='jabber:iq:last'/>`, to))
    assert.match(answer, /type='error'/)
    assert.doesNotMatch(answer, /item-not-found/)
  }
})

story('quirk 14: a receipt to a resource that is gone waits for the account', async (tell) => {
  const romeo = await tell.client('romeo', 'phone')
  const juliet = await tell.client('juliet', 'phone')
  await juliet.disconnects()
  await romeo.sends(
    `<message to='${juliet.jid}' type='chat' id='r1'><received xmlns='urn:xmpp:receipts' id='m1'/></message>`,
  )
  await romeo.receivesNothing()
  const tablet = await tell.client('juliet', 'tablet')
  await tablet.isAvailable()
  const late = write(await tablet.receivesAny())
  assert.match(late, /id='r1'.*<received /)
  assert.match(late, /<delay /)
})
