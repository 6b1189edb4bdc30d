import type { SmsProvider } from './account/sms-provider.ts'
import { Throttle } from './account/throttle.ts'
import { Verification } from './account/verification.ts'
import type { Config } from './config/schema.ts'
import { ConsoleSms } from './sms/console.ts'
import { WebhookSms } from './sms/webhook.ts'
import type { Database } from './storage/sql.ts'
import { SqlVerificationStore } from './storage/verification-store.ts'

/** The verification of phone numbers as the config wants it. `printCode`: where codes go with the provider `console`. */
export function verificationOf(
  config: Config,
  printCode: ((line: string) => void) | undefined,
  database: Database,
  root: { derive(purpose: string): Buffer },
  report: (report: { readonly provider: string; readonly outcome: string }) => void,
): Verification {
  const { registration } = config.limits
  return new Verification({
    store: new SqlVerificationStore(database),
    throttle: new Throttle(root.derive('registration budgets'), registration),
    provider: providerOf(config, printCode),
    key: root.derive('verification codes'),
    limits: { expiryMs: registration.code_lifetime, maxTries: registration.code_attempts },
    report,
  })
}
function providerOf(config: Config, printCode: ((line: string) => void) | undefined): SmsProvider {
  const { sms, environment } = config
  if (sms?.provider === 'console')
    return new ConsoleSms({ environment, ...(printCode === undefined ? {} : { print: printCode }) })
  if (sms?.provider === 'webhook')
    return new WebhookSms({
      url: sms.url,
      secret: sms.secret.reveal(),
      sender: sms.sender,
      timeoutMs: sms.timeout,
      allowPlainHttp: sms.allow_plain_http,
    })
  // Registration by number is closed then, so nobody ever asks.
  return { name: 'none', sender: '', send: () => Promise.reject(new Error('no provider')) }
}
