import { join } from 'node:path'
import { Devices } from '../account/devices.ts'
import { Lookups } from '../account/lookups.ts'
import { BLOCKED_PREFIXES } from '../account/phone-number.ts'
import { Registration } from '../account/registration.ts'
import { Takeovers } from '../account/takeovers.ts'
import { Tokens } from '../account/tokens.ts'
import type { Verification } from '../account/verification.ts'
import type { Keys } from '../keys/directory.ts'
import { KeyTransfers } from '../keys/transfers.ts'
import { measured } from '../storage/measured.ts'
import { UploadFolder } from '../storage/upload-folder.ts'
import { Uploads } from '../uploads/uploads.ts'
import { StartError } from '../util/start-error.ts'
import type { Base } from './base.ts'
import type { Messaging } from './messaging.ts'
import { takeoverNotice, transferNotice } from './notices.ts'
import { verificationOf } from './verification.ts'

/** Answers of a provider that checks a code; everything else is a failure. */
const CHECKED: ReadonlySet<string> = new Set(['right', 'wrong', 'gone'])

/** What accounts are made, kept and found with. */
export interface Services {
  readonly verification: Verification
  readonly devices: Devices
  readonly tokens: Tokens
  readonly keyTransfers: KeyTransfers
  readonly lookups: Lookups
  readonly takeovers: Takeovers
  readonly registration: Registration
  /** Undefined where there is no public HTTP server. */
  readonly uploads: Uploads | undefined
}

/** @throws StartError */
export async function openServices(
  base: Base,
  keys: Keys,
  { line, registry }: Messaging,
  printCode: ((line: string) => void) | undefined,
): Promise<Services> {
  const { config, core, logs, metrics, time, isOn, teardown } = base
  const { limits } = config
  const { domains, root, stores } = core
  const verification = await openVerification(base, printCode)
  teardown.add(() => verification.close())
  const loginStore = measured(stores.logins, 'login', time)
  const audit = logs.part({ part: 'takeover' })
  const takeovers = new Takeovers({
    store: measured(stores.takeovers, 'takeover', time),
    accounts: stores.accounts,
    passwords: core.passwords,
    rules: {
      activeMs: config.account.takeover_active,
      delayMs: config.account.takeover_delay,
      lockKeptMs: config.account.lock_kept,
    },
    lockTries: limits.registration.lock_attempts,
    isConnected: async (jid) => (await registry.of(jid)).length > 0,
    tell: (jid, notice) => line.notify(takeoverNotice(jid, notice, isOn('takeover'))),
    audit: (jid, event) => {
      metrics.takeovers.inc({ event })
      audit.info({ account: logs.accountTag(jid), event }, 'takeover')
    },
  })
  return {
    verification,
    devices: new Devices({
      store: loginStore,
      key: root.derive('resources'),
      max: limits.login.devices,
      keptMs: limits.login.device_kept,
    }),
    tokens: new Tokens({
      store: loginStore,
      keys: root.deriveAll('fast'),
      lifetimeMs: limits.login.token_lifetime,
    }),
    keyTransfers: new KeyTransfers({
      store: measured(stores.keyTransfers, 'key_transfer', time),
      accounts: stores.accounts,
      keys,
      lifetimeMs: limits.login.transfer_lifetime,
      tries: limits.login.transfer_tries,
      tell: (jid, news) => line.notify(transferNotice(jid, news)),
    }),
    lookups: new Lookups({
      store: measured(stores.lookups, 'lookup', time),
      key: root.derive('lookups'),
      domains,
      newPerDay: limits.lookup.new_per_day,
      remoteNewPerDay: limits.lookup.remote_new_per_day,
      webNewPerDay: limits.lookup.web_new_per_day,
      keptMs: limits.lookup.kept,
    }),
    takeovers,
    registration: new Registration({
      modes: new Set(config.account.registration.filter((mode) => mode === 'sms' || mode === 'open')),
      phones: {
        countries: config.account.countries === undefined ? undefined : new Set(config.account.countries),
        blockedPrefixes: BLOCKED_PREFIXES,
        acceptUnassigned: config.environment === 'development',
      },
      accounts: core.accounts,
      verification,
      certifier: keys,
      takeovers,
    }),
    uploads: config.http.public === undefined ? undefined : await openUploads(base),
  }
}

function openVerification(
  { config, core, logs, metrics }: Base,
  printCode: ((line: string) => void) | undefined,
): Promise<Verification> {
  const log = logs.part({ part: 'sms' })
  return verificationOf(config, printCode, core.stores.database, core.root, {
    report: ({ provider, step, outcome, country }) => {
      const isSending = step === 'send'
      if (isSending) metrics.sms.inc({ provider, outcome, country })
      else metrics.smsChecks.inc({ provider, outcome })
      if (isSending ? outcome !== 'sent' : !CHECKED.has(outcome))
        log.warn({ provider, outcome }, isSending ? 'sms not sent' : 'sms code not checked')
    },
    refused: (budget) => metrics.registrationRefused.inc({ budget }),
    confirmed: (country) => metrics.smsConfirmed.inc({ country }),
    heard: (provider, status) => metrics.smsReports.inc({ provider, status }),
    circuit: (provider, state) => {
      metrics.smsCircuit.set({ provider }, state === 'closed' ? 0 : 1)
      if (state === 'open') log.warn({ provider }, 'sms provider not asked for a while')
    },
  })
}

/** @throws StartError when their folder cannot be had */
async function openUploads({ config, core: { root, stores }, time }: Base): Promise<Uploads> {
  const folder = config.uploads.folder ?? join(config.data_dir, 'uploads')
  const files = await UploadFolder.open(folder).catch((cause: unknown) => {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new StartError(`uploads.folder: ${folder} cannot be had: ${reason}`, { cause })
  })
  const { max_file, bytes_per_day, files_per_day, total, slot_lifetime } = config.limits.upload
  return new Uploads({
    store: measured(stores.uploads, 'upload', time),
    files,
    keys: root.deriveAll('upload'),
    limits: {
      maxFile: max_file,
      bytesPerDay: bytes_per_day,
      filesPerDay: files_per_day,
      total,
      slotMs: slot_lifetime,
      keptMs: config.uploads.retention,
    },
  })
}
