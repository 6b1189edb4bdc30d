import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { generate } from 'selfsigned'
import { checkClock, checkFolder, checkNode } from '../../../src/cli/check.ts'
import { checkGateway, checkPorts } from '../../../src/cli/check-net.ts'
import { checkTls } from '../../../src/cli/check-tls.ts'
import type { Finding } from '../../../src/cli/finding.ts'
import { loadConfig } from '../../../src/config/load.ts'
import type { Config } from '../../../src/config/schema.ts'

const DAY_MS = 86_400_000

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'fernruf-check-'))
  t.after(() => rmSync(path, { recursive: true }))
  return path
}
function configOf(t: TestContext, text: string): Config {
  const file = join(folder(t), 'config.yaml')
  writeFileSync(file, `domain: example.org\nenvironment: development\n${text}`)
  return loadConfig(file, {}, [])
}
const told = (findings: readonly Finding[], verdict: Finding['verdict']): string =>
  findings
    .filter((finding) => finding.verdict === verdict)
    .map((finding) => finding.text)
    .join('\n')

async function certificate(t: TestContext, domain: string, kind: 'ec' | 'rsa', days: number) {
  const now = Date.now()
  const pair = await generate([{ name: 'commonName', value: domain }], {
    keyType: kind,
    ...(kind === 'ec' ? { curve: 'P-256' } : { keySize: 2048 }),
    notBeforeDate: new Date(now - DAY_MS),
    notAfterDate: new Date(now + days * DAY_MS),
    extensions: [{ name: 'subjectAltName', altNames: [{ type: 2, value: domain }] }],
  })
  const path = folder(t)
  writeFileSync(join(path, 'crt'), pair.cert)
  writeFileSync(join(path, 'key'), pair.private, { mode: 0o600 })
  return { crt: join(path, 'crt'), key: join(path, 'key') }
}
const withTls = (t: TestContext, crt: string, key: string): Config =>
  configOf(t, `tls: { certificate: '${crt}', key: '${key}' }\n`)

test('a P-256 certificate for the domain is right', async (t) => {
  const { crt, key } = await certificate(t, 'example.org', 'ec', 90)
  const findings = checkTls(withTls(t, crt, key), Date.now())
  assert.equal(told(findings, 'fault') + told(findings, 'warning'), '')
  assert.equal(findings.length, 4)
})

test('a certificate of another domain, nearly over, of a dear kind, with another key', async (t) => {
  const one = await certificate(t, 'example.net', 'rsa', 3)
  const other = await certificate(t, 'example.net', 'ec', 3)
  const findings = checkTls(withTls(t, one.crt, other.key), Date.now())
  assert.match(told(findings, 'fault'), /is not the key of tls.certificate/)
  assert.match(told(findings, 'fault'), /is not for example.org, but for DNS:example.net/)
  assert.match(told(findings, 'warning'), /expires on/)
  assert.match(told(findings, 'warning'), /RSA costs more/)
  const late = checkTls(withTls(t, other.crt, other.key), Date.now() + 4 * DAY_MS)
  assert.match(told(late, 'fault'), /expired on/)
  const early = checkTls(withTls(t, other.crt, other.key), Date.now() - 2 * DAY_MS)
  assert.match(told(early, 'fault'), /is good only from/)
})

test('files that are not there or hold something else', async (t) => {
  const { crt, key } = await certificate(t, 'example.org', 'ec', 90)
  assert.match(told(checkTls(withTls(t, '/nowhere', key), 0), 'fault'), /\/nowhere cannot be read \(ENOENT\)/)
  assert.match(told(checkTls(withTls(t, key, key), 0), 'fault'), /holds no certificate/)
  assert.match(told(checkTls(withTls(t, crt, crt), Date.now()), 'fault'), /tls.key: .* cannot be read/)
})

test('a taken port', async (t) => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  const text = `c2s: { starttls: ['127.0.0.1:${address.port}'], direct_tls: [] }\nhttp: { ops: { listen: '127.0.0.1:0' } }\n`
  assert.equal(
    told(await checkPorts(configOf(t, text)), 'fault'),
    `c2s.starttls: 127.0.0.1:${address.port} is taken by another program`,
  )
})

test('a data folder that is a file, open to all, or to be made', (t) => {
  const path = folder(t)
  writeFileSync(join(path, 'file'), '')
  mkdirSync(join(path, 'open'), { mode: 0o755 })
  assert.match(told(checkFolder(join(path, 'file', 'data')), 'fault'), /cannot be written|ENOTDIR/)
  assert.match(told(checkFolder(join(path, 'open')), 'warning'), /open to everybody/)
  assert.equal(told(checkFolder(join(path, 'new', 'er')), 'fault'), '')
})

test('the Node of production, the clock, the gateway', async (t) => {
  const verdict = (version: string) => checkNode({ environment: 'production' }, version)[0]?.verdict
  assert.deepEqual(['24.21.0', '24.22.0', '24.22.1', '24.23.0', '26.12.1'].map(verdict), [
    'warning',
    'warning',
    'ok',
    'ok',
    'ok',
  ])
  assert.equal(checkNode({ environment: 'development' }, '24.0.0')[0]?.verdict, 'ok')
  assert.equal(checkClock(0)[0]?.verdict, 'fault')
  const webhook = (url: string): Config =>
    configOf(t, `sms: { provider: webhook, sender: A, secret: '0123456789abcdef', url: '${url}' }\n`)
  assert.match(told(await checkGateway(webhook('http://192.0.2.1/sms')), 'fault'), /must not travel in clear/)
  assert.equal(told(await checkGateway(webhook('http://127.0.0.1/sms')), 'fault'), '')
  assert.equal(told(await checkGateway(webhook('https://192.0.2.1/sms')), 'ok'), 'sms: codes are handed to 192.0.2.1')
  const vonage = `provider: vonage-sms, from: A, api_key: k, api_secret: s, api_url: 'http://192.0.2.2'`
  const chain = configOf(
    t,
    `sms: { provider: webhook, sender: A, secret: '0123456789abcdef', url: 'https://192.0.2.1/', fallbacks: [{ ${vonage} }] }\n`,
  )
  assert.equal(told(await checkGateway(chain), 'ok'), 'sms: codes are handed to 192.0.2.1')
  assert.match(
    told(await checkGateway(chain), 'fault'),
    /^sms\.fallbacks\.0\.api_url: numbers and codes must not travel/,
  )
})
