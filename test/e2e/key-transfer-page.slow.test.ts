import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { request } from 'node:http'
import { text as wholeText } from 'node:stream/consumers'
import { test as skip } from 'node:test'
import { decryptKey, encryptKey, readKey, readPrivateKey } from 'openpgp'
import type { PhoneKey } from '../helpers/bridge-certificate.ts'
import { Gpg, gpgIsMissing } from '../helpers/gpg.ts'
import {
  jidOf,
  keyFor,
  NUMBERS,
  type Person,
  registersKey,
  settingsOf,
  shown,
  WIDE_BUDGETS,
} from '../helpers/kontalk-phone.ts'
import { secureStream } from '../helpers/login.ts'
import { write } from '../helpers/match-element.ts'
import { textOfQr } from '../helpers/qr-reader.ts'
import { type Story, story } from '../helpers/story.ts'
import type { XmppClient } from '../helpers/xmpp-client.ts'

const COMMANDS = 'http://jabber.org/protocol/commands'
const NODE = 'key-transfer'
const PASSPHRASE = 'correct horse'
const TRIES = 5
const UNKNOWN = '0123456789'.repeat(4)
const CONFIG = {
  account: { registration: ['sms', 'open'] },
  sms: { provider: 'console' },
  limits: { registration: WIDE_BUDGETS, login: { transfer_tries: `${TRIES}/1h` } },
  log: { level: 'trace' },
}

interface Phone {
  readonly jid: string
  readonly key: PhoneKey
  readonly client: XmppClient
}
/** A number with a key, on its old device. */
async function phone(tell: Story, person: Person): Promise<Phone> {
  const jid = jidOf(tell, person)
  const key = await keyFor(jid)
  await registersKey(tell, settingsOf(tell), NUMBERS[person], key)
  const client = await tell.client(person, 'old', { ...shown(key), login: { mechanism: 'EXTERNAL' }, server: 0 })
  await client.isAvailable()
  return { jid, key, client }
}
const locked = ({ key }: PhoneKey) => encryptKey({ privateKey: key, passphrase: PASSPHRASE })

/** Runs the command with these lines. @returns the server's answer */
async function leaves(client: XmppClient, text: string): Promise<string> {
  const offered = write(await client.asks('set', `<command xmlns='${COMMANDS}' node='${NODE}'/>`))
  assert.match(offered, /type='text-multi' var='key'/)
  const session = /sessionid='([^']*)'/.exec(offered)?.[1] ?? ''
  const lines = text.split('\n').map((line) => `<value>${line.trim()}</value>`)
  const form = `<x xmlns='jabber:x:data' type='submit'><field var='key'>${lines.join('')}</field></x>`
  const command = `<command xmlns='${COMMANDS}' node='${NODE}' sessionid='${session}' action='complete'>${form}</command>`
  return write(await client.asks('set', command))
}
const fieldIn = (answer: string, name: string): string =>
  new RegExp(`var='${name}'[^>]*><value>([^<]+)</value>`).exec(answer)?.[1] ?? assert.fail(answer)

interface Asked {
  readonly body?: string
  /** An address of this machine. */
  readonly from?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly method?: string
  readonly path?: string
  readonly server?: number
}
interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: string
}
/** A request as low as the tests need it: `fetch` sets headers of its own. */
function asks(tell: Story, { body, from = '127.0.0.1', headers = {}, path = '/key-transfer', ...asked }: Asked) {
  return new Promise<Answer>((resolve, reject) => {
    const options = {
      host: '127.0.0.1',
      port: tell.servers[asked.server ?? 0]?.httpPort ?? 0,
      method: asked.method ?? (body === undefined ? 'GET' : 'POST'),
      path,
      localAddress: from,
      agent: false,
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }), ...headers },
    }
    request(options, (response) => {
      wholeText(response).then(
        (whole) => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: whole }),
        reject,
      )
    })
      .on('error', reject)
      .end(body)
  })
}
const form = (fields: Readonly<Record<string, string>>): string => new URLSearchParams(fields).toString()
const fetches = (tell: Story, token: string, more: Asked = {}): Promise<Answer> =>
  asks(tell, { body: form({ token, do: 'fetch' }), ...more })
/** All that an asker can see, the time aside. */
const seen = ({ status, headers, body }: Answer): string =>
  JSON.stringify([status, { ...headers, date: undefined }, body])
const alertIn = ({ body }: Answer): string => /<p role="alert">([^<]*)<\/p>/.exec(body)?.[1] ?? ''

/** A Kontalk device asks before login. @returns the server's answer */
async function fetchesInBand(tell: Story, token: string, server: number): Promise<string> {
  const c = await tell.connection({ server })
  await secureStream(c)
  c.write(
    `<iq type='get' id='k2' to='localhost'><query xmlns='jabber:iq:register'><account xmlns='http://kontalk.org/protocol/register#account'><privatekey><token>${token}</token></privatekey></account></query></iq>`,
  )
  return write(await c.element())
}

story(
  'a key is left by a command and fetched from the page, once, and the old device hears of both',
  async (tell) => {
    const romeo = await phone(tell, 'romeo')
    const secret = await locked(romeo.key)
    const answer = await leaves(romeo.client, secret.armor())
    assert.match(answer, /status='completed'/)
    const token = fieldIn(answer, 'token')
    assert.match(token, /^\d{40}$/)
    assert.ok(answer.includes(`${token.slice(0, 20)} ${token.slice(20)}`), 'for people as well')
    assert.match(answer, /within 15 min/)
    assert.equal(fieldIn(answer, 'url'), `http://localhost:${tell.servers[0]?.httpPort}/key-transfer`)
    assert.match(write(await romeo.client.receivesAny()), /was left on the server for another device/)

    const fetched = await fetches(tell, `${token.slice(0, 20)} ${token.slice(20)}\r\n`)
    assert.equal(fetched.status, 200)
    assert.equal(fetched.headers['content-type'], 'application/pgp-keys')
    assert.equal(fetched.headers['content-disposition'], 'attachment; filename="secret-key.asc"')
    assert.equal(fetched.headers['cache-control'], 'no-store')
    assert.match(fetched.body, /^-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n/)
    const [own = '', certified = ''] = fetched.body.split(/(?=-----BEGIN PGP PUBLIC)/)
    const key = await readPrivateKey({ armoredKey: own })
    assert.deepEqual(Buffer.from(key.write()), Buffer.from(secret.write()), 'as its owner locked it')
    assert.ok((await decryptKey({ privateKey: key, passphrase: PASSPHRASE })).isDecrypted())
    const half = await readKey({ armoredKey: certified })
    assert.equal(half.getFingerprint().toUpperCase(), romeo.key.fingerprint)
    const [server] = (await tell.servers[0]?.running.admin.serverKeys()) ?? []
    const certifiers = half.users[0]?.otherCertifications.map(({ issuerKeyID }) => issuerKeyID.toHex().toUpperCase())
    assert.deepEqual(certifiers, [server?.fingerprint.slice(-16)])
    assert.match(write(await romeo.client.receivesAny()), /was fetched by another device/)

    const again = await fetches(tell, token)
    assert.equal(again.status, 403)
    assert.doesNotMatch(again.body, /BEGIN PGP/)
    assert.match(await fetchesInBand(tell, token, 0), /Invalid private key token\./)
    await romeo.client.receivesNothing()
  },
  { servers: 1, config: CONFIG },
)

const gpgSkip = gpgIsMissing()
if (gpgSkip !== false) skip('GnuPG reads the fetched key', { skip: gpgSkip })
else
  story(
    'GnuPG reads the fetched key, and leaves one of its own',
    async (tell) => {
      const romeo = await phone(tell, 'romeo')
      const token = fieldIn(await leaves(romeo.client, (await locked(romeo.key)).armor()), 'token')
      const { body } = await fetches(tell, token)
      const gpg = await Gpg.open()
      try {
        const said = await gpg.import(Buffer.from(body))
        assert.match(said, /secret keys imported: 1/, said)
        assert.match(await gpg.secretKeys(), new RegExp(`^fpr:+${romeo.key.fingerprint}:`, 'm'))
        const exported = await gpg.exportsSecret(romeo.key.fingerprint, PASSPHRASE)
        const second = fieldIn(await leaves(romeo.client, exported), 'token')
        assert.equal((await fetches(tell, second)).status, 200)
      } finally {
        await gpg.close()
      }
    },
    { servers: 1, config: CONFIG },
  )

story(
  'what was left by the command goes to Kontalk’s app in-band, and to the page of another node',
  async (tell) => {
    const romeo = await phone(tell, 'romeo')
    const ring = Buffer.from((await locked(romeo.key)).write())
    const first = fieldIn(await leaves(romeo.client, ring.toString('base64')), 'token')
    const handed = await fetchesInBand(tell, first, 1)
    assert.equal(/<private>([^<]+)</.exec(handed)?.[1], ring.toString('base64'))
    assert.equal((await fetches(tell, first)).status, 403)
    const second = fieldIn(await leaves(romeo.client, ring.toString('base64')), 'token')
    assert.equal((await fetches(tell, second, { server: 1 })).status, 200)
  },
  { servers: 2, config: CONFIG },
)

story(
  'the command takes nothing but the account’s own locked secret key',
  async (tell) => {
    const romeo = await phone(tell, 'romeo')
    const juliet = await phone(tell, 'juliet')
    const refused = /type='error'.*<bad-request .*<bad-payload /
    for (const bad of [
      '',
      'not base64!',
      romeo.key.key.armor(),
      romeo.key.key.toPublic().armor(),
      Buffer.from(romeo.key.key.toPublic().write()).toString('base64'),
      (await locked(juliet.key)).armor(),
      (await locked(romeo.key)).armor().repeat(2),
      Buffer.alloc(40_000).toString('base64'),
    ])
      assert.match(await leaves(romeo.client, bad), refused, bad)
    const nurse = await tell.client('nurse', 'house')
    const without = await leaves(nurse, (await locked(romeo.key)).armor())
    assert.match(without, /type='error'.*<not-allowed .*This account has no key\./)
    await romeo.client.receivesNothing()
  },
  { servers: 1, config: CONFIG },
)

story(
  'the page shows what Kontalk’s app scans, and neither asks nor spends for it',
  async (tell) => {
    const romeo = await phone(tell, 'romeo')
    const token = fieldIn(await leaves(romeo.client, (await locked(romeo.key)).armor()), 'token')
    const number = '+49 151 234-56789'
    const code = (fields: Readonly<Record<string, string>>) => asks(tell, { body: form({ do: 'code', ...fields }) })
    for (const shownToken of [token, UNKNOWN]) {
      const answer = await code({ token: shownToken, number })
      assert.equal(answer.status, 200)
      assert.equal(textOfQr(answer.body), `${NUMBERS.romeo};localhost;${shownToken}`)
    }
    // More than the tries of an address; the same for a good token and one that nobody has.
    for (let i = 0; i <= TRIES; i++) {
      const [good, unknown] = [await code({ token, number }), await code({ token: UNKNOWN, number })]
      assert.deepEqual([good.status, unknown.status], [200, 200])
      assert.deepEqual(Object.keys(good.headers), Object.keys(unknown.headers))
    }
    for (const bad of ['', '0151 23456789', '+4', '<b>', '+49151234567890123456'])
      assert.match(alertIn(await code({ token, number: bad })), /^The code needs the phone number/, bad)
    for (const bad of ['', '1'.repeat(39), '1'.repeat(41), 'a'.repeat(40), '１'.repeat(40)])
      for (const what of ['code', 'fetch']) {
        const answer = await asks(tell, { body: form({ token: bad, number, do: what }) })
        assert.deepEqual([answer.status, alertIn(answer)], [400, 'A token has 40 digits.'])
      }
    assert.equal((await asks(tell, { body: form({ token, number }) })).status, 400, 'neither button')
    // Its address holds nothing, whatever is put there.
    const asked = await asks(tell, { path: `/key-transfer?token=${token}&do=fetch` })
    assert.ok(asked.status === 200 && !asked.body.includes(token))
    assert.equal((await fetches(tell, token)).status, 200, 'nothing was spent')
    const metrics = await (await fetch(`http://127.0.0.1:${tell.servers[0]?.opsPort}/metrics`)).text()
    assert.match(metrics, /fernruf_key_transfer_steps_total\{step="fetch",outcome="done"\} 1/)
    assert.ok(!metrics.includes(token))
  },
  { servers: 1, config: CONFIG },
)

story(
  'with several domains the code names the one that was chosen',
  async (tell) => {
    const { body } = await asks(tell, {})
    assert.match(
      body,
      /<select id="domain" name="domain"><option>localhost<\/option><option>two\.example<\/option><\/select>/,
    )
    const fields = { token: UNKNOWN, number: NUMBERS.romeo, do: 'code' }
    const chosen = await asks(tell, { body: form({ ...fields, domain: 'Two.Example' }) })
    assert.equal(textOfQr(chosen.body), `${NUMBERS.romeo};two.example;${UNKNOWN}`)
    for (const domain of ['', 'elsewhere.example', '<b>'])
      assert.equal((await asks(tell, { body: form({ ...fields, domain }) })).status, 400, domain)
  },
  { servers: 1, config: { ...CONFIG, domain: undefined, domains: ['localhost', 'two.example'] } },
)

story(
  'wrong tokens look alike, and an address has few tries, in-band and on the page together',
  async (tell) => {
    const romeo = await phone(tell, 'romeo')
    const leaving = async () => fieldIn(await leaves(romeo.client, (await locked(romeo.key)).armor()), 'token')
    const used = await leaving()
    assert.equal((await fetches(tell, used, { from: '127.0.0.2' })).status, 200)
    const replaced = await leaving()
    const good = await leaving()
    const guesser = { from: '127.0.0.3' }
    const answers = [UNKNOWN, used, replaced, UNKNOWN, '0'.repeat(40)].map((token) => fetches(tell, token, guesser))
    const [first = '', ...others] = (await Promise.all(answers)).map(seen)
    assert.match(first, /^\[403,/)
    for (const other of others) assert.equal(other, first)
    // The right one does not help any more.
    const sixth = await fetches(tell, good, guesser)
    assert.deepEqual(
      [sixth.status, alertIn(sixth)],
      [429, 'Too many tokens were tried from your address. Come again in an hour.'],
    )
    for (let i = 0; i < TRIES; i++) assert.match(await fetchesInBand(tell, UNKNOWN, 0), /Invalid private key token\./)
    assert.equal((await fetches(tell, good)).status, 429, 'tries in-band count here')
    assert.equal((await fetches(tell, good, { from: '127.0.0.4' })).status, 200)
  },
  { servers: 1, config: CONFIG },
)
story(
  'a token whose time is over looks like one that nobody has',
  async (tell) => {
    const romeo = await phone(tell, 'romeo')
    const token = fieldIn(await leaves(romeo.client, (await locked(romeo.key)).armor()), 'token')
    const { accounts, keyTransfers } = tell.stores
    const { id = 0 } = (await accounts.find(romeo.jid as never)) ?? {}
    const tokenHash = createHash('sha256').update(token).digest()
    await keyTransfers.put({ account: id, tokenHash, ring: Buffer.from('x'), expiresAt: Date.now() - 1 })
    assert.equal(seen(await fetches(tell, token)), seen(await fetches(tell, UNKNOWN)))
  },
  { servers: 1, config: CONFIG },
)

story(
  'forms of other sites, of other types and of other sizes are refused',
  async (tell) => {
    const romeo = await phone(tell, 'romeo')
    const token = fieldIn(await leaves(romeo.client, (await locked(romeo.key)).armor()), 'token')
    const own = `http://localhost:${tell.servers[0]?.httpPort}`
    for (const headers of [
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
      { 'sec-fetch-site': 'cross-site', origin: own },
      { 'sec-fetch-site': '' },
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { origin: `${own}0` },
    ]) {
      const answer = await fetches(tell, token, { headers })
      assert.deepEqual(
        [answer.status, alertIn(answer)],
        [403, 'This form belongs to another site.'],
        JSON.stringify(headers),
      )
      const code = await asks(tell, { body: form({ token, number: NUMBERS.romeo, do: 'code' }), headers })
      assert.ok(code.status === 403 && !code.body.includes('<svg'))
    }
    for (const headers of [
      { 'content-type': 'text/plain' },
      { 'content-type': 'application/json' },
      { 'content-type': 'multipart/form-data; boundary=x' },
      { 'content-type': 'application/x-www-form-urlencoded-not' },
      { 'content-encoding': 'gzip' },
    ])
      assert.equal((await fetches(tell, token, { headers })).status, 415, JSON.stringify(headers))
    const long = form({ token, do: 'fetch', more: 'x'.repeat(1_024) })
    assert.equal((await asks(tell, { body: long })).status, 413)
    assert.equal((await asks(tell, { body: long, headers: { 'transfer-encoding': 'chunked' } })).status, 413)
    const { body = '' } = { body: form({ token, do: 'fetch', more: '' }) }
    assert.equal((await asks(tell, { body: body + 'x'.repeat(1_025 - body.length) })).status, 413)
    for (const method of ['PUT', 'DELETE', 'PATCH']) assert.equal((await asks(tell, { method })).status, 405)
    // None of that has cost a try or the token.
    const headers = { origin: own, 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' }
    const fits = { body: body + 'x'.repeat(1_024 - body.length), headers }
    assert.equal((await asks(tell, fits)).status, 200)
    const same = { headers: { 'sec-fetch-site': 'same-origin', origin: 'null' } }
    assert.equal((await fetches(tell, token, same)).status, 403)
    assert.match(alertIn(await fetches(tell, token, same)), /^This token is not known/)
  },
  { servers: 1, config: CONFIG },
)

story(
  'no page runs a script, is framed, kept, or told to others; each field has its label',
  async (tell) => {
    const fields = { token: UNKNOWN, number: NUMBERS.romeo }
    for (const answer of [
      await asks(tell, {}),
      await asks(tell, { body: form({ ...fields, do: 'code' }) }),
      await asks(tell, { body: form({ ...fields, do: 'fetch' }) }),
    ]) {
      const { headers, body } = answer
      assert.equal(headers['content-type'], 'text/html; charset=utf-8')
      assert.equal(headers['cache-control'], 'no-store')
      assert.equal(headers['x-content-type-options'], 'nosniff')
      assert.equal(headers['referrer-policy'], 'same-origin')
      assert.equal(headers['cross-origin-resource-policy'], 'same-origin')
      assert.equal(headers['access-control-allow-origin'], undefined)
      assert.equal(headers['set-cookie'], undefined)
      const style = /<style>([^<]*)<\/style>/.exec(body)?.[1] ?? ''
      const policy = String(headers['content-security-policy']).split('; ')
      assert.deepEqual(policy, [
        "default-src 'none'",
        `style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'`,
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        'sandbox allow-forms allow-downloads allow-same-origin',
      ])
      // What the policy would stop is not there either.
      assert.doesNotMatch(
        body,
        /<script|<link|<iframe|<img| style=| on\w+=|javascript:|https?:(?!\/\/www\.w3\.org\/2000\/svg)/i,
      )
      assert.match(body, /^<!doctype html>\n<html lang="en">/)
      for (const [, id] of body.matchAll(/<(?:input|select) id="([^"]*)"/g))
        assert.ok(body.includes(`<label for="${id}">`), id)
    }
    const { body } = await asks(tell, {})
    assert.match(body, /<form method="post" action="\/key-transfer"/)
    assert.equal((await asks(tell, { method: 'HEAD' })).body, '')
  },
  { servers: 1, config: CONFIG },
)

story(
  'no token and no number is in the log, whatever its level',
  async (tell) => {
    const store = tell.stores.keyTransfers
    const takes = store.take.bind(store)
    const away = { value: false }
    store.take = (hash, now) => (away.value ? Promise.reject(new Error('no store')) : takes(hash, now))
    const romeo = await phone(tell, 'romeo')
    const token = fieldIn(await leaves(romeo.client, (await locked(romeo.key)).armor()), 'token')
    await asks(tell, { body: form({ token, number: NUMBERS.romeo, do: 'code' }) })
    await fetches(tell, UNKNOWN)
    await fetches(tell, token)
    await fetches(tell, token)
    await asks(tell, { path: `/key-transfer?token=${token}` })
    await asks(tell, { body: form({ token, do: 'fetch', more: 'x'.repeat(2_000) }) })
    // What fails inside is logged.
    away.value = true
    assert.equal((await fetches(tell, token)).status, 500)
    assert.ok(tell.logged.some((line) => line.includes('http request failed')))
    for (const secret of [token, token.slice(0, 20), token.slice(20), UNKNOWN, NUMBERS.romeo.slice(1), 'PGP PRIVATE'])
      assert.equal(
        tell.logged.find((line) => line.includes(secret)),
        undefined,
      )
  },
  { servers: 1, config: CONFIG },
)

for (const [why, off] of [
  ['without a public HTTP server', { http: { ops: { listen: '127.0.0.1:0' } } }],
  ['where it is switched off', { features: { key_transfer: false } }],
] as const)
  story(
    `there is no page and no command ${why}`,
    async (tell) => {
      const nurse = await tell.client('nurse', 'house')
      const list = `<query xmlns='http://jabber.org/protocol/disco#items' node='${COMMANDS}'/>`
      assert.doesNotMatch(write(await nurse.asks('get', list)), /key-transfer/)
      const asked = write(await nurse.asks('set', `<command xmlns='${COMMANDS}' node='${NODE}'/>`))
      assert.match(asked, /type='error'.*<item-not-found /)
      if (tell.servers[0]?.httpPort !== 0) assert.equal((await asks(tell, {})).status, 404)
    },
    { servers: 1, config: { ...CONFIG, ...off } },
  )
