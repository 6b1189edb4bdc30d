import { isIPv4, isIPv6, type Socket } from 'node:net'

/** HAProxy's PROXY protocol, versions 1 and 2: a header before everything else says whose connection it is. */
const SIGNATURE_2 = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')
const BEGIN_1 = Buffer.from('PROXY ')
/** Of version 1, with its line end. */
const MAX_LINE = 107
const HEAD_2 = 16
/** What of addresses and additions a header of version 2 may have. */
const MAX_REST_2 = 4_096

export interface ProxyHeader {
  /** Of the header itself. */
  readonly bytes: number
  /** Undefined: the proxy speaks for itself (a check of its own), or does not know. */
  readonly source: string | undefined
}

/** `more`: it has not come to its end; `bad`: it is none. */
export function parseProxyHeader(bytes: Buffer): ProxyHeader | 'more' | 'bad' {
  if (begins(bytes, SIGNATURE_2)) return bytes.length < HEAD_2 ? 'more' : parse2(bytes)
  if (begins(bytes, BEGIN_1)) return parse1(bytes)
  return 'bad'
}
/** As far as there are bytes. */
const begins = (bytes: Buffer, head: Buffer): boolean => {
  const common = Math.min(bytes.length, head.length)
  return bytes.subarray(0, common).equals(head.subarray(0, common))
}

function parse1(bytes: Buffer): ProxyHeader | 'more' | 'bad' {
  const end = bytes.subarray(0, MAX_LINE).indexOf('\r\n')
  if (end < 0) return bytes.length < MAX_LINE ? 'more' : 'bad'
  const [, family, source = '', target = '', ...ports] = bytes.toString('latin1', 0, end).split(' ')
  if (family === 'UNKNOWN') return { bytes: end + 2, source: undefined }
  const isOf = family === 'TCP4' ? isIPv4 : family === 'TCP6' ? isIPv6 : () => false
  const isWhole = isOf(source) && isOf(target) && ports.length === 2 && ports.every(isPort)
  return isWhole ? { bytes: end + 2, source } : 'bad'
}
const isPort = (text: string): boolean => /^\d{1,5}$/.test(text) && Number(text) <= 65_535

function parse2(bytes: Buffer): ProxyHeader | 'more' | 'bad' {
  const [versionAndCommand = 0, family = 0] = bytes.subarray(12, 14)
  const rest = bytes.readUInt16BE(14)
  if (versionAndCommand >> 4 !== 2 || rest > MAX_REST_2) return 'bad'
  const total = HEAD_2 + rest
  if (bytes.length < total) return 'more'
  const command = versionAndCommand & 0x0f
  if (command === 0) return { bytes: total, source: undefined }
  if (command !== 1) return 'bad'
  if (family === 0x11 && rest >= 12) return { bytes: total, source: bytes.subarray(16, 20).join('.') }
  if (family === 0x21 && rest >= 36) {
    const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(16 + 2 * i).toString(16))
    return { bytes: total, source: groups.join(':') }
  }
  // Unspecified, or a Unix socket: there is no address to be had. Datagrams make no connection.
  return family === 0 || family >> 4 === 3 ? { bytes: total, source: undefined } : 'bad'
}

/**
 * Takes the header off a connection that must begin with one; what follows stays in the socket.
 * @returns the source, undefined where it names none. Rejects, with the socket destroyed, when none comes within `withinMs`.
 */
export function readProxyHeader(socket: Socket, withinMs: number): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    let seen: Buffer = Buffer.alloc(0)
    const settle = (): void => {
      clearTimeout(timer)
      socket.off('readable', read)
      socket.off('end', lost)
      socket.off('close', lost)
    }
    const fail = (why: string): void => {
      settle()
      socket.destroy()
      reject(new Error(`PROXY header: ${why}`))
    }
    const lost = (): void => fail('closed before its end')
    const timer = setTimeout(() => fail('did not come in time'), withinMs)
    const read = (): void => {
      const chunk = socket.read() as Buffer | null
      if (chunk === null) return
      seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk])
      const header = parseProxyHeader(seen)
      if (header === 'more') return
      if (header === 'bad') {
        fail('is none')
        return
      }
      settle()
      if (seen.length > header.bytes) socket.unshift(seen.subarray(header.bytes))
      resolve(header.source)
    }
    socket.on('readable', read)
    socket.on('end', lost)
    socket.on('close', lost)
    read()
  })
}
