import type { DeliveryStatus, ReportFault, SmsProvider } from '../account/sms-provider.ts'
import type { SmsReport } from '../account/sms-providers.ts'
import { Throttle } from '../account/throttle.ts'
import { Verification } from '../account/verification.ts'
import type { Config } from '../config/schema.ts'
import { reportPath } from '../http/sms-reports.ts'
import { Breaker } from '../sms/breaker.ts'
import { ConsoleSms } from '../sms/console.ts'
import { WebhookSms } from '../sms/webhook.ts'
import type { Database } from '../storage/sql.ts'
import { SqlVerificationStore } from '../storage/verification-store.ts'
import type { CircuitState } from '../util/circuit.ts'

/** What is told of providers, in names of closed sets only. */
export interface SmsWatch {
  report(report: Omit<SmsReport, 'cause'>): void
  /** The kind of a budget that was used up. */
  refused(budget: string): void
  confirmed(country: string): void
  /** What a delivery report said, or why it was none. */
  heard(provider: string, what: DeliveryStatus | ReportFault | 'replayed'): void
  /** Told once for each provider with a circuit at the start, and at each change. */
  circuit(provider: string, state: CircuitState): void
}

/** The verification of phone numbers as the config wants it. `printCode`: where codes go with the provider `console`. */
export async function verificationOf(
  config: Config,
  printCode: ((line: string) => void) | undefined,
  database: Database,
  root: { derive(purpose: string): Buffer },
  watch: SmsWatch,
): Promise<Verification> {
  const { registration } = config.limits
  return new Verification({
    store: new SqlVerificationStore(database),
    throttle: new Throttle(root.derive('registration budgets'), registration),
    providers: await providersOf(config, printCode, watch),
    key: root.derive('verification codes'),
    limits: { expiryMs: registration.code_lifetime, maxTries: registration.code_attempts },
    report: ({ cause: _, ...report }) => watch.report(report),
    refused: (budget) => watch.refused(budget),
    confirmed: (country) => watch.confirmed(country),
    heard: (provider, what) => watch.heard(provider, what),
  })
}

async function providersOf(
  { sms, environment, http }: Config,
  printCode: ((line: string) => void) | undefined,
  watch: SmsWatch,
): Promise<readonly [SmsProvider, ...SmsProvider[]]> {
  // Registration by number is closed then, so nobody ever asks.
  if (sms === undefined) return [{ name: 'none', sender: '', send: () => Promise.reject(new Error('no provider')) }]
  if (sms.provider === 'console')
    return [new ConsoleSms({ environment, ...(printCode === undefined ? {} : { print: printCode }) })]
  const guarded = async (gateway: Gateway): Promise<SmsProvider> => {
    const provider = await gatewayOf(gateway, http.public?.url)
    watch.circuit(provider.name, 'closed')
    // Where there is nobody else, whoever does not deliver everything is better than none.
    const undelivered = sms.fallbacks.length === 0 ? { undelivered: Number.POSITIVE_INFINITY } : {}
    return new Breaker(provider, { ...undelivered, onChanged: (state) => watch.circuit(provider.name, state) })
  }
  return [await guarded(sms), ...(await Promise.all(sms.fallbacks.map(guarded)))]
}

type Gateway = Extract<Config['sms'], { readonly fallbacks: unknown }>['fallbacks'][number]

/** The vendor's SDK takes 17 MiB, so it is loaded only where it is used. */
async function gatewayOf(sms: Gateway, publicUrl: string | undefined): Promise<SmsProvider> {
  const signed = sms.signature_secret === undefined ? {} : { signatureSecret: sms.signature_secret.reveal() }
  const common = { timeoutMs: sms.timeout, allowPlainHttp: sms.allow_plain_http, ...signed }
  if (sms.provider === 'webhook')
    return new WebhookSms({ url: sms.url, secret: sms.secret.reveal(), sender: sms.sender, ...common })
  const account = { apiKey: sms.api_key, apiSecret: sms.api_secret.reveal(), baseUrl: sms.api_url, ...common }
  if (sms.provider === 'vonage-sms') {
    const { VonageSms } = await import('../sms/vonage-sms.ts')
    const callback = publicUrl === undefined ? {} : { callback: publicUrl + reportPath(sms.provider) }
    return new VonageSms({ from: sms.from, ...callback, ...account })
  }
  const { VonageVerify } = await import('../sms/vonage-verify.ts')
  const { application_id: id, private_key: key } = sms
  const application = id === undefined || key === undefined ? {} : { application: { id, privateKey: key.reveal() } }
  return new VonageVerify({ brand: sms.brand, locale: sms.locale, voice: sms.voice, ...application, ...account })
}
