import type { Socket } from 'node:net'
import { type SecureContext, TLSSocket } from 'node:tls'
import { type JavaTls, javaTlsOf, readClientHello } from './client-hello.ts'
import { GatheringSocket } from './gather.ts'

/**
 * How long a client is silent in a TLS 1.3 handshake once its flight is over. Conscrypt sends it in one record. OpenJDK sends each
 * message in its own, so the last is known by its length, but a cold virtual machine takes its time before it signs.
 */
const QUIET_MS: Readonly<Record<JavaTls | 'unknown', number>> = { conscrypt: 80, jsse: 5_000, unknown: 250 }

/**
 * A DataView is the one form that Node copies into memory of its own: anything else becomes a small slice of the 64 KiB pool that
 * all buffers share, and each idle connection keeps such a pool from being freed.
 */
const ALPN_PROTOCOLS = new DataView(Uint8Array.of(11, ...Buffer.from('xmpp-client')).buffer)

const NOTED_ERROR = 'ERR_SSL_INVALID_CERTIFICATE'

/** Whether the records of a handshake were gathered, for the metric. */
export type HandshakeWay = 'gathered' | 'direct'

export interface SecureOptions {
  /** With tickets, for handshakes that are left alone. */
  readonly context: SecureContext
  /** Without tickets, for gathered ones, which may log in by their certificate. */
  readonly ticketless: SecureContext
  /** Gathers whatever the ClientHello looks like. */
  readonly always: boolean
  /** Bytes of the handshake that were read already. */
  readonly initial?: Buffer
  readonly onWay?: (way: HandshakeWay) => void
  /** Awaited before the handshake's own work, which takes about a millisecond and cannot be divided. */
  readonly turn?: () => Promise<void>
}

/**
 * Makes a TLS server of an accepted socket, from its ClientHello to the end of the handshake; asks for a certificate without
 * naming authorities and takes any. The caller limits the time, by destroying `raw`. Rejects when the handshake fails or the
 * socket closes before its end; `raw` is destroyed then.
 */
export async function secureServerSocket(raw: Socket, options: SecureOptions): Promise<TLSSocket> {
  try {
    return await handshake(raw, options)
  } catch (error) {
    raw.destroy()
    throw error
  }
}

async function handshake(raw: Socket, options: SecureOptions): Promise<TLSSocket> {
  raw.pause()
  if (options.initial !== undefined && options.initial.length > 0) raw.unshift(options.initial)
  const java = await javaTlsBehind(raw)
  await options.turn?.()
  const way = options.always || java !== undefined ? 'gathered' : 'direct'
  if (raw.destroyed) throw new Error('closed before the TLS handshake')
  options.onWay?.(way)
  const socket = new TLSSocket(way === 'gathered' ? new GatheringSocket(raw, QUIET_MS[java ?? 'unknown']) : raw, {
    isServer: true,
    secureContext: way === 'gathered' ? options.ticketless : options.context,
    requestCert: true,
    rejectUnauthorized: false,
    ALPNProtocols: ALPN_PROTOCOLS,
  })
  await new Promise<void>((resolve, reject) => {
    const failed = (error: Error): void => {
      socket.removeListener('close', closed)
      socket.destroy()
      reject(error)
    }
    const closed = (): void => reject(new Error('closed during the TLS handshake'))
    socket.once('error', failed)
    socket.once('close', closed)
    socket.once('secure', () => {
      // What comes in one piece with the end of the handshake may fail before the caller listens; 'close' tells of it too.
      socket.on('error', () => undefined)
      // Node tells only a tls.Server of errors after the handshake; without this the socket would stay, deaf, for ever. The error
      // that OpenSSL has noted about a Kontalk certificate comes this way, too, and means nothing.
      socket.on('_tlsError', (error: NodeJS.ErrnoException) => {
        if (error.code !== NOTED_ERROR) socket.destroy(error)
      })
      socket.removeListener('error', failed)
      socket.removeListener('close', closed)
      resolve()
    })
  })
  return socket
}

/** Looks at the ClientHello and puts it back. */
function javaTlsBehind(raw: Socket): Promise<JavaTls | undefined> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let have = 0
    let need = 1
    const finish = (settle: () => void): void => {
      raw.removeListener('data', onData)
      raw.removeListener('end', onEnd)
      raw.removeListener('close', onEnd)
      raw.removeListener('error', onError)
      settle()
    }
    const onEnd = (): void => finish(() => reject(new Error('closed before a ClientHello')))
    const onError = (error: Error): void => finish(() => reject(error))
    const onData = (chunk: Buffer): void => {
      chunks.push(chunk)
      have += chunk.length
      if (have < need) return
      const bytes = Buffer.concat(chunks)
      const hello = readClientHello(bytes)
      if (typeof hello === 'number') {
        need = hello
        return
      }
      finish(() => {
        raw.pause()
        raw.unshift(bytes)
        resolve(hello && javaTlsOf(hello))
      })
    }
    raw.on('data', onData)
    raw.on('end', onEnd)
    raw.on('close', onEnd)
    raw.on('error', onError)
    raw.resume()
  })
}
