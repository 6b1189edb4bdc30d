import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test as skip } from 'node:test'
import { readKey } from 'openpgp'
import { generate } from 'selfsigned'
import { wkdHash } from '../../src/keys/listing.ts'
import type { BareJid } from '../../src/xmpp/jid.ts'
import { type PhoneKey, phoneKey } from '../helpers/bridge-certificate.ts'
import { Gpg, gpgIsMissing, sandboxIsMissing } from '../helpers/gpg.ts'
import { publishes, registersKey, shown, WIDE_BUDGETS } from '../helpers/kontalk-phone.ts'
import { write } from '../helpers/match-element.ts'
import { type Story, story } from '../helpers/story.ts'
import type { XmppClient } from '../helpers/xmpp-client.ts'

const NUMBERS = { romeo: '+4915123456789', juliet: '+4915123456780' } as const
const KONTALK = {
  account: { registration: ['sms'] },
  sms: { provider: 'console' },
  limits: { registration: WIDE_BUDGETS },
}

interface Phone {
  readonly jid: BareJid
  readonly key: PhoneKey
  readonly client: XmppClient
}
/** A number registered with a key, as Kontalk's app does, and logged in by it. */
async function phone(tell: Story, person: keyof typeof NUMBERS): Promise<Phone> {
  const jid = `${createHash('sha1').update(NUMBERS[person]).digest('hex')}@${tell.domain}` as BareJid
  const key = await phoneKey(jid, { date: new Date(Date.now() - 86_400_000) })
  const settings = { port: tell.servers[0]?.directTlsPort ?? 0, domain: tell.domain, directTls: true }
  await registersKey(tell, settings, NUMBERS[person], key)
  return { jid, key, client: await tell.client(person, 'phone', { ...shown(key), login: { mechanism: 'EXTERNAL' } }) }
}
const at = (tell: Story): string => `http://localhost:${tell.servers[0]?.httpPort}`
const direct = (jid: BareJid): string => `/.well-known/openpgpkey/hu/${wkdHash(jid)}?l=${jid.split('@')[0]}`
const advanced = (jid: BareJid): string => `/.well-known/openpgpkey/localhost/hu/${wkdHash(jid)}?l=${jid.split('@')[0]}`
const lookup = (jid: string, op = 'get'): string => `/pks/lookup?op=${op}&options=mr&search=${encodeURIComponent(jid)}`
/** All that an asker can see. */
async function seen(url: string): Promise<string> {
  const answer = await fetch(url)
  const headers = [...answer.headers].filter(([name]) => name !== 'date')
  return JSON.stringify([answer.status, headers, await answer.text()])
}

story(
  'a key is fetched over HTTP when its owner wants that, and not before',
  async (tell) => {
    const romeo = await phone(tell, 'romeo')
    for (const path of [direct(romeo.jid), advanced(romeo.jid), lookup(romeo.jid), lookup(romeo.jid, 'index')])
      assert.equal((await fetch(at(tell) + path)).status, 404)
    await publishes(romeo.client, true)
    for (const path of [direct(romeo.jid), advanced(romeo.jid)]) {
      const answer = await fetch(at(tell) + path)
      assert.equal(answer.headers.get('content-type'), 'application/octet-stream')
      assert.equal(answer.headers.get('access-control-allow-origin'), '*')
      const key = await readKey({ binaryKey: Buffer.from(await answer.arrayBuffer()) })
      assert.equal(key.getFingerprint().toUpperCase(), romeo.key.fingerprint)
      assert.deepEqual(key.getUserIDs(), [`Romeo <${romeo.jid}>`])
    }
    const armored = await fetch(at(tell) + lookup(romeo.jid))
    assert.equal(armored.headers.get('content-type'), 'application/pgp-keys')
    assert.equal(
      (await readKey({ armoredKey: await armored.text() })).getFingerprint().toUpperCase(),
      romeo.key.fingerprint,
    )
    const list = await (await fetch(at(tell) + lookup(romeo.jid, 'index'))).text()
    assert.match(
      list,
      new RegExp(`^info:1:1\npub:${romeo.key.fingerprint}:19::\\d+::\nuid:Romeo <${romeo.jid}>:\\d+::\n$`),
    )
    assert.equal((await fetch(`${at(tell)}/.well-known/openpgpkey/policy`)).status, 200)
    assert.equal((await fetch(`${at(tell)}/.well-known/openpgpkey/localhost/policy`)).status, 200)
    assert.equal((await fetch(`${at(tell)}/.well-known/openpgpkey/elsewhere/policy`)).status, 404)
    assert.equal((await fetch(at(tell) + direct(romeo.jid), { method: 'HEAD' })).status, 200)
    assert.equal((await fetch(`${at(tell)}/pks/add`, { method: 'POST', body: 'keytext=x' })).status, 404)
    assert.equal((await fetch(at(tell) + lookup(romeo.jid, 'stats'))).status, 501)
    // The fingerprint alone does not lead to a number.
    assert.equal((await fetch(at(tell) + lookup(`0x${romeo.key.fingerprint}`))).status, 404)
    await publishes(romeo.client, false)
    assert.equal((await fetch(at(tell) + direct(romeo.jid))).status, 404)
  },
  { servers: 1, config: KONTALK },
)

story(
  'the operator says it too; with the account it is over',
  async (tell) => {
    const romeo = await phone(tell, 'romeo')
    const admin = tell.servers[0]?.running.admin
    await admin?.setKeyListed(romeo.jid, true)
    assert.equal(await admin?.isKeyListed(romeo.jid), true)
    assert.equal((await fetch(at(tell) + direct(romeo.jid))).status, 200)
    await admin?.setDisabled(romeo.jid, true)
    assert.equal((await fetch(at(tell) + direct(romeo.jid))).status, 404)
    await admin?.setDisabled(romeo.jid, false)
    await admin?.deleteAccount(romeo.jid)
    assert.equal((await fetch(at(tell) + direct(romeo.jid))).status, 404)
  },
  { servers: 1, config: KONTALK },
)

story(
  'no account, one that does not want it, and too many questions look the same',
  async (tell) => {
    const romeo = await phone(tell, 'romeo')
    const juliet = await phone(tell, 'juliet')
    await publishes(romeo.client, true)
    const nobody = `nobody@${tell.domain}` as BareJid
    for (const path of [direct, advanced, lookup, (jid: BareJid) => lookup(jid, 'index')])
      assert.equal(await seen(at(tell) + path(juliet.jid)), await seen(at(tell) + path(nobody)))
    const whole = await seen(at(tell) + direct(romeo.jid))
    assert.match(whole, /^\[200/)
    // Three are spent; what was asked for may be asked for again, nothing new.
    const other = `other@${tell.domain}` as BareJid
    assert.equal(await seen(at(tell) + direct(other)), await seen(at(tell) + direct(nobody)))
    assert.equal(await seen(at(tell) + direct(romeo.jid)), whole)
    assert.match(await metricsOf(tell), /fernruf_web_keys_lookups_total\{protocol="wkd",outcome="given"\} 2/)
    await publishes(juliet.client, true)
    assert.match(await seen(at(tell) + direct(juliet.jid)), /^\[200/, 'she was asked about before')
  },
  { servers: 1, config: { ...KONTALK, limits: { ...KONTALK.limits, lookup: { web_new_per_day: 3 } } } },
)
story(
  'over the budget one that is there looks like the rest',
  async (tell) => {
    const romeo = await phone(tell, 'romeo')
    await publishes(romeo.client, true)
    const nobody = `nobody@${tell.domain}` as BareJid
    const unknown = await seen(at(tell) + direct(nobody))
    assert.equal(await seen(at(tell) + direct(romeo.jid)), unknown)
    assert.equal(await seen(at(tell) + lookup(romeo.jid)), await seen(at(tell) + lookup(nobody)))
  },
  { servers: 1, config: { ...KONTALK, limits: { ...KONTALK.limits, lookup: { web_new_per_day: 1 } } } },
)
const metricsOf = async (tell: Story): Promise<string> =>
  await (await fetch(`http://127.0.0.1:${tell.servers[0]?.opsPort}/metrics`)).text()

const hkpSkip = gpgIsMissing()
if (hkpSkip !== false) skip('GnuPG finds a key by HKP', { skip: hkpSkip })
else
  story(
    'GnuPG finds a key by HKP, and our certification on it is good',
    async (tell) => {
      const romeo = await phone(tell, 'romeo')
      const gpg = await Gpg.open()
      try {
        const keyserver = `hkp://127.0.0.1:${tell.servers[0]?.httpPort}`
        // By itself it takes the key's own signatures only from a keyserver, since some of them took anybody's.
        const how = [
          ...['--auto-key-locate', 'clear,keyserver', '--keyserver', keyserver],
          ...['--keyserver-options', 'no-self-sigs-only,no-import-clean'],
        ]
        assert.equal((await gpg.locate(romeo.jid, ...how)).isFound, false)
        await publishes(romeo.client, true)
        const located = await gpg.locate(romeo.jid, ...how)
        assert.ok(located.isFound, located.said)
        assert.match(located.keys, new RegExp(`fpr:::::::::${romeo.key.fingerprint}:`))
        assert.match(located.keys, new RegExp(`uid:.*:Romeo <${romeo.jid}>:`))
        const [server] = (await tell.servers[0]?.running.admin.serverKeys()) ?? []
        const answer = write(await romeo.client.asks('get', `<pubkey xmlns='urn:xmpp:pubkey:2'/>`, tell.domain))
        const imported = await gpg.import(Buffer.from(/>([\w+/=]{100,})</.exec(answer)?.[1] ?? '', 'base64'))
        assert.match(imported, /imported: 1/, answer)
        const signatures = await gpg.signatures(romeo.key.fingerprint)
        assert.match(signatures, new RegExp(`^sig:!::.*${server?.fingerprint.slice(-16)}`, 'm'), signatures)
      } finally {
        await gpg.close()
      }
    },
    { servers: 1, config: KONTALK },
  )

/** GnuPG goes to no other port, and to no host whose name has no dot. */
const HTTPS = { host: '127.0.0.1', port: 443 }
const WKD_DOMAIN = 'wkd.example'
const isFree = await new Promise<boolean>((resolve) => {
  const server = createServer()
  server.once('error', () => resolve(false))
  server.listen(HTTPS, () => server.close(() => resolve(true)))
})
const wkdSkip = gpgIsMissing() || sandboxIsMissing() || (!isFree && 'port 443 cannot be had')
const folder = await mkdtemp(join(tmpdir(), 'fernruf-wkd-'))
after(() => rm(folder, { recursive: true, force: true }))
const files = { certificate: join(folder, 'tls.crt'), key: join(folder, 'tls.key') }
let certificate = ''
before(async () => {
  const made = await generate([{ name: 'commonName', value: WKD_DOMAIN }], {
    keyType: 'ec',
    curve: 'P-256',
    extensions: [
      {
        name: 'subjectAltName',
        altNames: ['localhost', WKD_DOMAIN, `openpgpkey.${WKD_DOMAIN}`].map((value) => ({ type: 2, value })),
      },
    ],
  })
  certificate = made.cert
  await writeFile(files.certificate, made.cert)
  await writeFile(files.key, made.private)
})

for (const [method, hosts] of [
  ['direct', `127.0.0.1 ${WKD_DOMAIN}\n`],
  ['advanced', `127.0.0.1 openpgpkey.${WKD_DOMAIN}\n`],
] as const)
  if (wkdSkip !== false) skip(`GnuPG finds a key in the Web Key Directory, ${method} method`, { skip: wkdSkip })
  else
    story(
      `GnuPG finds a key in the Web Key Directory, ${method} method`,
      async (tell) => {
        const jid = `${createHash('sha1').update(NUMBERS.romeo).digest('hex')}@${WKD_DOMAIN}`
        const key = await phoneKey(jid, { date: new Date(Date.now() - 86_400_000) })
        const settings = { port: tell.servers[0]?.directTlsPort ?? 0, domain: WKD_DOMAIN, directTls: true }
        await registersKey(tell, settings, NUMBERS.romeo, key)
        const gpg = await Gpg.open({ hosts, certificate })
        try {
          const how = ['--auto-key-locate', 'clear,wkd']
          assert.equal((await gpg.locate(jid, ...how)).isFound, false)
          await tell.servers[0]?.running.admin.setKeyListed(jid, true)
          const located = await gpg.locate(jid, ...how)
          assert.ok(located.isFound, located.said)
          assert.match(located.keys, new RegExp(`fpr:::::::::${key.fingerprint}:`))
          assert.equal(located.keys.match(/^uid:/gm)?.length, 1)
        } finally {
          await gpg.close()
        }
      },
      {
        servers: 1,
        config: {
          ...KONTALK,
          domain: undefined,
          domains: ['localhost', WKD_DOMAIN],
          tls: files,
          http: { ops: { listen: '127.0.0.1:0' }, public: { https: '127.0.0.1:443', url: `https://${WKD_DOMAIN}` } },
        },
      },
    )
