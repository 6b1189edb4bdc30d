import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { after, describe } from 'node:test'
import { inspect } from 'node:util'
import { z } from 'zod'
import { ConfigError } from '../../../src/config/faults.ts'
import { loadConfig } from '../../../src/config/load.ts'
import { type Config, type FeatureSection, unbuiltSections } from '../../../src/config/schema.ts'
import push from '../../../src/features/x-push.ts'

const folder = mkdtempSync(join(tmpdir(), 'fernruf-config-'))
after(() => rmSync(folder, { recursive: true }))

const FEATURES = [
  { name: 'ping', config: z.strictObject({}).prefault({}) },
  { name: 'archive', config: z.strictObject({ page: z.int().default(50) }).prefault({}) },
]
const MINIMAL = 'domain: example.org\nenvironment: development\n'

function load(text: string, env: Record<string, string> = {}, features: readonly FeatureSection[] = FEATURES): Config {
  const file = join(folder, 'config.yaml')
  writeFileSync(file, text)
  return loadConfig(file, env, features)
}
/** The lines of what is wrong, without the folder. */
function faults(text: string, env: Record<string, string> = {}, features?: readonly FeatureSection[]): string[] {
  try {
    load(text, env, features)
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    return error.lines.map((line) => line.replaceAll(`${folder}/`, ''))
  }
  return []
}

describe('defaults', () => {
  test('a domain is all that development needs', () => {
    const config = load(MINIMAL)
    assert.deepEqual(config.domains, ['example.org'])
    assert.equal(config.limits.stanza.max_bytes, 262_144)
    assert.deepEqual(config.limits.login.failures_per_address, { count: 60, perMs: 60_000 })
    assert.deepEqual(config.c2s.direct_tls, [{ host: '::', port: 5223 }])
    assert.deepEqual(config.features, { ping: {}, archive: { page: 50 } })
    assert.deepEqual(unbuiltSections(config), [])
  })
  test('is frozen to the bottom', () => {
    const config = load(MINIMAL)
    assert.ok(Object.isFrozen(config.limits.stanza))
    assert.ok(Object.isFrozen(config.c2s.starttls))
  })
  test('a section with nothing in it is its defaults', () => {
    assert.equal(load(`${MINIMAL}limits:\n  stanza:\n`).limits.stanza.max_depth, 64)
  })
  test('a feature is switched off by false', () => {
    assert.equal(load(`${MINIMAL}features: { archive: false }\n`).features.archive, false)
  })
  test('sections nobody has built yet are named', () => {
    const text = `${MINIMAL}s2s: {}\nworkers: auto\nredis: { url: 'redis://r' }\n`
    assert.deepEqual(unbuiltSections(load(text)), ['s2s', 'redis', 'workers'])
  })
})

describe('faults', () => {
  test('all at once, each with line, path and what was expected', () => {
    const text = `domain: example.org
prot: 1
environment: development
c2s:
  starttls: ['[::]:5222', 'nowhere']
limits:
  stanza: { max_bytes: 3KiB, max_depth: 0 }
features: { ping: true, nothing: {}, archive: { page: x } }
`
    assert.deepEqual(faults(text).sort(), [
      'config.yaml:2: prot: there is no such key',
      "config.yaml:5: c2s.starttls.1: expected an address with port such as '[::]:5222' or '127.0.0.1:5222'",
      'config.yaml:7: limits.stanza.max_bytes: expected at least 10000B (RFC 6120 section 13.12)',
      'config.yaml:7: limits.stanza.max_depth: expected at least 1',
      'config.yaml:8: features.archive.page: expected a number',
      'config.yaml:8: features.nothing: there is no such key',
      'config.yaml:8: features.ping: expected false or a section',
    ])
  })
  test('rules between sections are told beside other faults', () => {
    const text = 'domain: example.org\naccount: { registration: [sms, open], countries: [de] }\n'
    const found = faults(text)
    assert.equal(found.length, 4, found.join('\n'))
    for (const path of ['tls', 'sms', 'account.registration', 'account.countries.0']) {
      assert.ok(
        found.some((line) => line.includes(` ${path}: `)),
        path,
      )
    }
  })
  test('the console provider is refused in production', () => {
    const text = 'domain: a.org\ntls: { certificate: a, key: b }\nsms: { provider: console }\n'
    assert.deepEqual(faults(text), [
      'config.yaml:3: sms.provider: console prints codes on the log: in production expected webhook, vonage-verify or vonage-sms',
    ])
  })
  test('no domain at all, and both forms of it', () => {
    assert.match(faults('environment: development\n').join(), /domain: expected the domain to serve/)
    assert.match(faults(`${MINIMAL}domains: [a.org]\n`).join(), /expected domain or domains, not both/)
  })
  test('what is no YAML, twice the same key, no sections, no file', () => {
    assert.match(faults('domain: [\n').join(), /^config.yaml:\d+: /)
    assert.match(faults('domain: a\ndomain: b\n').join(), /^config.yaml:2: Map keys must be unique/)
    assert.match(faults('- a\n').join(), /expected sections/)
    assert.throws(() => loadConfig(join(folder, 'none'), {}, []), /cannot be read \(ENOENT\)/)
  })
  test('__proto__ is an unknown key like any other', () => {
    assert.match(faults(`${MINIMAL}c2s: { __proto__: 1 }\n`).join(), /c2s.__proto__: there is no such key/)
    assert.match(faults(MINIMAL, { FERNRUF_C2S____PROTO__: '1' }).join(), /there is no such key/)
  })
})

describe('environment', () => {
  test('lays values over the file: texts, lists, numbers, sections that are not in it', () => {
    const config = load(MINIMAL, {
      FERNRUF_DOMAIN: 'example.net',
      FERNRUF_HTTP__OPS__LISTEN: '127.0.0.1:1',
      FERNRUF_C2S__STARTTLS: "['127.0.0.1:2']",
      FERNRUF_LIMITS__ROSTER__MAX_ITEMS: '7',
    })
    assert.deepEqual(config.domains, ['example.net'])
    assert.equal(config.http.ops.listen.port, 1)
    assert.deepEqual(config.c2s.starttls, [{ host: '127.0.0.1', port: 2 }])
    assert.equal(config.limits.roster.max_items, 7)
  })
  test('digits are a text where one is expected', () => {
    const env = { FERNRUF_SMS__PROVIDER: 'webhook', FERNRUF_SMS__URL: 'https://g', FERNRUF_SMS__SENDER: '4711' }
    const { sms } = load(MINIMAL, { ...env, FERNRUF_SMS__SECRET: '1234567890123456' })
    assert.ok(sms?.provider === 'webhook')
    assert.equal(sms.sender, '4711')
    assert.equal(sms.secret.reveal(), '1234567890123456')
  })
  test('so may the secret of push, whose times ascend', (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'fernruf-push-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const file = join(folder, 'secret')
    writeFileSync(file, 'sixteen bytes or more\n')
    const section = (more: string): string =>
      `${MINIMAL}features: { push: { webhook: { url: 'https://push.example.org/', secret_file: '${file}' }, ${more} } }\n`
    const { webhook, delay } = load(section(''), {}, [push]).features.push as {
      readonly webhook: { readonly secret: { reveal(): string } }
      readonly delay: number
    }
    assert.deepEqual([webhook.secret.reveal(), delay], ['sixteen bytes or more', 2_000])
    assert.match(faults(section('silence: 1s'), {}, [push]).join(), /features\.push.*in ascending order/)
    writeFileSync(file, 'short')
    assert.match(faults(section(''), {}, [push]).join(), /features\.push.*at least 16 bytes/)
  })
  test('secrets of fallbacks may stand in files, and each provider stands once', (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'fernruf-fallbacks-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const file = join(folder, 'secret')
    writeFileSync(file, 'of-the-account\n')
    const key = `api_key: k, api_secret_file: '${file}'`
    const chain = (...fallbacks: string[]): string =>
      `${MINIMAL}sms:\n  provider: vonage-verify\n  brand: Example\n  api_key: k\n  api_secret: s\n  fallbacks:\n${fallbacks.map((f) => `    - { ${f} }\n`).join('')}`
    const { sms } = load(chain(`provider: vonage-sms, from: Example, ${key}`))
    assert.ok(sms?.provider === 'vonage-verify')
    const [fallback] = sms.fallbacks
    assert.ok(fallback?.provider === 'vonage-sms')
    assert.equal(fallback.api_secret.reveal(), 'of-the-account')
    assert.deepEqual(
      [sms.voice, sms.locale, sms.timeout, fallback.api_url],
      [true, 'en-us', 10_000, 'https://rest.nexmo.com'],
    )
    assert.deepEqual(faults(chain(`provider: vonage-verify, brand: Other, ${key}`)), [
      'config.yaml:9: sms.fallbacks: expected each provider once',
    ])
    assert.deepEqual(faults(chain('provider: vonage-sms, from: Example, api_key: k, api_secret_file: /nowhere')), [
      'config.yaml:9: sms.fallbacks.0.api_secret_file: /nowhere cannot be read (ENOENT)',
    ])
    assert.match(faults(chain('provider: console')).join(), /expected provider: webhook, vonage-verify or vonage-sms/)
    const web = 'http: { public: { listen: "[::]:80", url: https://example.org } }\n'
    const signed = `signature_secret_file: '${file}'`
    writeFileSync(file, 'sixteen bytes or more\n')
    const reporting = load(web + chain(`provider: vonage-sms, from: Example, ${key}, ${signed}`)).sms
    assert.ok(reporting?.provider === 'vonage-verify' && reporting.fallbacks[0]?.provider === 'vonage-sms')
    assert.equal(reporting.fallbacks[0].signature_secret?.reveal(), 'sixteen bytes or more')
    assert.match(
      faults(chain(`provider: vonage-sms, from: Example, ${key}, ${signed}`)).join(),
      /sms: signature_secret: expected http\.public/,
    )
    const verify = (more: string): string =>
      `${MINIMAL}${web}sms: { provider: vonage-verify, brand: Example, ${key}, ${more} }\n`
    load(verify(`${signed}, application_id: a, private_key_file: '${file}'`))
    for (const more of [signed, 'application_id: a', `private_key_file: '${file}'`, `${signed}, application_id: a`])
      assert.match(faults(verify(more)).join(), /application_id and private_key together/, more)
    assert.match(
      faults(`${MINIMAL}${web}sms: { provider: vonage-sms, from: E, ${key}, signature_secret: short }\n`).join(),
      /signature_secret: expected at least 16 bytes/,
    )
    const long = 'b'.repeat(17)
    assert.match(
      faults(`${MINIMAL}sms: { provider: vonage-verify, brand: ${long}, ${key} }\n`).join(),
      /at most 16 characters/,
    )
    for (const from of ['0123456789012345', 'twelve chars', 'ümlaut'])
      assert.match(
        faults(`${MINIMAL}sms: { provider: vonage-sms, from: '${from}', ${key} }\n`).join(),
        /sms\.from/,
        from,
      )
  })
  test('names the variable in a fault, and leaves what Kubernetes sets alone', () => {
    const env = { FERNRUF_PORT: 'tcp://10.0.0.1:5222', FERNRUF_LOG__LEVEL: 'loud', FERNRUF_C2S__ZORT: '1' }
    assert.deepEqual(faults(MINIMAL, env).sort(), [
      'FERNRUF_C2S__ZORT: c2s.zort: there is no such key',
      'FERNRUF_LOG__LEVEL: log.level: expected error, warn, info, debug or trace',
    ])
  })
})

describe('secrets', () => {
  const password = 'kept-in-a-file-0123456789'
  const file = join(folder, 'secret')
  writeFileSync(file, `postgres://u:${password}@db/fernruf\n`)

  test('come from a file of their own and never show themselves', () => {
    const config = load(`${MINIMAL}database: { url_file: '${file}' }\n`)
    assert.equal(config.database?.url.reveal(), `postgres://u:${password}@db/fernruf`)
    const shown = [inspect(config, { depth: 9 }), JSON.stringify(config), `${config.database?.url}`].join()
    assert.doesNotMatch(shown, new RegExp(password))
    assert.match(shown, /\[secret\]/)
  })
  test('a file that is not there, or that stands beside the secret', () => {
    assert.deepEqual(faults(`${MINIMAL}database: { url_file: /nowhere }\n`), [
      'config.yaml:3: database.url_file: /nowhere cannot be read (ENOENT)',
    ])
    const both = `${MINIMAL}database: { url: 'postgres://db/x', url_file: '${file}' }\n`
    assert.match(faults(both).join(), /expected url or url_file, not both/)
  })
  test('do not show themselves in faults', () => {
    const found = faults(`${MINIMAL}database: { url: 'mysql://u:${password}@db' }\n`).join()
    assert.match(found, /expected an address such as postgres/)
    assert.doesNotMatch(found, new RegExp(password))
  })
})
