import type { TLSSocket } from 'node:tls'
import { hasBridgeExtension } from '../keys/bridge-certificate.ts'
import type { TlsFacts } from './negotiate.ts'
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
  }
}
