import { Resolver } from 'node:dns/promises'
import { createServer, isIP } from 'node:net'
import type { Config } from '../config/schema.ts'
import { type Address, formatAddress } from '../config/units.ts'
import { listenFault } from '../util/start-error.ts'
import { type Finding, fault, ok, reasonOf, warning } from './finding.ts'

/** Whether every address can be listened on; not asked while the server itself does. */
export async function checkPorts(config: Config): Promise<Finding[]> {
  const listeners: (readonly [string, Address])[] = [
    ...config.c2s.starttls.map((address) => ['c2s.starttls', address] as const),
    ...config.c2s.direct_tls.map((address) => ['c2s.direct_tls', address] as const),
    ...(config.http.public?.listen ?? []).map((address) => ['http.public.listen', address] as const),
    ...(config.http.public?.https ?? []).map((address) => ['http.public.https', address] as const),
    ['http.ops.listen', config.http.ops.listen],
  ]
  return await Promise.all(listeners.map(([key, address]) => checkPort(key, address)))
}

function checkPort(key: string, { host, port }: Address): Promise<Finding> {
  const name = formatAddress({ host, port })
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error) => resolve(fault(listenFault(key, name, error).message)))
    server.listen({ host, port }, () => server.close(() => resolve(ok(`${key}: ${name} is free`))))
  })
}

/** Whether clients find the server by its domain (RFC 6120 §3.2.1, XEP-0368). */
export async function checkDns(config: Config): Promise<Finding[]> {
  const resolver = new Resolver({ timeout: 2_000, tries: 2 })
  const public_ = config.domains.filter(
    (domain) => domain !== 'localhost' && !domain.endsWith('.localhost') && isIP(domain) === 0,
  )
  return (await Promise.all(public_.map((domain) => checkDomain(resolver, domain, config)))).flat()
}

async function checkDomain(resolver: Resolver, domain: string, config: Config): Promise<Finding[]> {
  const services = [
    {
      name: `_xmpp-client._tcp.${domain}`,
      ports: config.c2s.starttls.map((a) => a.port),
      without: `clients will try ${domain}:5222`,
    },
    {
      name: `_xmpps-client._tcp.${domain}`,
      ports: config.c2s.direct_tls.map((a) => a.port),
      without: 'clients will not find direct TLS',
    },
  ]
  return await Promise.all(
    services
      .filter((service) => service.ports.length > 0)
      .map(async ({ name, ports, without }) => {
        try {
          const records = await resolver.resolveSrv(name)
          const targets = records.map((record) => `${record.name}:${record.port}`).join(', ')
          return records.some((record) => ports.includes(record.port))
            ? ok(`dns: ${name} leads to ${targets}`)
            : warning(
                `dns: ${name} leads to ${targets}, but the server listens on ${ports.join(', ')}; right if something forwards`,
              )
        } catch (error) {
          const reason = reasonOf(error)
          const isAbsent = reason === 'ENOTFOUND' || reason === 'ENODATA'
          return warning(
            isAbsent
              ? `dns: there is no SRV record ${name}; ${without}`
              : `dns: ${name} cannot be asked for (${reason})`,
          )
        }
      }),
  )
}

/** The addresses of the SMS gateways; nothing is sent. */
export async function checkGateway(config: Config): Promise<Finding[]> {
  const { sms } = config
  if (sms === undefined) return []
  if (sms.provider === 'console') return [ok('sms: codes are printed by the server')]
  return await Promise.all([
    checkOne(sms, 'sms'),
    ...sms.fallbacks.map((fallback, i) => checkOne(fallback, `sms.fallbacks.${i}`)),
  ])
}

type Gateway = Extract<Config['sms'], { readonly fallbacks: unknown }>['fallbacks'][number]

async function checkOne(sms: Gateway, at: string): Promise<Finding> {
  const key = sms.provider === 'webhook' ? `${at}.url` : `${at}.api_url`
  const { protocol, hostname } = new URL(sms.provider === 'webhook' ? sms.url : sms.api_url)
  const host = hostname.replace(/^\[|\]$/g, '')
  const isHere = host === 'localhost' || host === '::1' || host.startsWith('127.')
  if (protocol === 'http:' && !isHere && !sms.allow_plain_http) {
    return fault(`${key}: numbers and codes must not travel in clear; expected https, or allow_plain_http: true`)
  }
  if (isHere || isIP(host) !== 0) return ok(`${at}: codes are handed to ${host}`)
  const resolver = new Resolver({ timeout: 2_000, tries: 2 })
  const found = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)])
  return found.some((answer) => answer.status === 'fulfilled')
    ? ok(`${at}: codes are handed to ${host}`)
    : warning(`${key}: ${host} has no address in the DNS`)
}
