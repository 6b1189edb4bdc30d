/** What of a ClientHello (RFC 8446 §4.1.2) tells one TLS library from another. */
export interface ClientHello {
  readonly suites: readonly number[]
  /** Extension types in the order sent. */
  readonly extensions: readonly number[]
}

const RECORD_HEADER = 5
const HANDSHAKE = 22
const CLIENT_HELLO = 1
/** A ClientHello is spread over more records, or larger, only to be a nuisance. */
const MAX_RECORDS = 4
const MAX_BYTES = 32_768

/**
 * Reads the ClientHello at the start of a connection: how many bytes must be there before it is worth trying again, or undefined
 * when no ClientHello begins here.
 */
export function readClientHello(bytes: Buffer): ClientHello | number | undefined {
  const fragments: Buffer[] = []
  let at = 0
  let have = 0
  for (let records = 0; records < MAX_RECORDS; records++) {
    if (bytes.length < at + RECORD_HEADER) return at + RECORD_HEADER
    if (bytes[at] !== HANDSHAKE || bytes[at + 1] !== 3) return undefined
    const end = at + RECORD_HEADER + bytes.readUInt16BE(at + 3)
    if (end > MAX_BYTES) return undefined
    if (bytes.length < end) return end
    fragments.push(bytes.subarray(at + RECORD_HEADER, end))
    have += end - at - RECORD_HEADER
    at = end
    const message = fragments.length === 1 ? (fragments[0] as Buffer) : Buffer.concat(fragments, have)
    if (message.length < 4) continue
    if (message[0] !== CLIENT_HELLO) return undefined
    const length = message.readUIntBE(1, 3)
    if (length > MAX_BYTES) return undefined
    if (message.length >= 4 + length) return parse(message.subarray(4, 4 + length))
  }
  return undefined
}

function parse(body: Buffer): ClientHello | undefined {
  try {
    // Version and random; then session id, suites, compression methods, extensions, each behind its length.
    let at = 34
    at += 1 + body.readUInt8(at)
    const suitesEnd = at + 2 + body.readUInt16BE(at)
    const suites: number[] = []
    for (at += 2; at < suitesEnd; at += 2) suites.push(body.readUInt16BE(at))
    at += 1 + body.readUInt8(at)
    const extensions: number[] = []
    if (at === body.length) return { suites, extensions }
    const end = at + 2 + body.readUInt16BE(at)
    for (at += 2; at < end; at += 4 + body.readUInt16BE(at + 2)) extensions.push(body.readUInt16BE(at))
    return at === end && end === body.length ? { suites, extensions } : undefined
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}

const RENEGOTIATION_SCSV = 0x00ff
const EXTENSION = {
  groups: 10,
  pointFormats: 11,
  statusRequestV2: 17,
  certificateTimestamps: 18,
  encryptThenMac: 22,
  extendedMasterSecret: 23,
  recordSizeLimit: 28,
  delegatedCredentials: 34,
  signatureAlgorithmsCert: 50,
  renegotiation: 65_281,
} as const
type ExtensionName = keyof typeof EXTENSION

/** RFC 8701: values that are sent to be ignored, by Chrome's and Apple's libraries. */
const isGrease = (value: number): boolean => (value & 0x0f0f) === 0x0a0a && value >> 8 === (value & 0xff)
const has = (hello: ClientHello, name: ExtensionName): boolean => hello.extensions.includes(EXTENSION[name])

/** The TLS libraries that Kontalk's clients run on: OpenJDK's on desktops, Conscrypt (BoringSSL) on Android. */
export type JavaTls = 'jsse' | 'conscrypt'
type Shape = readonly [JavaTls, (hello: ClientHello) => boolean]

/**
 * Their shapes: whoever has one may show a certificate that OpenSSL stumbles over (kontalk-protocol a.4). What is no Java must
 * not be here, since it would pay for nothing.
 */
const SHAPES: readonly Shape[] = [
  // OpenJDK since 9: nobody else asks for status_request_v2 any more.
  ['jsse', (hello) => has(hello, 'statusRequestV2')],
  // OpenJDK since 11 where only TLS 1.3 is on; Go sends signature_algorithms_cert too, beside others.
  [
    'jsse',
    (hello) =>
      has(hello, 'signatureAlgorithmsCert') && !has(hello, 'certificateTimestamps') && !has(hello, 'renegotiation'),
  ],
  // OpenJDK 7 and 8: groups before point formats, and the signalling suite; OpenSSL and GnuTLS have them otherwise.
  [
    'jsse',
    (hello) => {
      const groups = hello.extensions.indexOf(EXTENSION.groups)
      const isOrdered = groups >= 0 && groups < hello.extensions.indexOf(EXTENSION.pointFormats)
      const isOther = has(hello, 'encryptThenMac') || has(hello, 'renegotiation')
      return isOrdered && hello.suites.includes(RENEGOTIATION_SCSV) && !isOther
    },
  ],
  // BoringSSL without GREASE. The extensions shut out are those of NSS, Go and GnuTLS.
  [
    'conscrypt',
    (hello) => {
      const asked: readonly ExtensionName[] = ['renegotiation', 'extendedMasterSecret', 'groups']
      const foreign: readonly ExtensionName[] = [
        'encryptThenMac',
        'certificateTimestamps',
        'recordSizeLimit',
        'delegatedCredentials',
      ]
      const isGreased = hello.suites.some(isGrease) || hello.extensions.some(isGrease)
      return asked.every((name) => has(hello, name)) && !foreign.some((name) => has(hello, name)) && !isGreased
    },
  ],
]

/** Which of Java's TLS libraries a ClientHello looks like, on a desktop or a phone. */
export const javaTlsOf = (hello: ClientHello): JavaTls | undefined => SHAPES.find(([, fits]) => fits(hello))?.[0]
