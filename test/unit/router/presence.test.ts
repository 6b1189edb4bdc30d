import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { PresenceParts } from '../../../src/router/presence.ts'
import { MAX_KEPT_BYTES } from '../../../src/router/subscriptions.ts'
import { type Element, el } from '../../../src/xmpp/element.ts'
import { NS_CLIENT } from '../../../src/xmpp/ns.ts'
import { StanzaError } from '../../../src/xmpp/stanza-error.ts'
import { bare, LOCAL, PresenceWorld } from '../../helpers/presence-world.ts'

const ROMEO = `romeo@${LOCAL}`
const JULIET = `juliet@${LOCAL}`
const status = (text: string) => el('status', NS_CLIENT, {}, text)
const condition = (expected: string) => (error: unknown) => error instanceof StanzaError && error.condition === expected

for (const slowRegistry of [false, true]) {
  const worldOf = (
    options: Pick<
      ConstructorParameters<typeof PresenceWorld>[0] & object,
      'maxItems' | 'maxDirected' | 'lastSeen'
    > = {},
  ) => new PresenceWorld({ slowRegistry, ...options })

  describe(`presence, with a registry that answers ${slowRegistry ? 'later' : 'at once'}`, () => {
    test('initial presence reaches contacts and own devices, and brings theirs (RFC 6121 §4.2)', async () => {
      const world = worldOf()
      const phone = await world.available('romeo', 'phone')
      const balcony = await world.connect('juliet', 'balcony')
      await world.befriend('romeo', 'juliet')
      await world.says(balcony, '', undefined, status('here'))
      balcony.taken()
      phone.taken()

      const laptop = await world.connect('romeo', 'laptop')
      await world.says(laptop, '', undefined, status('busy'))
      assert.deepEqual(balcony.taken(), [
        `<presence to='${JULIET}' from='${ROMEO}/laptop'><status>busy</status></presence>`,
      ])
      assert.deepEqual(phone.taken(), [
        `<presence to='${ROMEO}' from='${ROMEO}/laptop'><status>busy</status></presence>`,
      ])
      assert.deepEqual(laptop.taken().sort(), [
        `<presence to='${ROMEO}' from='${ROMEO}/laptop'><status>busy</status></presence>`,
        `<presence to='${ROMEO}/laptop' from='${JULIET}/balcony'><status>here</status></presence>`,
        `<presence to='${ROMEO}/laptop' from='${ROMEO}/phone'/>`,
      ])
    })

    test('a contact who is away says since when, where that is known; one who comes meanwhile has said so', async () => {
      const asked: unknown[] = []
      const world = worldOf({
        lastSeen: async (asker, contacts) => {
          asked.push([asker, ...contacts])
          street.priority = 0
          street.presence = { content: Buffer.alloc(0), lang: undefined, id: undefined }
          return new Map([
            [bare('juliet'), Date.UTC(2026, 10, 25, 12)],
            [bare('tybalt'), 0],
          ])
        },
      })
      for (const name of ['juliet', 'nurse', 'tybalt']) await world.befriend('romeo', name)
      const street = await world.connect('tybalt', 'street')
      const phone = await world.connect('romeo', 'phone')
      await world.says(phone, '')
      assert.deepEqual(asked, [[`${ROMEO}/phone`, JULIET, `nurse@${LOCAL}`, `tybalt@${LOCAL}`]])
      const delay = `<delay xmlns='urn:xmpp:delay' from='${LOCAL}' stamp='2026-11-25T12:00:00.000Z'/>`
      assert.deepEqual(
        phone.taken().filter((xml) => xml.includes('unavailable')),
        [
          `<presence to='${ROMEO}/phone' from='${JULIET}' type='unavailable'>${delay}</presence>`,
          `<presence to='${ROMEO}/phone' from='nurse@${LOCAL}' type='unavailable'/>`,
        ],
      )
    })

    test('where the times cannot be had, contacts are away all the same', async () => {
      const world = worldOf({ lastSeen: () => Promise.reject(new Error('away')) })
      await world.befriend('romeo', 'juliet')
      const phone = await world.connect('romeo', 'phone')
      await world.says(phone, '')
      assert.ok(phone.taken().includes(`<presence to='${ROMEO}/phone' from='${JULIET}' type='unavailable'/>`))
    })

    test('a change of presence is told, and asks nothing (§4.4)', async () => {
      const world = worldOf()
      await world.befriendOnline()
      const [romeo, juliet] = world.couple
      await world.says(romeo, '', undefined, status('away'))
      assert.deepEqual(juliet.taken(), [`<presence to='${JULIET}' from='${ROMEO}/r'><status>away</status></presence>`])
      assert.deepEqual(romeo.taken(), [`<presence to='${ROMEO}' from='${ROMEO}/r'><status>away</status></presence>`])
    })

    test('leaving is told, by word or by silence (§4.5)', async () => {
      const world = worldOf()
      await world.befriendOnline()
      const [romeo, juliet] = world.couple
      const laptop = await world.available('romeo', 'laptop')
      romeo.taken()
      juliet.taken()
      await world.says(romeo, 'unavailable', undefined, status('bye'))
      const bye = `from='${ROMEO}/r' type='unavailable'><status>bye</status></presence>`
      assert.deepEqual(juliet.taken(), [`<presence to='${JULIET}' ${bye}`])
      assert.deepEqual(laptop.taken(), [`<presence to='${ROMEO}' ${bye}`])
      assert.deepEqual(romeo.taken(), [`<presence to='${ROMEO}' ${bye}`])
      await world.says(romeo, 'unavailable')
      assert.deepEqual([...romeo.taken(), ...juliet.taken(), ...laptop.taken()], [])
      assert.equal(romeo.priority, undefined)
      await world.disconnect(romeo)
      assert.deepEqual(juliet.taken(), [])
      await world.disconnect(laptop)
      assert.deepEqual(juliet.taken(), [`<presence to='${JULIET}' from='${ROMEO}/laptop' type='unavailable'/>`])
    })

    test('strangers are told nothing', async () => {
      const world = worldOf()
      const paris = await world.available('paris', 'p')
      const romeo = await world.available('romeo', 'r')
      await world.says(romeo, '', undefined, status('x'))
      await world.says(romeo, 'unavailable')
      assert.deepEqual(paris.taken(), [])
      assert.deepEqual(world.remote, [])
    })

    test('a contact who is away, hides or never was looks the same', async () => {
      const world = worldOf()
      await world.befriend('romeo', 'juliet')
      await world.available('juliet', 'j')
      // As if a crash had kept the cancellation from Romeo's roster.
      await world.rosters.remove(await world.views.load(bare('juliet')), bare('romeo'))
      world.views.changed(bare('juliet'))
      await world.befriend('romeo', 'nobody')
      const romeo = await world.connect('romeo', 'r')
      await world.says(romeo, '')
      assert.deepEqual(
        romeo
          .taken()
          .filter((x) => x.includes('unavailable'))
          .sort(),
        [
          `<presence to='${ROMEO}/r' from='${JULIET}' type='unavailable'/>`,
          `<presence to='${ROMEO}/r' from='nobody@${LOCAL}' type='unavailable'/>`,
        ],
      )
    })

    test('contacts elsewhere are told and probed through the line', async () => {
      const world = worldOf()
      await world.befriend('romeo', 'juliet@example.net')
      const romeo = await world.connect('romeo', 'r')
      await world.says(romeo, '')
      assert.deepEqual(world.remote, [
        `<presence to='juliet@example.net' from='${ROMEO}/r'/>`,
        `<presence to='juliet@example.net' from='${ROMEO}' type='probe'/>`,
      ])
    })

    test('a priority is recorded, and a bad one refused', async () => {
      const world = worldOf()
      const romeo = await world.connect('romeo', 'r')
      await world.says(romeo, '', undefined, el('priority', NS_CLIENT, {}, '-5'))
      assert.equal(romeo.priority, -5)
      await assert.rejects(
        world.says(romeo, '', undefined, el('priority', NS_CLIENT, {}, '500')),
        condition('bad-request'),
      )
      assert.equal(romeo.priority, -5)
    })

    test('what everybody would be sent has a limit', async () => {
      const world = worldOf()
      const romeo = await world.connect('romeo', 'r')
      await assert.rejects(
        world.says(romeo, '', undefined, 'x'.repeat(MAX_KEPT_BYTES + 1)),
        condition('policy-violation'),
      )
      assert.equal(romeo.priority, undefined)
      await world.says(romeo, '', undefined, 'x'.repeat(MAX_KEPT_BYTES))
      assert.equal(romeo.priority, 0)
    })

    test('only presence of a known type goes without address', async () => {
      const world = worldOf()
      const romeo = await world.connect('romeo', 'r')
      for (const type of ['probe', 'error', 'subscribe']) {
        await assert.rejects(world.says(romeo, type), condition('bad-request'))
      }
    })
  })

  describe(`directed presence, with a registry that answers ${slowRegistry ? 'later' : 'at once'}`, () => {
    test('reaches its address, and so does the end of the session (§4.6)', async () => {
      const world = worldOf()
      const paris = await world.available('paris', 'p')
      const other = await world.available('paris', 'q')
      paris.taken()
      const romeo = await world.connect('romeo', 'r')
      await world.says(romeo, '', paris.jid, status('psst'))
      await world.says(romeo, '', 'room@chat.example.net/romeo')
      await world.says(romeo, '', 'other@chat.example.net/romeo')
      await world.says(romeo, 'unavailable', 'other@chat.example.net/romeo')
      for (const type of ['probe', 'error']) await world.says(romeo, type, 'room@chat.example.net/romeo')
      world.remote.splice(0)
      assert.deepEqual(paris.taken(), [
        `<presence to='${paris.jid}' from='${ROMEO}/r'><status>psst</status></presence>`,
      ])
      await world.disconnect(romeo)
      assert.deepEqual(paris.taken(), [`<presence to='${paris.jid}' from='${ROMEO}/r' type='unavailable'/>`])
      assert.deepEqual(world.remote, [
        `<presence to='room@chat.example.net/romeo' from='${ROMEO}/r' type='unavailable'/>`,
      ])
      assert.deepEqual(other.taken(), [])
    })
    test('to a contact who is told anyway is told once', async () => {
      const world = worldOf()
      await world.befriendOnline()
      const [romeo, juliet] = world.couple
      await world.says(romeo, '', JULIET)
      await world.says(romeo, '', ROMEO)
      juliet.taken()
      await world.says(romeo, 'unavailable')
      assert.deepEqual(juliet.taken(), [`<presence to='${JULIET}' from='${ROMEO}/r' type='unavailable'/>`])
    })
    test('to a contact who was blocked since ends with the block, and says nothing later', async () => {
      const world = worldOf()
      await world.befriendOnline()
      const [romeo, juliet] = world.couple
      await world.says(romeo, '', juliet.jid)
      world.store.block(bare('romeo'), bare('juliet'))
      world.views.changed(bare('romeo'))
      juliet.taken()
      await world.says(romeo, 'unavailable')
      assert.deepEqual(juliet.taken(), [])
    })
    test('has a limit', async () => {
      const world = worldOf({ maxDirected: 2 })
      const romeo = await world.connect('romeo', 'r')
      await world.says(romeo, '', 'a@example.net')
      await world.says(romeo, '', 'b@example.net')
      await world.says(romeo, '', 'a@example.net')
      await assert.rejects(world.says(romeo, '', 'c@example.net'), condition('resource-constraint'))
      await world.says(romeo, 'unavailable', 'a@example.net')
      await world.says(romeo, '', 'c@example.net')
    })
  })

  describe(`presence for an account, with a registry that answers ${slowRegistry ? 'later' : 'at once'}`, () => {
    test('a bare address is every available device, a full one exactly that (RFC 6121 §8.5)', async () => {
      const world = worldOf()
      const phone = await world.available('romeo', 'phone')
      const laptop = await world.available('romeo', 'laptop')
      const silent = await world.connect('romeo', 'silent')
      phone.taken()
      await world.arrives('', 'x@example.net/a', ROMEO)
      await world.arrives('unavailable', 'x@example.net/a', phone.jid)
      await world.arrives('', 'x@example.net/a', silent.jid)
      await world.arrives('', 'x@example.net/a', `${ROMEO}/gone`)
      await world.arrives('error', 'x@example.net', ROMEO)
      const received = (from: string, to: string, type = '') => `<presence to='${to}' from='${from}'${type}/>`
      const error = received('x@example.net', ROMEO, " type='error'")
      const available = received('x@example.net/a', ROMEO)
      assert.deepEqual(phone.taken(), [available, received('x@example.net/a', phone.jid, " type='unavailable'"), error])
      assert.deepEqual(laptop.taken(), [available, error])
      assert.deepEqual(silent.taken(), [received('x@example.net/a', silent.jid)])
    })
    test('a probe of a subscriber is answered, any other as if there were nobody (§4.3.2)', async () => {
      const world = worldOf()
      await world.befriend('romeo', 'juliet@example.net')
      const phone = await world.connect('romeo', 'phone')
      await world.arrives('probe', 'juliet@example.net/j', ROMEO)
      await world.says(phone, '', undefined, status('hi'))
      world.remote.splice(0)
      await world.arrives('probe', 'juliet@example.net/j', ROMEO)
      await world.arrives('probe', 'juliet@example.net/j', phone.jid)
      await world.arrives('probe', 'juliet@example.net/j', `${ROMEO}/gone`)
      const to = `to='juliet@example.net/j'`
      assert.deepEqual(world.remote.splice(0), [
        `<presence ${to} from='${phone.jid}'><status>hi</status></presence>`,
        `<presence ${to} from='${phone.jid}'/>`,
        `<presence ${to} from='${ROMEO}/gone' type='unavailable'/>`,
      ])
      for (const probed of [ROMEO, phone.jid, `nobody@${LOCAL}`, `nobody@${LOCAL}/x`])
        await world.arrives('probe', 'paris@example.net/p', probed)
      const refused = (from: string) => `<presence to='paris@example.net' from='${from}' type='unsubscribed'/>`
      const nobody = `nobody@${LOCAL}`
      assert.deepEqual(world.remote, [refused(ROMEO), refused(ROMEO), refused(nobody), refused(nobody)])
    })
    test('of an unknown type is refused', async () => {
      const world = worldOf()
      await world.connect('romeo', 'r')
      await world.arrives('invisible', 'x@example.net', ROMEO)
      assert.deepEqual(world.remote, ['bounced: bad-request'])
    })
    test('a request with too much in it is refused, account or not', async () => {
      const world = worldOf()
      await world.connect('romeo', 'r')
      await world.arrives('subscribe', 'x@example.net', ROMEO, 'k'.repeat(MAX_KEPT_BYTES + 1))
      await world.arrives('subscribe', 'x@example.net', `nobody@${LOCAL}`, 'k'.repeat(MAX_KEPT_BYTES + 1))
      assert.deepEqual(world.remote, ['bounced: policy-violation', 'bounced: policy-violation'])
      await world.arrives('subscribe', 'x@example.net', ROMEO, 'k'.repeat(MAX_KEPT_BYTES))
      assert.equal(await world.item('romeo', 'x@example.net'), 'none in unlisted')
    })
  })

  describe(`subscriptions, with a registry that answers ${slowRegistry ? 'later' : 'at once'}`, () => {
    test('asked and granted: stanzas, pushes and presence in order (§3.1)', async () => {
      const world = worldOf()
      const romeo = await world.available('romeo', 'r')
      const juliet = await world.available('juliet', 'j')
      await world.says(romeo, 'subscribe', `${JULIET}/j`, status('may I?'))
      assert.deepEqual(romeo.taken(), [
        `<iq to='${romeo.jid}' from='${ROMEO}' id='push-1-1' type='set'><query xmlns='jabber:iq:roster' ver='1-1'><item jid='${JULIET}' name='juliet' subscription='none' ask='subscribe'/></query></iq>`,
      ])
      assert.deepEqual(juliet.taken(), [
        `<presence to='${JULIET}' from='${ROMEO}' type='subscribe'><status>may I?</status></presence>`,
      ])
      await world.says(juliet, 'subscribed', ROMEO)
      assert.deepEqual(juliet.taken(), [
        `<iq to='${juliet.jid}' from='${JULIET}' id='push-2-2' type='set'><query xmlns='jabber:iq:roster' ver='2-2'><item jid='${ROMEO}' name='romeo' subscription='from'/></query></iq>`,
      ])
      assert.deepEqual(romeo.taken(), [
        `<presence to='${ROMEO}' from='${JULIET}' type='subscribed'/>`,
        `<iq to='${romeo.jid}' from='${ROMEO}' id='push-1-2' type='set'><query xmlns='jabber:iq:roster' ver='1-2'><item jid='${JULIET}' name='juliet' subscription='to'/></query></iq>`,
        `<presence to='${ROMEO}' from='${juliet.jid}'/>`,
      ])
    })
    test('pushes go to devices that asked for the roster', async () => {
      const world = worldOf()
      const romeo = await world.available('romeo', 'r')
      const bot = await world.available('romeo', 'bot')
      bot.flag('interested', false)
      romeo.taken()
      await world.says(romeo, 'subscribe', JULIET)
      assert.equal(romeo.taken().length, 1)
      assert.deepEqual(bot.taken(), [])
    })
    test('a request waits, with what it carries, for every device that comes, until it is answered (§3.1.3)', async () => {
      const world = worldOf()
      await world.connect('juliet', 'silent')
      await world.arrives('subscribe', 'romeo@example.net/r', JULIET, el('key', 'urn:example:key', {}, 'k'))
      await world.arrives('subscribe', 'romeo@example.net', JULIET)
      const request = `<presence to='${JULIET}' from='romeo@example.net' type='subscribe'><key xmlns='urn:example:key'>k</key></presence>`
      const phone = await world.connect('juliet', 'phone')
      await world.says(phone, '')
      assert.deepEqual(
        phone.taken().filter((x) => x.includes('subscribe')),
        [request],
      )
      await world.says(phone, '', undefined, status('again'))
      assert.deepEqual(
        phone.taken().filter((x) => x.includes('subscribe')),
        [],
      )
      const laptop = await world.connect('juliet', 'laptop')
      await world.says(laptop, '')
      assert.deepEqual(
        laptop.taken().filter((x) => x.includes('subscribe')),
        [request],
      )
      await world.says(laptop, 'unsubscribed', 'romeo@example.net')
      assert.deepEqual(world.remote, [`<presence to='romeo@example.net' from='${JULIET}' type='unsubscribed'/>`])
      const tablet = await world.connect('juliet', 'tablet')
      await world.says(tablet, '')
      assert.deepEqual(
        tablet.taken().filter((x) => x.includes('subscribe')),
        [],
      )
    })
    test('a contact approved beforehand is answered by the server (§3.4)', async () => {
      const world = worldOf()
      const juliet = await world.available('juliet', 'j')
      await world.says(juliet, 'subscribed', 'romeo@example.net')
      assert.deepEqual(world.remote, [])
      assert.match(juliet.taken().join(), /subscription='none' approved='true'/)
      await world.arrives('subscribe', 'romeo@example.net', JULIET)
      assert.deepEqual(world.remote, [
        `<presence to='romeo@example.net' from='${JULIET}' type='subscribed'/>`,
        `<presence to='romeo@example.net' from='${juliet.jid}'/>`,
      ])
      const pushed = juliet.taken()
      assert.equal(pushed.length, 1)
      assert.match(pushed[0] as string, /subscription='from' approved='true'/)
    })
    test('asking again when it is granted is answered, and troubles nobody', async () => {
      const world = worldOf()
      await world.befriendOnline()
      const [romeo, juliet] = world.couple
      await world.says(romeo, 'subscribe', JULIET)
      assert.deepEqual(juliet.taken(), [])
      assert.deepEqual(romeo.taken(), [`<presence to='${ROMEO}' from='${juliet.jid}'/>`])
      assert.equal(await world.item('romeo', 'juliet'), 'both')
    })
    test('taking it back hides every device (§3.2)', async () => {
      const world = worldOf()
      await world.befriendOnline()
      const [romeo, juliet] = world.couple
      await world.says(juliet, 'unsubscribed', ROMEO)
      assert.deepEqual(
        romeo.taken().filter((x) => x.startsWith('<presence')),
        [
          `<presence to='${ROMEO}' from='${juliet.jid}' type='unavailable'/>`,
          `<presence to='${ROMEO}' from='${JULIET}' type='unsubscribed'/>`,
        ],
      )
      assert.deepEqual([await world.item('romeo', 'juliet'), await world.item('juliet', 'romeo')], ['from', 'to'])
      juliet.taken()
      await world.says(juliet, '', undefined, status('secret'))
      assert.deepEqual(romeo.taken(), [])
    })
    test('giving it up ends what is seen (§3.3)', async () => {
      const world = worldOf()
      await world.befriendOnline()
      const [romeo, juliet] = world.couple
      await world.says(romeo, 'unsubscribe', JULIET)
      assert.equal(juliet.taken()[0], `<presence to='${JULIET}' from='${ROMEO}' type='unsubscribe'/>`)
      assert.equal(romeo.taken().at(-1), `<presence to='${ROMEO}' from='${juliet.jid}' type='unavailable'/>`)
      assert.deepEqual([await world.item('romeo', 'juliet'), await world.item('juliet', 'romeo')], ['from', 'to'])
    })
    test('what arrives unasked changes nothing and is not shown', async () => {
      const world = worldOf()
      const juliet = await world.available('juliet', 'j')
      for (const type of ['subscribed', 'unsubscribe', 'unsubscribed']) {
        await world.arrives(type, 'romeo@example.net', JULIET)
      }
      assert.deepEqual(juliet.taken(), [])
      assert.equal(await world.item('juliet', 'romeo@example.net'), '-')
      assert.deepEqual(world.remote, [])
    })
    test('for an account that does not exist, silence', async () => {
      const world = worldOf()
      const romeo = await world.available('romeo', 'r')
      await world.arrives('subscribe', 'x@example.net', `nobody@${LOCAL}`)
      await world.says(romeo, 'subscribe', `nobody@${LOCAL}`)
      assert.deepEqual(world.remote, [])
      assert.equal(romeo.taken().filter((x) => x.startsWith('<presence')).length, 0)
    })
    test('a full roster is told to its owner', async () => {
      const world = worldOf({ maxItems: 1 })
      const romeo = await world.available('romeo', 'r')
      await world.says(romeo, 'subscribe', JULIET)
      romeo.taken()
      await world.says(romeo, 'subscribe', `nurse@${LOCAL}`)
      assert.match(romeo.taken().join(), /^<presence .*type='error'>.*<resource-constraint /)
      await world.arrives('subscribe', 'x@example.net', ROMEO)
      assert.equal(await world.item('romeo', 'x@example.net'), '-')
    })
    test('stanzas of one client act in the order it sent them', async () => {
      const world = worldOf()
      const romeo = await world.available('romeo', 'r')
      const all = ['subscribe', 'unsubscribe', 'subscribe'].map((type) => world.says(romeo, type, 'juliet@example.net'))
      await Promise.all(all)
      assert.deepEqual(
        world.remote.map((x) => /type='(\w+)'/.exec(x)?.[1]),
        ['subscribe', 'unsubscribe', 'subscribe'],
      )
      assert.equal(await world.item('romeo', 'juliet@example.net'), 'none out')
    })
    test('an account may be its own contact', async () => {
      const world = worldOf()
      const phone = await world.available('romeo', 'phone')
      await world.says(phone, 'subscribe', ROMEO)
      await world.says(phone, 'subscribed', ROMEO)
      assert.equal(await world.item('romeo', 'romeo'), 'both')
      phone.taken()
      await world.says(phone, '', undefined, status('me'))
      assert.equal(phone.taken().length, 1)
      // It sees itself without being one (§4.2.2), and still does when it is one no more.
      for (const type of ['unsubscribe', 'subscribe', 'unsubscribed']) await world.says(phone, type, ROMEO)
      const presence = phone.taken().filter((x) => x.startsWith('<presence') && x.includes(`from='${phone.jid}'`))
      assert.deepEqual(presence, [])
    })
    test('an item that was removed is cancelled both ways (§2.5.2)', async () => {
      const world = worldOf()
      await world.befriendOnline()
      const [romeo, juliet] = world.couple
      await world.drop('romeo', 'juliet')
      assert.deepEqual(
        juliet.taken().filter((x) => x.startsWith('<presence')),
        [
          `<presence to='${JULIET}' from='${ROMEO}' type='unsubscribe'/>`,
          `<presence to='${JULIET}' from='${romeo.jid}' type='unavailable'/>`,
          `<presence to='${JULIET}' from='${ROMEO}' type='unsubscribed'/>`,
        ],
      )
      assert.equal(await world.item('juliet', 'romeo'), 'none')
    })
  })
}

test('a broadcast asks the registry once per contact and loads no view of those who are away', async () => {
  const world = new PresenceWorld()
  for (let i = 0; i < 50; i++) await world.befriend('romeo', `friend${i}`)
  const romeo = await world.connect('romeo', 'r')
  await world.says(romeo, '')
  world.asked = []
  await world.says(romeo, '', undefined, status('x'))
  assert.equal(world.asked.length, 51)
  assert.equal(world.views.peek(bare('friend0')), undefined)
})

test('an account that is removed takes leave of its contacts', async () => {
  const world = new PresenceWorld()
  await world.befriendOnline()
  const [romeo, juliet] = world.couple
  await world.arrives('subscribe', 'x@example.net', ROMEO)
  const { roster } = await world.views.load(bare('romeo'))
  for (const item of roster.values()) await world.step.cancel(bare('romeo'), item)
  await world.quiet()
  assert.equal(await world.item('juliet', 'romeo'), 'none')
  assert.deepEqual(
    juliet
      .taken()
      .filter((x) => x.startsWith('<presence'))
      .slice(-2),
    [
      `<presence to='${JULIET}' from='${romeo.jid}' type='unavailable'/>`,
      `<presence to='${JULIET}' from='${ROMEO}' type='unsubscribed'/>`,
    ],
  )
  assert.deepEqual(world.remote, [`<presence to='x@example.net' from='${ROMEO}' type='unsubscribed'/>`])
})

test('a failing store is told to the client, and the next stanza is served', async () => {
  const world = new PresenceWorld()
  const romeo = await world.available('romeo', 'r')
  const { change } = world.store
  world.store.change = () => Promise.reject(new Error('gone'))
  await world.says(romeo, 'subscribe', 'juliet@example.net')
  assert.match(romeo.taken().join(), /type='error'><error type='wait'><internal-server-error /)
  world.store.change = change
  await world.says(romeo, 'subscribe', 'juliet@example.net')
  assert.equal(world.remote.length, 1)
})

describe('a request for subscription of an account that has a key', () => {
  const fingerprint = 'A'.repeat(40)
  const key = { fingerprint, ring: Buffer.from('ring') }
  async function romeoAsks(keyOf: PresenceParts['keyOf'], ...content: (Element | string)[]): Promise<string> {
    const world = new PresenceWorld({ keyOf })
    world.store.addAccount(bare('romeo'), 1, fingerprint)
    const romeo = await world.connect('romeo', 'r')
    const juliet = await world.available('juliet', 'j')
    await world.says(romeo, 'subscribe', JULIET, ...content)
    return juliet.taken().join()
  }
  const request = (content: string) =>
    `<presence to='${JULIET}' from='${ROMEO}' type='subscribe'${content === '' ? '/>' : `>${content}</presence>`}`
  const carried = `<pubkey xmlns='urn:xmpp:pubkey:2'><key>cmluZw==</key><print>${fingerprint}</print></pubkey>`

  test('carries it', async () => {
    assert.equal(await romeoAsks(async () => key, status('hi')), request(`<status>hi</status>${carried}`))
  })
  test('goes without where there is none, where it does not fit, where it cannot be read', async () => {
    assert.equal(await romeoAsks(undefined), request(''))
    assert.equal(await romeoAsks(async () => undefined), request(''))
    assert.equal(await romeoAsks(async () => ({ ...key, ring: Buffer.alloc(MAX_KEPT_BYTES) })), request(''))
    const full = 'x'.repeat(MAX_KEPT_BYTES)
    assert.equal(await romeoAsks(async () => key, full), request(full))
    assert.equal(await romeoAsks(() => Promise.reject(new Error('away'))), request(''))
  })
})
