import { DecoySecrets } from '../../src/account/decoy-secrets.ts'
import { PASSWORD_DEFAULTS, Passwords } from '../../src/account/password.ts'
import type { Account, AccountStore, ScramSecrets } from '../../src/account/store.ts'
import type { SaslContext } from '../../src/stream/sasl-mechanism.ts'
import { type BareJid, bareJid, type Domain } from '../../src/xmpp/jid.ts'

export const EXAMPLE = 'example.org' as Domain
export const ITERATIONS = 16

export interface Credentials extends Pick<AccountStore, 'credential' | 'mechanisms'> {
  add(local: string, secrets: readonly ScramSecrets[], disabledAt?: number): void
}

/** Accounts in a map, behind the store's one method that SASL needs. */
export function credentialsInMemory(): Credentials {
  const accounts = new Map<BareJid, { account: Account; secrets: readonly ScramSecrets[] }>()
  return {
    add: (local, secrets, disabledAt) => {
      const jid = bareJid(local, EXAMPLE)
      const account: Account = {
        id: accounts.size + 1,
        jid,
        isNumber: false,
        createdAt: 0,
        disabledAt,
        delivery: undefined,
        epoch: 0,
        fingerprint: undefined,
      }
      accounts.set(jid, { account, secrets })
    },
    mechanisms: async (jid) => accounts.get(jid)?.secrets.map((s) => s.mechanism) ?? [],
    credential: async (jid, mechanism) => {
      const found = accounts.get(jid)
      const secrets = found?.secrets.find((s) => mechanism === 'any' || s.mechanism === mechanism)
      return found && { account: found.account, secrets }
    },
  }
}

/** A stream over TLS without client certificate; `over` changes what a test is about. */
export function saslContext(over: Partial<SaslContext> = {}): SaslContext {
  return {
    domain: EXAMPLE,
    secure: true,
    bindings: new Map([
      ['tls-exporter', () => Buffer.from('exported')],
      ['tls-server-end-point', () => Buffer.from('end point')],
    ]),
    certificate: undefined,
    hasBridge: false,
    isResumed: false,
    advertised: undefined,
    credentials: credentialsInMemory(),
    decoys: new DecoySecrets(Buffer.alloc(32, 7), ITERATIONS),
    passwords: new Passwords({ ...PASSWORD_DEFAULTS, iterations: ITERATIONS }),
    bridgeLogin: () => Promise.reject(new Error('not asked for')),
    ...over,
  }
}
