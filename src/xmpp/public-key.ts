import { type Element, el } from './element.ts'
import { NS_PUBKEY } from './ns.ts'
import type { Presence } from './stanza.ts'

/** An OpenPGP key as Kontalk's apps are told of it (kontalk-protocol f). */
export interface PublishedKey {
  /** 40 upper-case hex. */
  readonly fingerprint: string
  /** Transferable public key, binary. */
  readonly ring: Uint8Array
}

/** The answer to who asked for the key. */
export const keyAnswer = ({ ring }: Pick<PublishedKey, 'ring'>): Element => el('pubkey', NS_PUBKEY, {}, base64(ring))
/** In presence: who has another key asks for this one. */
export const keyNotice = (fingerprint: string): Element => el('pubkey', NS_PUBKEY, {}, print(fingerprint))
/** The presence with nothing said of keys but this, whatever its sender said. */
export function withNotice(presence: Presence, fingerprint: string | undefined): Presence {
  const bare = presence.without(NS_PUBKEY)
  return fingerprint === undefined ? bare : bare.adding(keyNotice(fingerprint))
}
/** In a request for subscription. */
export const publishedKey = ({ fingerprint, ring }: PublishedKey): Element =>
  el('pubkey', NS_PUBKEY, {}, el('key', NS_PUBKEY, {}, base64(ring)), print(fingerprint))

const print = (fingerprint: string): Element => el('print', NS_PUBKEY, {}, fingerprint)
const base64 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
