import type { TLSSocket } from 'node:tls'
import { hasBridgeExtension } from '../keys/bridge-certificate.ts'
import type { TlsFacts } from './parts.ts'
import type { BindingType } from './sasl-mechanism.ts'

/** What a finished handshake tells: the peer's certificate, and what binds a login to this very connection. */
export function tlsFactsOf(socket: TLSSocket, endPointHash: Buffer): TlsFacts {
  const peer = socket.getPeerCertificate()
  const certificate = peer === null || peer.raw === undefined ? undefined : new Uint8Array(peer.raw)
  const bindings = new Map<BindingType, () => Buffer>()
  // RFC 9266 §2: with TLS 1.2 only where the extended master secret is certain, which Node does not tell.
  if (socket.getProtocol() === 'TLSv1.3')
    bindings.set('tls-exporter', () => socket.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0)))
  bindings.set('tls-server-end-point', () => endPointHash)
  return {
    bindings,
    certificate,
    hasBridge: certificate !== undefined && hasBridgeExtension(certificate),
    isResumed: socket.isSessionReused(),
    unique: socket.getProtocol() === 'TLSv1.2' ? uniqueOf(socket) : undefined,
  }
}

/** RFC 5929 §3.1: the first Finished message of the handshake, the client's in a full one, ours in a resumed one. */
function uniqueOf(socket: TLSSocket): (() => Buffer) | undefined {
  const first = socket.isSessionReused() ? socket.getFinished() : socket.getPeerFinished()
  return first === undefined ? undefined : () => first
}
