import { bounce, story } from '../helpers/story.ts'

/** RFC 6121 §8.5: what becomes of a message, by type and by the state of whom it is for. */

for (const type of ['chat', 'normal', 'headline'] as const) {
  const typed = type === 'normal' ? '' : ` type='${type}'`
  story(`${type} to a bare address reaches every available device of it`, async ({ client }) => {
    const romeo = await client('romeo', 'garden')
    const phone = await client('juliet', 'phone')
    const laptop = await client('juliet', 'laptop')
    await phone.isAvailable({ priority: 1 })
    await laptop.isAvailable({ priority: 5 })
    await romeo.sends(`<message to='${phone.bare}'${typed} id='m1'><body>Wherefore?</body></message>`)
    const expected = `<message from='${romeo.jid}' to='${phone.bare}'${typed} id='m1'><body>Wherefore?</body></message>`
    await phone.receives(expected)
    await laptop.receives(expected)
    await phone.receivesNothing()
    await laptop.receivesNothing()
    await romeo.receivesNothing()
  })
}

story('groupchat to a bare address is refused', async ({ client }) => {
  const romeo = await client('romeo', 'garden')
  const juliet = await client('juliet', 'balcony')
  await juliet.isAvailable()
  await romeo.sends(`<message to='${juliet.bare}' type='groupchat' id='m1'><body>all</body></message>`)
  await romeo.receives(
    bounce('message', { from: juliet.bare, to: romeo.jid, id: 'm1' }, 'cancel', 'service-unavailable'),
  )
  await juliet.receivesNothing()
})

story('an error to a bare address is dropped', async ({ client }) => {
  const romeo = await client('romeo', 'garden')
  const juliet = await client('juliet', 'balcony')
  await juliet.isAvailable()
  await romeo.sends(
    `<message to='${juliet.bare}' type='error' id='m1'><error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>`,
  )
  await romeo.receivesNothing()
  await juliet.receivesNothing()
})

for (const type of ['chat', 'normal', 'headline', 'groupchat', 'error'] as const) {
  const typed = type === 'normal' ? '' : ` type='${type}'`
  const content =
    type === 'error'
      ? `<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>`
      : '<body>you</body>'
  story(`${type} to a connected full address reaches that device alone`, async ({ client }) => {
    const romeo = await client('romeo', 'garden')
    const phone = await client('juliet', 'phone')
    const laptop = await client('juliet', 'laptop')
    await phone.isAvailable()
    await laptop.isAvailable()
    await romeo.sends(`<message to='${phone.jid}'${typed} id='m1'>${content}</message>`)
    await phone.receives(`<message from='${romeo.jid}' to='${phone.jid}'${typed} id='m1'>${content}</message>`)
    await phone.receivesNothing()
    await laptop.receivesNothing()
    await romeo.receivesNothing()
  })
}

story('chat to a gone full address goes to the bare address instead', async ({ client }) => {
  const romeo = await client('romeo', 'garden')
  const phone = await client('juliet', 'phone')
  await phone.isAvailable()
  await romeo.sends(`<message to='${phone.bare}/gone' type='chat' id='m1'><body>still there?</body></message>`)
  await phone.receives(
    `<message from='${romeo.jid}' to='${phone.bare}/gone' type='chat' id='m1'><body>still there?</body></message>`,
  )
  await phone.receivesNothing()
  await romeo.receivesNothing()
})

for (const type of ['normal', 'groupchat'] as const) {
  const typed = type === 'normal' ? '' : ` type='${type}'`
  story(`${type} to a gone full address is refused`, async ({ client }) => {
    const romeo = await client('romeo', 'garden')
    const phone = await client('juliet', 'phone')
    await phone.isAvailable()
    const gone = `${phone.bare}/gone`
    await romeo.sends(`<message to='${gone}'${typed} id='m1'><body>?</body></message>`)
    await romeo.receives(bounce('message', { from: gone, to: romeo.jid, id: 'm1' }, 'cancel', 'service-unavailable'))
    await phone.receivesNothing()
  })
}

for (const type of ['headline', 'error'] as const) {
  story(`${type} to a gone full address is dropped`, async ({ client }) => {
    const romeo = await client('romeo', 'garden')
    const phone = await client('juliet', 'phone')
    await phone.isAvailable()
    await romeo.sends(`<message to='${phone.bare}/gone' type='${type}' id='m1'><body>?</body></message>`)
    await romeo.receivesNothing()
    await phone.receivesNothing()
  })
}

story('a device with negative priority hears only what is for its full address', async ({ client }) => {
  const romeo = await client('romeo', 'garden')
  const quiet = await client('juliet', 'quiet')
  const phone = await client('juliet', 'phone')
  await quiet.isAvailable({ priority: -1 })
  await phone.isAvailable({ priority: 0 })
  await romeo.sends(`<message to='${phone.bare}' type='chat' id='m1'><body>to all</body></message>`)
  await phone.receives(
    `<message from='${romeo.jid}' to='${phone.bare}' type='chat' id='m1'><body>to all</body></message>`,
  )
  await quiet.receivesNothing()
  await romeo.sends(`<message to='${quiet.jid}' type='chat' id='m2'><body>to you</body></message>`)
  await quiet.receives(
    `<message from='${romeo.jid}' to='${quiet.jid}' type='chat' id='m2'><body>to you</body></message>`,
  )
  await phone.receivesNothing()
})

story('a message to nobody is refused as if somebody had blocked it', async ({ client, stranger }) => {
  const romeo = await client('romeo', 'garden')
  const nobody = stranger('nobody')
  await romeo.sends(`<message to='${nobody}' type='chat' id='m1'><body>hello?</body></message>`)
  await romeo.receives(bounce('message', { from: nobody, to: romeo.jid, id: 'm1' }, 'cancel', 'service-unavailable'))
  await romeo.sends(`<message to='${nobody}/x' type='headline' id='m2'><body>hello?</body></message>`)
  await romeo.sends(`<message to='${nobody}' type='error' id='m3'/>`)
  await romeo.receivesNothing()
})

story('a message without `to` is for oneself', async ({ client }) => {
  const phone = await client('romeo', 'phone')
  const laptop = await client('romeo', 'laptop')
  await phone.isAvailable()
  await laptop.isAvailable()
  await phone.sends(`<message type='chat' id='m1'><body>note</body></message>`)
  for (const device of [laptop, phone]) {
    const got = await device.receivesAny()
    if (got.attrs.id !== 'm1' || got.attrs.from !== phone.jid) throw new Error('expected the note')
    // Treated as if addressed to the bare address (RFC 6120 §10.3.1), which need not be written into it.
    if (got.attrs.to !== undefined && got.attrs.to !== phone.bare) throw new Error(`to ${got.attrs.to}`)
  }
})

story('a message to a malformed address is refused', async ({ client }) => {
  const romeo = await client('romeo', 'garden')
  for (const [id, to] of [
    ['m1', '@localhost'],
    ['m2', 'a@b@localhost'],
    ['m3', 'romeo@localhost/'],
    ['m4', `${'x'.repeat(1024)}@localhost`],
    ['m5', 'ro meo@localhost'],
  ]) {
    await romeo.sends(`<message to='${to}' type='chat' id='${id}'><body>hello?</body></message>`)
    await romeo.receives(
      `<message type='error' from='{any}' to='${romeo.jid}' id='${id}'>{...}<error type='modify'>{...}<jid-malformed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>`,
    )
  }
})

story('a message to another domain says that there is no way yet', async ({ client }) => {
  const romeo = await client('romeo', 'garden')
  await romeo.sends(`<message to='juliet@elsewhere.example' type='chat' id='m1'><body>hello?</body></message>`)
  await romeo.receives(
    bounce(
      'message',
      { from: 'juliet@elsewhere.example', to: romeo.jid, id: 'm1' },
      'cancel',
      'remote-server-not-found',
    ),
  )
})

story('`from` is stamped; another is refused', async ({ client, account }) => {
  const romeo = await client('romeo', 'garden')
  const juliet = await client('juliet', 'balcony')
  await juliet.isAvailable()
  const tybalt = await account('tybalt')
  await romeo.sends(
    `<message from='${romeo.bare}' to='${juliet.bare}' type='chat' id='m1'><body>from my bare address</body></message>`,
  )
  await juliet.receives(
    `<message from='${romeo.jid}' to='${juliet.bare}' type='chat' id='m1'><body>from my bare address</body></message>`,
  )
  await romeo.sends(`<message from='${tybalt}' to='${juliet.bare}' type='chat' id='m2'><body>forged</body></message>`)
  await romeo.isDisconnected('invalid-from')
  await juliet.receivesNothing()
})

story('what was sent is what is received: namespaces, attributes, entities, other alphabets', async ({ client }) => {
  const romeo = await client('romeo', 'garden')
  const juliet = await client('juliet', 'balcony')
  await juliet.isAvailable()
  for (const content of [
    `<body>&lt;b&gt; &amp; &quot;&apos; ]]&gt; &#x1F339; Grüße, 世界 🌹</body>`,
    `<body xml:lang='de'>Hallo</body><body xml:lang='en'>Hello</body>`,
    `<a:thing xmlns:a='urn:example:a' a:x='1' y="it's"><inner xmlns='urn:example:b'><a:deep/></inner></a:thing>`,
    `<thing xmlns='urn:example:q' x='&#9;&#10;&#13;&lt;'>&#13;text</thing>`,
    `<html xmlns='http://jabber.org/protocol/xhtml-im'><body xmlns='http://www.w3.org/1999/xhtml'><p>x <em>y</em> z</p></body></html>`,
  ]) {
    await romeo.sends(`<message to='${juliet.bare}' type='chat' id='m'>${content}</message>`)
    await juliet.receives(`<message from='${romeo.jid}' to='${juliet.bare}' type='chat' id='m'>${content}</message>`)
  }
})

story('messages of one sender arrive in order, of whatever kind', async ({ client }) => {
  const romeo = await client('romeo', 'garden')
  const juliet = await client('juliet', 'balcony')
  await juliet.isAvailable()
  const kinds = ['chat', 'headline', 'normal']
  for (let i = 0; i < 60; i++) {
    const to = i % 4 === 0 ? juliet.jid : juliet.bare
    await romeo.sends(`<message to='${to}' type='${kinds[i % 3]}' id='m${i}'><body>${i}</body></message>`)
  }
  for (let i = 0; i < 60; i++) {
    const got = await juliet.receivesAny()
    if (got.attrs.id !== `m${i}`) throw new Error(`expected m${i}, got ${got.attrs.id}`)
  }
  await juliet.receivesNothing()
})
