import assert from 'node:assert/strict'
import type { Element } from '../../src/xmpp/element.ts'
import { write } from '../helpers/match-element.ts'
import { type Story, story } from '../helpers/story.ts'
import type { XmppClient } from '../helpers/xmpp-client.ts'

const NEW = 'urn:xmpp:http:upload:0'
const OLD = 'urn:xmpp:http:upload'
const INFO = `<query xmlns='http://jabber.org/protocol/disco#info'/>`
const service = (tell: Pick<Story, 'domain'>): string => `upload@${tell.domain}`

const request = (name: string, size: number, type?: string): string =>
  `<request xmlns='${NEW}' filename='${name}' size='${size}'${type === undefined ? '' : ` content-type='${type}'`}/>`
/** kontalk-protocol j. */
const oldRequest = (name: string, size: number, type: string): string =>
  `<request xmlns='${OLD}'><filename>${name}</filename><size>${size}</size><content-type>${type}</content-type></request>`

interface Addresses {
  readonly put: string
  readonly get: string
}
function slotIn(answer: Element): Addresses {
  const text = write(answer)
  assert.equal(answer.attrs.type, 'result', text)
  const of = (name: string): string =>
    new RegExp(`<${name} url='([^']*)'`).exec(text)?.[1] ?? new RegExp(`<${name}>([^<]*)<`).exec(text)?.[1] ?? ''
  const addresses = { put: of('put'), get: of('get') }
  // Quirk 10: clients write them into XML as they are.
  for (const url of Object.values(addresses)) assert.match(url, /^http:\/\/[^&<>'"\s]+$/)
  return addresses
}
const asks = async (client: XmppClient, tell: Story, payload: string): Promise<Addresses> =>
  slotIn(await client.asks('get', payload, service(tell)))
const put = (url: string, body: string | Uint8Array<ArrayBuffer>, type?: string): Promise<Response> =>
  fetch(url, { method: 'PUT', body: Buffer.from(body), headers: type === undefined ? {} : { 'content-type': type } })

story('a file is uploaded, and whoever has its address gets it', async (tell) => {
  const romeo = await tell.client('romeo', 'garden')
  const items = write(await romeo.asks('get', `<query xmlns='http://jabber.org/protocol/disco#items'/>`, tell.domain))
  assert.ok(items.includes(`jid='${service(tell)}'`), items)
  const info = write(await romeo.asks('get', INFO, service(tell)))
  assert.match(info, /<identity category='store' type='file' name='HTTP File Upload'\/>/)
  for (const ns of [NEW, OLD]) assert.ok(info.includes(`<feature var='${ns}'/>`), info)
  assert.match(info, /<value>urn:xmpp:http:upload:0<\/value>.*<field var='max-file-size'><value>52428800<\/value>/)

  const slot = await asks(romeo, tell, request('très cool &amp; more.jpg', 5, 'image/jpeg'))
  assert.match(slot.get, /\/tr%C3%A8s%20cool%20%26%20more\.jpg$/)
  assert.equal((await fetch(slot.get)).status, 404, 'not yet')
  const done = await put(slot.put, 'hello', 'image/jpeg')
  assert.deepEqual([done.status, await done.text()], [201, ''])
  assert.equal(done.headers.get('access-control-allow-origin'), '*')

  const got = await fetch(slot.get)
  assert.deepEqual([got.status, await got.text()], [200, 'hello'])
  assert.equal(got.headers.get('content-type'), 'image/jpeg')
  assert.match(
    got.headers.get('content-disposition') ?? '',
    /^inline; .*filename\*=UTF-8''tr%C3%A8s%20cool%20%26%20more\.jpg$/,
  )
  assert.match(got.headers.get('cache-control') ?? '', /^private, max-age=25\d{5}, immutable$/)
  assert.match(got.headers.get('content-security-policy') ?? '', /default-src 'none'/)
  assert.equal(got.headers.get('x-content-type-options'), 'nosniff')
  assert.equal(got.headers.get('access-control-allow-origin'), '*')
  const etag = got.headers.get('etag') ?? ''
  const known = await fetch(slot.get, { headers: { 'if-none-match': etag } })
  assert.deepEqual([known.status, await known.text()], [304, ''])
  const head = await fetch(slot.get, { method: 'HEAD' })
  assert.deepEqual([head.status, head.headers.get('content-length'), await head.text()], [200, '5', ''])
})

story('parts of a file', async (tell) => {
  const romeo = await tell.client('romeo', 'garden')
  const slot = await asks(romeo, tell, request('a.txt', 10, 'text/plain'))
  assert.equal((await put(slot.put, '0123456789', 'text/plain')).status, 201)
  const etag = (await fetch(slot.get, { method: 'HEAD' })).headers.get('etag') ?? ''
  const cases: readonly (readonly [range: string, status: number, body: string, told: string | null])[] = [
    ['bytes=0-0', 206, '0', 'bytes 0-0/10'],
    ['bytes=2-5', 206, '2345', 'bytes 2-5/10'],
    ['bytes=7-', 206, '789', 'bytes 7-9/10'],
    ['bytes=7-99', 206, '789', 'bytes 7-9/10'],
    ['bytes=-2', 206, '89', 'bytes 8-9/10'],
    ['bytes=-99', 206, '0123456789', 'bytes 0-9/10'],
    ['bytes=10-', 416, '', 'bytes */10'],
    ['bytes=-0', 416, '', 'bytes */10'],
    // What may be passed over: several parts, nonsense.
    ['bytes=0-1,3-4', 200, '0123456789', null],
    ['bytes=5-2', 200, '0123456789', null],
    ['bytes=-', 200, '0123456789', null],
    ['lines=1-2', 200, '0123456789', null],
  ]
  for (const [range, status, body, told] of cases) {
    const answer = await fetch(slot.get, { headers: { range } })
    const text = await answer.text()
    assert.deepEqual(
      [answer.status, status === 416 ? '' : text, answer.headers.get('content-range')],
      [status, body, told],
      range,
    )
  }
  const conditional = async (ifRange: string) =>
    (await fetch(slot.get, { headers: { range: 'bytes=2-5', 'if-range': ifRange } })).status
  assert.deepEqual([await conditional(etag), await conditional('"another"')], [206, 200])
})

story('what a browser could run is a file to be saved', async (tell) => {
  const romeo = await tell.client('romeo', 'garden')
  for (const [name, type] of [
    ['a.html', 'text/html'],
    ['a.svg', 'image/svg+xml'],
    ['a.pdf', 'application/pdf'],
    ['a.bin', undefined],
  ] as const) {
    const slot = await asks(romeo, tell, request(name, 5, type))
    assert.equal((await put(slot.put, 'hello', type)).status, 201)
    const got = await fetch(slot.get)
    assert.equal(got.headers.get('content-disposition'), `attachment; filename="${name}"; filename*=UTF-8''${name}`)
    assert.equal(got.headers.get('content-type'), type ?? 'application/octet-stream')
    assert.match(got.headers.get('content-security-policy') ?? '', /sandbox/)
    await got.text()
  }
})

story(
  'quirks 10, 11, flow j: Kontalk’s apps upload by the old namespace, to addresses they can write as they are, and are told 200',
  async (tell) => {
    const romeo = await tell.client('romeo', 'phone')
    const answer = await romeo.asks('get', oldRequest('a.jpg', 5, 'image/jpeg'), service(tell))
    assert.match(
      write(answer),
      /<slot xmlns='urn:xmpp:http:upload'><put>http:[^<]*\/a\.jpg<\/put><get>http:[^<]*\/a\.jpg<\/get><\/slot>/,
    )
    const slot = slotIn(answer)
    assert.equal((await put(slot.put, 'hello', 'image/jpeg')).status, 200)
    const got = await fetch(slot.get)
    assert.deepEqual([got.status, got.headers.get('content-type'), await got.text()], [200, 'image/jpeg', 'hello'])
  },
)

story('nothing but what the slot is for, once, and nothing is left of the rest', async (tell) => {
  const romeo = await tell.client('romeo', 'garden')
  const slot = await asks(romeo, tell, request('a.txt', 5, 'text/plain'))
  const refused = async (url: string, body: string, type: string, status: number): Promise<void> => {
    assert.equal((await put(url, body, type)).status, status, url)
    assert.equal((await fetch(slot.get)).status, 404)
  }
  await refused(slot.put, 'hello!', 'text/plain', 413)
  await refused(slot.put, 'hell', 'text/plain', 400)
  await refused(slot.put, 'hello', 'text/html', 415)
  await refused(slot.put.replace(/a\.txt$/, 'b.txt'), 'hello', 'text/plain', 404)
  await refused(slot.put.replace(/\/upload\/..../, '/upload/AAAA'), 'hello', 'text/plain', 403)
  const encoded = await fetch(slot.put, {
    method: 'PUT',
    body: 'hello',
    headers: { 'content-encoding': 'gzip', 'content-type': 'text/plain' },
  })
  assert.equal(encoded.status, 415)
  const chunked = new ReadableStream({
    start: (controller) => {
      controller.enqueue(Buffer.from('hello'))
      controller.close()
    },
  })
  const unknown = await fetch(slot.put, {
    method: 'PUT',
    body: chunked,
    duplex: 'half',
    headers: { 'content-type': 'text/plain' },
  })
  assert.equal(unknown.status, 411)
  assert.equal((await put(slot.put, 'hello', 'text/plain')).status, 201)
  assert.equal((await put(slot.put, 'world', 'text/plain')).status, 409)
  assert.equal(await (await fetch(slot.get)).text(), 'hello')
  for (const other of [
    slot.get.replace(/a\.txt$/, 'a.exe'),
    slot.get.replace(/\/file\/../, '/file/zz'),
    `${slot.get}/`,
  ])
    assert.equal((await fetch(other)).status, 404, other)
})

story('requests that make no sense, and those of others', async (tell) => {
  const romeo = await tell.client('romeo', 'garden')
  for (const payload of [
    `<request xmlns='${NEW}' size='5'/>`,
    `<request xmlns='${NEW}' filename='' size='5'/>`,
    `<request xmlns='${NEW}' filename='a'/>`,
    request('a', 0),
    request('a', -1),
    request('a', 1.5),
    `<request xmlns='${NEW}' filename='a' size='1e3'/>`,
    `<request xmlns='${NEW}' filename='a' size='${'9'.repeat(30)}'/>`,
    `<request xmlns='${OLD}'><filename>a</filename></request>`,
  ])
    assert.match(write(await romeo.asks('get', payload, service(tell))), /<bad-request /, payload)
  const large = write(await romeo.asks('get', request('a', 52_428_801), service(tell)))
  assert.match(
    large,
    /<error type='modify'>.*<not-acceptable .*<file-too-large xmlns='urn:xmpp:http:upload:0'><max-file-size>52428800</,
  )
  const oldLarge = write(await romeo.asks('get', oldRequest('a', 52_428_801, 'a/b'), service(tell)))
  assert.match(oldLarge, /<not-acceptable .*<file-too-large xmlns='urn:xmpp:http:upload'><max-file-size>52428800</)
})

story('with an account go its files, and no slot of it is good any more', async (tell) => {
  const romeo = await tell.client('romeo', 'garden')
  const slot = await asks(romeo, tell, request('a.txt', 5))
  const unused = await asks(romeo, tell, request('b.txt', 5))
  assert.equal((await put(slot.put, 'hello')).status, 201)
  assert.equal((await fetch(slot.get)).status, 200)
  const admin = tell.servers[0]?.running.admin
  await admin?.setDisabled(romeo.bare, true)
  assert.equal((await fetch(slot.get)).status, 404, 'a disabled account shows nothing')
  await admin?.setDisabled(romeo.bare, false)
  assert.equal((await fetch(slot.get)).status, 200)
  await admin?.deleteAccount(romeo.bare)
  assert.equal((await fetch(slot.get)).status, 404)
  assert.equal((await put(unused.put, 'hello')).status, 404)
})
