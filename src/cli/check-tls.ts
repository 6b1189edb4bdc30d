import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import type { Config } from '../config/schema.ts'
import { type Finding, fault, ok, reasonOf, warning } from './finding.ts'

const DAY_MS = 86_400_000
const SOON_MS = 14 * DAY_MS

/** The certificate and its key: readable, a pair, for our domains, in time, of a good kind. */
export function checkTls(config: Config, now: number): Finding[] {
  if (config.tls === undefined)
    return [warning('tls: none given, so a self-signed certificate is made; clients will complain')]
  const { certificate, key } = config.tls
  const chain = readChain(certificate)
  if ('verdict' in chain) return [chain]
  const [leaf, ...issuers] = chain
  if (leaf === undefined) return [fault(`tls.certificate: ${certificate} holds no certificate`)]
  return [
    ...checkKey(leaf, key),
    ...config.domains.map((domain) => checkName(leaf, domain)),
    checkTime(leaf, now),
    checkKind(leaf),
    ...(issuers.length === 0 && leaf.issuer !== leaf.subject
      ? [warning(`tls.certificate: ${certificate} holds the certificate alone; most clients need its issuer’s as well`)]
      : []),
  ]
}

function readChain(file: string): readonly X509Certificate[] | Finding {
  try {
    const blocks = readFileSync(file, 'utf8').match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g)
    return (blocks ?? []).map((block) => new X509Certificate(block))
  } catch (error) {
    return fault(`tls.certificate: ${file} cannot be read (${reasonOf(error)})`)
  }
}

function checkKey(leaf: X509Certificate, file: string): Finding[] {
  try {
    const isOpen = (statSync(file).mode & 0o044) !== 0
    const key = createPrivateKey(readFileSync(file))
    return [
      leaf.checkPrivateKey(key)
        ? ok('tls: certificate and key belong together')
        : fault(`tls.key: ${file} is not the key of tls.certificate`),
      ...(isOpen ? [warning(`tls.key: ${file} can be read by others; chmod 640 or less`)] : []),
    ]
  } catch (error) {
    return [fault(`tls.key: ${file} cannot be read (${reasonOf(error)})`)]
  }
}

function checkName(leaf: X509Certificate, domain: string): Finding {
  const name = leaf.checkHost(domain, { subject: 'never', partialWildcards: false })
  if (name !== undefined) return ok(`tls: the certificate is for ${domain}`)
  return fault(`tls.certificate: is not for ${domain}, but for ${leaf.subjectAltName ?? 'no name at all'}`)
}

function checkTime(leaf: X509Certificate, now: number): Finding {
  const until = leaf.validToDate.getTime()
  const day = leaf.validToDate.toISOString().slice(0, 10)
  if (leaf.validFromDate.getTime() > now) {
    return fault(`tls.certificate: is good only from ${leaf.validFromDate.toISOString()} on`)
  }
  if (until <= now) return fault(`tls.certificate: expired on ${day}`)
  if (until - now < SOON_MS) return warning(`tls.certificate: expires on ${day}`)
  return ok(`tls: the certificate is good until ${day}`)
}

function checkKind(leaf: X509Certificate): Finding {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = leaf.publicKey
  const bits = details?.modulusLength ?? 0
  if (type === 'rsa' && bits < 2048) return fault(`tls.certificate: RSA of ${bits} bits is too short; take P-256`)
  if (type === 'rsa') return warning(`tls.certificate: RSA costs more CPU at each login than P-256 (ECDSA) does`)
  return ok(`tls: the key is ${details?.namedCurve ?? type}`)
}
