import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { digestOf } from '../account/password.ts'
import type { Account, ScramMechanism, ScramSecrets } from '../account/store.ts'
import type { BareJid } from '../xmpp/jid.ts'
import { BindingError, SaslError } from '../xmpp/sasl-error.ts'
import {
  accountNamed,
  type BindingType,
  checkAuthzid,
  decodeBase64,
  decodeText,
  type Mechanism,
  type SaslContext,
  type SaslStep,
} from './sasl-mechanism.ts'

/** Bits of our part of the nonce: 8 per byte. */
const NONCE_BYTES = 24
/** Bytes of one SCRAM message; a localpart has at most 1,023 (RFC 7622 §3.3), each perhaps written in three. */
const MAX_MESSAGE = 6144
const MAX_NONCE = 512

interface ClientFirst {
  /** The GS2 header as the client wrote it, and the channel binding that belongs to it. */
  readonly boundTo: Buffer
  readonly bare: string
  readonly jid: BareJid
  readonly nonce: string
}
interface Exchange {
  readonly jid: BareJid
  readonly account: Account | undefined
  readonly secrets: ScramSecrets
  /** Whether `secrets` are the account's, and not made up. */
  readonly real: boolean
  readonly boundTo: string
  readonly nonce: string
  /** client-first-message-bare "," server-first-message. */
  readonly soFar: string
}

const malformed = (text: string): SaslError => new SaslError('malformed-request', text)

/** SCRAM (RFC 5802, RFC 7677), with channel binding in its -PLUS form. Unknown accounts fail only at the proof. */
export class Scram implements Mechanism {
  readonly #mechanism: ScramMechanism
  readonly #plus: boolean
  /** Whether a -PLUS mechanism was among those offered. */
  readonly #plusOffered: boolean
  readonly #context: SaslContext
  #exchange: Exchange | undefined

  constructor(mechanism: ScramMechanism, plus: boolean, plusOffered: boolean, context: SaslContext) {
    this.#mechanism = mechanism
    this.#plus = plus
    this.#plusOffered = plusOffered
    this.#context = context
  }

  begin(initial: Buffer | undefined): SaslStep | Promise<SaslStep> {
    return initial === undefined ? { kind: 'challenge', challenge: Buffer.alloc(0) } : this.step(initial)
  }

  step(response: Buffer): SaslStep | Promise<SaslStep> {
    if (response.length > MAX_MESSAGE) throw malformed('too long')
    const text = decodeText(response)
    return this.#exchange === undefined ? this.#first(this.#readFirst(text)) : finish(this.#exchange, text)
  }

  async #first(first: ClientFirst): Promise<SaslStep> {
    const { credentials, decoys, advertised } = this.#context
    const found = await credentials.credential(first.jid, this.#mechanism)
    const secrets = found?.secrets ?? decoys.of(first.jid, this.#mechanism)
    const nonce = first.nonce + randomBytes(NONCE_BYTES).toString('base64')
    const { name } = digestOf(this.#mechanism)
    const offer = advertised === undefined ? '' : `,h=${createHash(name).update(advertised).digest('base64')}`
    const reply = `r=${nonce},s=${Buffer.from(secrets.salt).toString('base64')},i=${secrets.iterations}${offer}`
    this.#exchange = {
      jid: first.jid,
      account: found?.account,
      secrets,
      real: found?.secrets !== undefined,
      boundTo: first.boundTo.toString('base64'),
      nonce,
      soFar: `${first.bare},${reply}`,
    }
    return { kind: 'challenge', challenge: Buffer.from(reply) }
  }

  /** RFC 5802 §7: client-first-message = gs2-header client-first-message-bare. */
  #readFirst(text: string): ClientFirst {
    const flagEnd = text.indexOf(',')
    const authzidEnd = text.indexOf(',', flagEnd + 1)
    if (flagEnd < 0 || authzidEnd < 0) throw malformed('no GS2 header')
    const binding = this.#bindingFor(text.slice(0, flagEnd))
    const authzid = text.slice(flagEnd + 1, authzidEnd)
    if (authzid !== '' && !authzid.startsWith('a=')) throw malformed('bad authzid')
    const bare = text.slice(authzidEnd + 1)
    const [name, nonce] = bare.split(',', 2)
    // «m=» is reserved for mandatory extensions: "its presence … MUST cause authentication failure" (RFC 5802 §5.1).
    if (name?.startsWith('m=')) throw malformed('unknown extension')
    if (!name?.startsWith('n=') || !nonce?.startsWith('r=')) throw malformed('no name or nonce')
    if (!isNonce(nonce.slice(2))) throw malformed('bad nonce')
    const jid = accountNamed(unescapeName(name.slice(2)), this.#context.domain)
    if (authzid !== '') checkAuthzid(unescapeName(authzid.slice(2)), jid)
    return {
      boundTo: Buffer.concat([Buffer.from(text.slice(0, authzidEnd + 1)), binding]),
      bare,
      jid,
      nonce: nonce.slice(2),
    }
  }

  /** Checks gs2-cbind-flag against what was chosen and offered (RFC 5802 §6); the binding's bytes, empty for none. */
  #bindingFor(flag: string): Buffer {
    if (flag.startsWith('p=')) {
      if (!this.#plus) throw malformed('channel binding needs the -PLUS mechanism')
      const bytes = this.#context.bindings.get(flag.slice(2) as BindingType)
      if (bytes === undefined) throw new BindingError('unsupported channel binding')
      return bytes()
    }
    if (flag !== 'n' && flag !== 'y') throw malformed('bad channel binding flag')
    if (this.#plus) throw malformed('the -PLUS mechanism needs a channel binding')
    // "y": the client would have bound but saw no -PLUS mechanism; if there were some, somebody has cut them out.
    if (flag === 'y' && this.#plusOffered) throw new BindingError('channel binding was offered')
    return Buffer.alloc(0)
  }
}

/** Checks client-final-message and proves ourselves. */
function finish(exchange: Exchange, text: string): SaslStep {
  const proofAt = text.lastIndexOf(',p=')
  if (proofAt < 0) throw malformed('no proof')
  const withoutProof = text.slice(0, proofAt)
  const [binding, nonce] = withoutProof.split(',', 2)
  if (!binding?.startsWith('c=') || !nonce?.startsWith('r=')) throw malformed('no binding or nonce')
  const { name, bytes } = digestOf(exchange.secrets.mechanism)
  const proof = decodeBase64(text.slice(proofAt + 3))
  if (proof?.length !== bytes) throw malformed('bad proof')
  if (nonce.slice(2) !== exchange.nonce) throw new SaslError('not-authorized', 'wrong nonce')
  const isBound = binding.slice(2) === exchange.boundTo

  const message = `${exchange.soFar},${withoutProof}`
  const clientKey = createHmac(name, exchange.secrets.storedKey).update(message).digest()
  for (let i = 0; i < bytes; i++) clientKey[i] = (clientKey[i] as number) ^ (proof[i] as number)
  const storedKey = createHash(name).update(clientKey).digest()
  const isProven = timingSafeEqual(storedKey, exchange.secrets.storedKey)
  if (!isProven || !exchange.real || !exchange.account || !isBound) throw new SaslError('not-authorized')
  if (exchange.account.disabledAt !== undefined) throw new SaslError('account-disabled')
  const signature = createHmac(name, exchange.secrets.serverKey).update(message).digest('base64')
  return { kind: 'success', jid: exchange.jid, account: exchange.account, additional: Buffer.from(`v=${signature}`) }
}

/** RFC 5802 §7: printable ASCII without the comma. */
function isNonce(text: string): boolean {
  return text.length <= MAX_NONCE && /^[\x21-\x2b\x2d-\x7e]+$/.test(text)
}

/** saslname (RFC 5802 §5.1): `=2C` and `=3D` stand for comma and equals; any other `=` is an error, and so is NUL. */
function unescapeName(text: string): string {
  if (text === '' || text.includes('\0') || /=(?!2C|3D)/.test(text)) throw malformed('bad name')
  return text.replaceAll('=2C', ',').replaceAll('=3D', '=')
}
