import type { DecoySecrets } from '../account/decoy-secrets.ts'
import type { LoginState } from '../account/login-store.ts'
import type { Passwords } from '../account/password.ts'
import type { AccountStore } from '../account/store.ts'
import { type BareJid, bareJid, type Domain, parseJid, prepareLocal } from '../xmpp/jid.ts'
import { SaslError } from '../xmpp/sasl-error.ts'

/** Channel-binding types this server knows. `tls-unique` is never offered: it is broken before and undefined in TLS 1.3. */
export type BindingType = 'tls-exporter' | 'tls-server-end-point'
/** The stream's own channel bindings; a type that is absent cannot be used on this connection. */
export type ChannelBindings = ReadonlyMap<BindingType, () => Buffer>

/** All that a mechanism may know of the stream and the server. */
export interface SaslContext {
  readonly domain: Domain
  readonly secure: boolean
  /** Empty without TLS, and where TLS ends in front of the server. */
  readonly bindings: ChannelBindings
  /** What the peer showed in TLS, DER; possession is proven by TLS, nothing else is. */
  readonly certificate: Uint8Array | undefined
  /** The certificate holds an OpenPGP bridge extension (see `hasBridgeExtension`). */
  readonly hasBridge: boolean
  /** The TLS session was resumed: the peer has not proven possession of the certificate's key on this connection. */
  readonly isResumed: boolean
  /** What SCRAM tells of the offer, so that a client notices when it was changed on its way (see `advertisedBy`). */
  readonly advertised: string | undefined
  readonly credentials: Pick<AccountStore, 'credential' | 'mechanisms'>
  readonly decoys: DecoySecrets
  readonly passwords: Passwords
  /** Checks a bridge certificate: `Keys.login`. @throws KeyError */
  readonly bridgeLogin: (
    certificate: Uint8Array,
    domain: Domain,
  ) => Promise<{ readonly jid: BareJid; readonly account: LoginState }>
}

/** What one message of the initiating entity led to. */
export type SaslStep =
  | { readonly kind: 'challenge'; readonly challenge: Buffer }
  | {
      readonly kind: 'success'
      readonly jid: BareJid
      /** As it was when its credentials were read: later they may be others, or another account of this address. */
      readonly account: LoginState
      readonly additional: Buffer | undefined
    }

/** One attempt of one mechanism (RFC 4422 §3). After a success or a throw it must not be used again. */
export interface Mechanism {
  /** @param initial undefined: the peer sent no initial response. @throws SaslError */
  begin(initial: Buffer | undefined): SaslStep | Promise<SaslStep>
  /** @throws SaslError */
  step(response: Buffer): SaslStep | Promise<SaslStep>
}

/** Longest payload of a SASL element, in base64 characters; every mechanism fits in easily. */
const MAX_PAYLOAD = 8192

/** Decodes base64 in its one canonical spelling: no white space, right padding, no stray bits. */
export function decodeBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text ? bytes : undefined
}

/** The character data of a <response/>: `=` and nothing at all are both empty. @throws SaslError */
export function decodeResponse(text: string): Buffer {
  if (text.length > MAX_PAYLOAD) throw new SaslError('malformed-request', 'too long')
  if (text === '=') return Buffer.alloc(0)
  const bytes = decodeBase64(text)
  if (bytes === undefined) throw new SaslError('incorrect-encoding')
  return bytes
}

/** The character data of an <auth/>: nothing is no initial response, `=` an empty one (RFC 6120 §6.4.2). @throws SaslError */
export const decodeInitial = (text: string): Buffer | undefined => (text === '' ? undefined : decodeResponse(text))

/** The character data of a <challenge/> or <success/>. */
export const encodePayload = (bytes: Buffer): string => (bytes.length === 0 ? '=' : bytes.toString('base64'))

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
/** @throws SaslError */
export function decodeText(bytes: Buffer): string {
  try {
    return utf8.decode(bytes)
  } catch (cause) {
    throw new SaslError('malformed-request', 'not UTF-8', { cause })
  }
}

/** The account that an authentication identity names here. @throws SaslError */
export function accountNamed(username: string, domain: Domain): BareJid {
  const local = prepareLocal(username)
  if (local === undefined || local === '') throw new SaslError('not-authorized')
  return bareJid(local, domain)
}

/** Nobody acts as somebody else: an authorization identity is empty or the account itself (RFC 6120 §6.3.8). @throws SaslError */
export function checkAuthzid(authzid: string, jid: BareJid): void {
  if (authzid !== '' && parseJid(authzid) !== jid) throw new SaslError('invalid-authzid')
}
