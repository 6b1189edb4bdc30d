import { z } from 'zod'
import type { Domain } from '../xmpp/jid.ts'
import { limits } from './limits.ts'
import { account as accountAddress, address, domain, duration, network, type Secret, secret } from './units.ts'

/** What of a feature concerns its config section. */
export interface FeatureSection {
  readonly name: string
  readonly config: z.ZodType
}

const path = () => z.string('expected a path').min(1, 'expected a path')
const text = () => z.string('expected a text').min(1, 'expected a text that is not empty')
const url = (protocol: RegExp, expected: string) => z.url({ protocol, error: `expected ${expected}` })
/** An address without path, query or fragment: what is made of it holds no `&`, `<` or `>`. */
const origin = () =>
  url(/^https?$/, 'an https address')
    .refine((text) => URL.parse(text)?.origin === text.replace(/\/$/, ''), 'expected an address without a path')
    .transform((text) => new URL(text).origin)
const addresses = () =>
  z
    .union(
      [address().transform((one) => [one]), z.array(address())],
      "expected an address such as '[::]:5280', or a list",
    )
    .prefault([])
const secretUrl = (protocol: RegExp, expected: string) =>
  secret().refine((value) => {
    const parsed = URL.parse(value.reveal())
    return parsed !== null && protocol.test(parsed.protocol.slice(0, -1))
  }, `expected ${expected}`)
const country = () => z.string().regex(/^[A-Z]{2}$/, 'expected a country as two capital letters, such as DE')

/** Runs a rule even when other values are faulty, so that all faults are told at once; what it reads may be missing. */
const rule = (at: readonly string[], error: string) => ({ path: [...at], error, when: () => true })

const tls = z.strictObject({
  certificate: path().describe('PEM file with the certificate chain; read again when it changes.'),
  key: path().describe('PEM file with its private key. P-256 costs least.'),
})

const c2s = z
  .strictObject({
    starttls: z
      .array(address())
      .prefault(['[::]:5222', '[::]:5999'])
      .describe('Listeners that begin in clear (RFC 6120).'),
    direct_tls: z.array(address()).prefault(['[::]:5223']).describe('Listeners that begin with TLS (XEP-0368).'),
  })
  .prefault({})

const s2s = z.strictObject({
  listen: z.array(address()).prefault(['[::]:5269']),
  direct_tls: z.array(address()).prefault(['[::]:5270']),
})

const http = z
  .strictObject({
    public: z
      .strictObject({
        listen: addresses().describe('Listeners in clear, for a proxy that has the certificate.'),
        https: addresses().describe('Listeners with the certificate of tls.'),
        url: origin()
          .optional()
          .describe('How others reach it, without a path; in development absent: http://localhost and the port.'),
        proxy_protocol: z
          .boolean('expected true or false')
          .default(false)
          .describe('trusted_proxies begin each connection with a header of the PROXY protocol, version 1 or 2.'),
      })
      .refine(
        (p) => p?.listen?.length !== 0 || p.https?.length !== 0,
        rule(['listen'], 'expected an address to listen on, here or in https'),
      )
      .optional()
      .describe('Uploads, and keys for those who want them public; absent: none of it.'),
    ops: z
      .strictObject({ listen: address().prefault('127.0.0.1:9090') })
      .prefault({})
      .describe('/metrics, /livez and /readyz; no login, keep it inside.'),
    admin: z.strictObject({ listen: address() }).optional(),
  })
  .prefault({})

const database = z.strictObject({
  url: secretUrl(/^postgres(ql)?$/, 'an address such as postgres://user@host/database'),
  url_file: path().optional(),
})
const redis = z.strictObject({
  url: secretUrl(/^rediss?$/, 'an address such as redis://host:6379'),
  url_file: path().optional(),
})

const account = z
  .strictObject({
    registration: z
      .array(z.enum(['sms', 'invite', 'open'], 'expected sms, invite or open'))
      .default([])
      .describe('Ways to an account of one’s own; [] is closed.'),
    open_confirmed: z.boolean('expected true or false').default(false).describe('Allows open in production.'),
    countries: z.array(country()).min(1).optional().describe('Countries whose numbers may register; absent: all.'),
    takeover_active: duration()
      .prefault('7d')
      .describe('An account used within this time is not given away at once to whoever has its number.'),
    takeover_delay: duration().prefault('24h').describe('How long its devices may refuse to.'),
    lock_kept: duration()
      .prefault('30d')
      .describe('How long after its last use the registration lock of an account holds.'),
    inactive_after: duration()
      .optional()
      .describe('Accounts that nobody has used for so long are deleted; absent: none.'),
    inactive_except: z
      .array(accountAddress())
      .default([])
      .describe('Accounts that are not; nor are operators (features.commands).'),
  })
  .prefault({})

const signatureSecret = () =>
  secret()
    .refine((value) => Buffer.byteLength(value.reveal()) >= 16, 'expected at least 16 bytes')
    .optional()
    .describe('Signs reports of what became of messages; absent: none are taken. Needs http.public.')
const webhook = z.strictObject({
  provider: z.literal('webhook'),
  url: url(/^https?$/, 'an https address').describe('The gateway codes are handed to; see docs/registration.md.'),
  sender: text().describe('As whom the message comes, shown to the user.'),
  secret: secret()
    .refine((value) => Buffer.byteLength(value.reveal()) >= 16, 'expected at least 16 bytes')
    .describe('Signs what is sent.'),
  secret_file: path().optional(),
  signature_secret: signatureSecret(),
  signature_secret_file: path().optional(),
  timeout: duration().prefault('30s'),
  allow_plain_http: z.boolean('expected true or false').default(false).describe('Lets http go to another machine.'),
})
const vonage = z.strictObject({
  api_key: text(),
  api_secret: secret().refine((value) => value.reveal() !== '', 'expected a text that is not empty'),
  api_secret_file: path().optional(),
  signature_secret: signatureSecret(),
  signature_secret_file: path().optional(),
  timeout: duration().prefault('10s'),
  allow_plain_http: z.boolean('expected true or false').default(false).describe('Lets http go to another machine.'),
})
const vonageVerify = vonage.extend({
  provider: z.literal('vonage-verify'),
  brand: text().max(16, 'expected at most 16 characters').describe('Named in the message, and shown to the user.'),
  locale: z
    .string()
    .regex(/^[a-z]{2}-[a-z]{2}$/, 'expected a language such as en-us')
    .default('en-us')
    .describe('Language of message and call.'),
  voice: z.boolean('expected true or false').default(true).describe('A call follows when the message was of no use.'),
  api_url: url(/^https?$/, 'an https address').default('https://api.nexmo.com'),
  application_id: text().optional().describe('Application of the account; Vonage sends its callbacks to no other.'),
  private_key: secret().optional().describe('Of the application: RSA, PEM.'),
  private_key_file: path().optional(),
})
const vonageSms = vonage.extend({
  provider: z.literal('vonage-sms'),
  from: z
    .string()
    .regex(/^(?:\d{1,15}|[A-Za-z0-9 ]{1,11})$/, 'expected a number of digits, or up to 11 letters and digits')
    .describe('As whom the message comes, shown to the user.'),
  api_url: url(/^https?$/, 'an https address').default('https://rest.nexmo.com'),
})
const gateway = z.discriminatedUnion(
  'provider',
  [webhook, vonageVerify, vonageSms],
  'expected provider: webhook, vonage-verify or vonage-sms',
)
const fallbacks = z
  .array(gateway)
  .default([])
  .describe('Asked in this order when the provider does not take a message, and when the user asks for another way.')
const sms = z.discriminatedUnion(
  'provider',
  [
    z.strictObject({ provider: z.literal('console') }),
    webhook.extend({ fallbacks }),
    vonageVerify.extend({ fallbacks }),
    vonageSms.extend({ fallbacks }),
  ],
  'expected provider: console, webhook, vonage-verify or vonage-sms',
)

type Gateway = z.output<typeof gateway>
/** The section and its fallbacks; any of it may be missing or faulty. */
const gatewaysOf = (section: z.output<typeof sms> | undefined): readonly Partial<Gateway>[] =>
  section === undefined || section.provider === 'console'
    ? []
    : [section, ...(Array.isArray(section.fallbacks) ? section.fallbacks : [])]

const inbox = z
  .strictObject({
    delivery: z
      .enum(['first-come', 'exclusive', 'every-device'], 'expected first-come, exclusive or every-device')
      .default('first-come'),
    exclusive_timeout: duration().prefault('30s'),
    retention: duration().prefault('365d').describe('How long the archive keeps what was taken.'),
    open_for: duration().prefault('30d').describe('How long a message waits for a device to take it.'),
    encryption: z
      .strictObject({
        key_file: path().describe('The operator’s keys, one a line, newest first; fernruf inbox-key init makes it.'),
        enabled: z
          .boolean('expected true or false')
          .default(true)
          .describe('false: new messages are kept in clear, sealed ones stay readable.'),
      })
      .optional()
      .describe('Seals stored messages and private XML; absent: they are kept in clear.'),
  })
  .prefault({})

const uploads = z
  .strictObject({
    folder: path().optional().describe('Where files are; absent: uploads in data_dir. Several nodes share one.'),
    retention: duration().prefault('30d').describe('How long a file is kept.'),
  })
  .prefault({})

const log = z
  .strictObject({
    level: z
      .enum(['error', 'warn', 'info', 'debug', 'trace'], 'expected error, warn, info, debug or trace')
      .default('info'),
    format: z.enum(['json', 'pretty'], 'expected json or pretty').default('json'),
  })
  .prefault({})

const keys = z.strictObject({ server_key_file: path().optional() }).prefault({})

/** The sections of all features: absent for the defaults, false to switch off. */
const featuresOf = (features: readonly FeatureSection[]) =>
  z
    .strictObject(
      Object.fromEntries(
        features.map((f) => [
          f.name,
          z
            .literal(false)
            .or(f.config)
            .prefault({} as never),
        ]),
      ) as Record<string, z.ZodType<unknown>>,
    )
    .prefault({})

/** The schema of the whole file; every key has a default or is required. */
export function configSchema(features: readonly FeatureSection[]) {
  return z
    .strictObject({
      domain: domain().optional(),
      domains: z.array(domain()).min(1, 'expected at least one domain').optional(),
      environment: z.enum(['production', 'development'], 'expected production or development').default('production'),
      secret_file: path().optional().describe('The root secret, one a line, newest first; absent: made in data_dir.'),
      tls: tls.optional(),
      c2s,
      s2s: s2s.optional(),
      http,
      trusted_proxies: z
        .array(network())
        .default([])
        .describe('Whose word is taken for who is behind them (X-Forwarded-For, PROXY protocol).'),
      uploads,
      database: database.optional(),
      redis: redis.optional(),
      data_dir: path().default('/var/lib/fernruf'),
      workers: z
        .union(
          [z.literal('auto'), z.int().min(1, 'expected auto or a number of processes')],
          'expected auto or a number of processes',
        )
        .default(1),
      account,
      sms: sms.optional(),
      keys,
      inbox,
      limits,
      features: featuresOf(features),
      log,
    })
    .refine(
      (c) => c?.domain !== undefined || c?.domains !== undefined,
      rule(['domain'], 'expected the domain to serve'),
    )
    .refine(
      (c) => c?.domain === undefined || c.domains === undefined,
      rule(['domains'], 'expected domain or domains, not both'),
    )
    .refine(
      (c) => c?.environment !== 'production' || c.tls !== undefined,
      rule(['tls'], 'expected a certificate and key when environment is production'),
    )
    .refine(
      (c) => c?.environment !== 'production' || !c.http?.public || c.http.public.url?.startsWith?.('https:'),
      rule(['http', 'public', 'url'], 'expected an https address when environment is production'),
    )
    .refine(
      (c) =>
        c?.environment !== 'production' || !c.account?.registration?.includes?.('open') || c.account.open_confirmed,
      rule(['account', 'registration'], 'open lets anybody in: in production it needs open_confirmed: true as well'),
    )
    .refine(
      (c) => !c?.account?.registration?.includes?.('sms') || c.sms !== undefined,
      rule(['sms'], 'expected a provider, since account.registration has sms'),
    )
    .refine(
      (c) => c?.environment !== 'production' || c.sms?.provider !== 'console',
      rule(
        ['sms', 'provider'],
        'console prints codes on the log: in production expected webhook, vonage-verify or vonage-sms',
      ),
    )
    .refine(
      (c) => {
        if (c?.sms === undefined || !('fallbacks' in c.sms) || !Array.isArray(c.sms.fallbacks)) return true
        const names = [c.sms.provider, ...c.sms.fallbacks.map((f) => f?.provider)]
        return new Set(names).size === names.length
      },
      rule(['sms', 'fallbacks'], 'expected each provider once'),
    )
    .refine(
      (c) => c?.http?.public !== undefined || gatewaysOf(c?.sms).every((g) => g?.signature_secret === undefined),
      rule(['sms'], 'signature_secret: expected http.public as well, where reports come in'),
    )
    .refine(
      (c) =>
        gatewaysOf(c?.sms).every(
          (g) =>
            g?.provider !== 'vonage-verify' ||
            ((g.application_id === undefined) === (g.private_key === undefined) &&
              (g.signature_secret === undefined || g.application_id !== undefined)),
        ),
      rule(
        ['sms'],
        'vonage-verify: expected application_id and private_key together, and both with signature_secret, since Vonage sends callbacks only for what an application asks',
      ),
    )
    .transform(({ domain: one, domains: many, ...rest }) => {
      const [first, ...others] = new Set(many ?? (one === undefined ? [] : [one]))
      if (first === undefined) return z.NEVER
      const domains: readonly [Domain, ...Domain[]] = [first, ...others]
      return { ...rest, domains }
    })
}

/** The whole config, checked, defaulted and frozen. Durations are ms, sizes bytes; `domains` begins with the one that is shown. */
export type Config = Frozen<z.output<ReturnType<typeof configSchema>>>

type Frozen<T> = unknown extends T
  ? T
  : T extends string | number | boolean | undefined | Secret
    ? T
    : { readonly [K in keyof T]: Frozen<T[K]> }

/** Sections that say something to a part that does not exist yet, in the words of the file. */
export function unbuiltSections(config: Config): string[] {
  const { s2s, redis, workers, http, account } = config
  const found: (string | false)[] = [
    s2s !== undefined && 's2s',
    redis !== undefined && 'redis',
    workers !== 1 && 'workers',
    http.admin !== undefined && 'http.admin',
    account.registration.includes('invite') && 'account.registration invite',
  ]
  return found.filter((name) => name !== false)
}
