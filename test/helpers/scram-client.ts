import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'

const HASHES = {
  'SCRAM-SHA-1': ['sha1', 20],
  'SCRAM-SHA-256': ['sha256', 32],
  'SCRAM-SHA-512': ['sha512', 64],
} as const

/** The initiating side of SCRAM (RFC 5802), every part of it open to a test that wants to send something wrong. */
export class ScramClient {
  readonly #hash: (typeof HASHES)[keyof typeof HASHES]
  readonly #password: string
  readonly #gs2: string
  readonly #bare: string
  readonly #binding: Buffer
  #serverSignature = ''

  constructor(
    mechanism: keyof typeof HASHES,
    login: { username: string; password: string; nonce?: string; gs2?: string; binding?: Buffer },
  ) {
    this.#hash = HASHES[mechanism]
    this.#password = login.password
    this.#gs2 = login.gs2 ?? 'n,,'
    this.#bare = `n=${login.username},r=${login.nonce ?? 'fyko+d2lbbFgONRv9qkxdawL'}`
    this.#binding = login.binding ?? Buffer.alloc(0)
  }

  get first(): Buffer {
    return Buffer.from(this.#gs2 + this.#bare)
  }

  final(challenge: Buffer): Buffer {
    const [hash, bytes] = this.#hash
    const serverFirst = challenge.toString()
    const { r = '', s = '', i = '' } = fields(serverFirst)
    const salted = pbkdf2Sync(this.#password, Buffer.from(s, 'base64'), Number(i), bytes, hash)
    const clientKey = createHmac(hash, salted).update('Client Key').digest()
    const storedKey = createHash(hash).update(clientKey).digest()
    const cbind = Buffer.concat([Buffer.from(this.#gs2), this.#binding]).toString('base64')
    const withoutProof = `c=${cbind},r=${r}`
    const message = `${this.#bare},${serverFirst},${withoutProof}`
    const signature = createHmac(hash, storedKey).update(message).digest()
    const proof = clientKey.map((byte, at) => byte ^ (signature[at] ?? 0))
    const serverKey = createHmac(hash, salted).update('Server Key').digest()
    this.#serverSignature = createHmac(hash, serverKey).update(message).digest('base64')
    return Buffer.from(`${withoutProof},p=${Buffer.from(proof).toString('base64')}`)
  }

  /** True when the server has proven that it knows the secrets. */
  trusts(additional: Buffer | undefined): boolean {
    return additional?.toString() === `v=${this.#serverSignature}`
  }
}

/** The attributes of a SCRAM message by their letters. */
export function fields(message: string): Record<string, string> {
  return Object.fromEntries(message.split(',').map((part) => [part.slice(0, 1), part.slice(2)]))
}
