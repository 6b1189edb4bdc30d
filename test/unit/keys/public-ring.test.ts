import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { config, generateKey, readKey, SignaturePacket } from 'openpgp'
import { KeyError, type KeyFault } from '../../../src/keys/key-error.ts'
import { POLICIES } from '../../../src/keys/openpgp.ts'
import { PACKET, type RawPacket, splitPackets, writePacket } from '../../../src/keys/packets.ts'
import { PublicRing } from '../../../src/keys/public-ring.ts'
import type { Domain } from '../../../src/xmpp/jid.ts'
import { type PhoneKey, phoneKey } from '../../helpers/bridge-certificate.ts'

const DOMAIN = 'example.org' as Domain
const NOW = Date.UTC(2026, 5, 1)
const DAY = 86_400_000
const JUDGE = { servers: [], policy: POLICIES.modern }
const read = (bytes: Uint8Array): Promise<PublicRing> => PublicRing.read(bytes, JUDGE)

const is =
  (fault: KeyFault) =>
  (error: unknown): boolean =>
    error instanceof KeyError && error.fault === fault
const refused = (bytes: Uint8Array, fault: KeyFault): Promise<void> => assert.rejects(read(bytes), is(fault))

let phone: PhoneKey
let other: PhoneKey
let packets: readonly RawPacket[]
before(async () => {
  const date = new Date(NOW - 30 * DAY)
  phone = await phoneKey('romeo@example.org', { date })
  other = await phoneKey('juliet@example.org', { date })
  packets = splitPackets(phone.ring, 100)
})
const block = (...of: readonly RawPacket[]): Buffer => Buffer.concat(of.map(writePacket))
const at = (list: readonly RawPacket[], tag: number): number => list.findIndex((packet) => packet.tag === tag)

test('a sound key comes out as it went in', async () => {
  const ring = await read(phone.ring)
  ring.checkTime(NOW)
  assert.equal(ring.accountName(DOMAIN, NOW), 'romeo@example.org')
  assert.equal(ring.fingerprint, phone.fingerprint)
  const again = await readKey({ binaryKey: ring.bytes })
  assert.equal(again.getFingerprint(), phone.key.getFingerprint())
  assert.equal(again.subkeys.length, 2)
  assert.deepEqual((await read(ring.bytes)).bytes, ring.bytes)
})

describe('what is no public key', () => {
  test('nothing', () => refused(Buffer.alloc(0), 'malformed'))
  test('text', () => refused(Buffer.from(phone.key.toPublic().armor()), 'malformed'))
  test('a secret key', () => refused(phone.key.write(), 'malformed'))
  test('two keys', () => refused(Buffer.concat([phone.ring, other.ring]), 'malformed'))
  test('cut', () => refused(phone.ring.subarray(0, -1), 'malformed'))
  test('too large', () => refused(Buffer.alloc(65_537), 'too-large'))
  test('too many packets', () =>
    refused(Buffer.concat(Array.from({ length: 513 }, () => Buffer.of(0xb0, 0))), 'too-large'))
  test('another version', () => {
    const body = Buffer.from(packets[0]?.body ?? [])
    body[0] = 3
    return refused(block({ tag: PACKET.publicKey, body }, ...packets.slice(1)), 'malformed')
  })
})

describe('who has signed what', () => {
  test('a user ID glued on', () => {
    const body = Buffer.from('Juliet <juliet@example.org>')
    return refused(block(...packets.slice(0, 3), { tag: PACKET.userId, body }, ...packets.slice(3)), 'bad-signature')
  })
  test("another key's user ID with its certification", () => {
    const foreign = splitPackets(other.ring, 100).slice(1, 3)
    return refused(block(...packets.slice(0, 3), ...foreign, ...packets.slice(3)), 'bad-signature')
  })
  test("another key's subkey with its binding", () => {
    const theirs = splitPackets(other.ring, 100)
    return refused(block(...packets, ...theirs.slice(at(theirs, PACKET.publicSubkey))), 'bad-signature')
  })
  test('a changed user ID', () => {
    const changed = packets.map((packet) =>
      packet.tag === PACKET.userId ? { ...packet, body: Buffer.from('Romeo <tybalt@example.org>') } : packet,
    )
    return refused(block(...changed), 'bad-signature')
  })
  test('a certification by somebody else is dropped', async () => {
    const signed = await phone.key.toPublic().signAllUsers([other.key], new Date(NOW))
    assert.ok(signed.write().length > phone.ring.length)
    assert.deepEqual((await read(signed.write())).bytes, (await read(phone.ring)).bytes)
  })
  test('a user attribute is dropped', async () => {
    const attribute = Buffer.from([0xc0 | PACKET.attribute, 4, 3, 1, 0, 0])
    const ring = await read(Buffer.concat([block(...packets.slice(0, 3)), attribute, block(...packets.slice(3))]))
    assert.deepEqual(ring.bytes, (await read(phone.ring)).bytes)
  })
  test('a signature flood is not verified', () => {
    const signature = packets[2] as RawPacket
    return refused(
      block(...packets.slice(0, 2), ...Array<RawPacket>(97).fill(signature), ...packets.slice(2)),
      'too-large',
    )
  })
})

describe('time', () => {
  const made = async (options: Parameters<typeof phoneKey>[1]): Promise<PublicRing> =>
    read((await phoneKey('romeo@example.org', options)).ring)
  test('made in the future', async () => {
    const ring = await made({ date: new Date(NOW + DAY) })
    assert.throws(() => ring.checkTime(NOW), is('future'))
  })
  test('a clock a little ahead', async () => {
    const ring = await made({ date: new Date(NOW + 60_000) })
    assert.doesNotThrow(() => ring.checkTime(NOW))
  })
  test('expired', async () => {
    const ring = await made({ date: new Date(NOW - 2 * DAY), lifetime: 86_400 })
    assert.throws(() => ring.checkTime(NOW), is('expired'))
    assert.doesNotThrow(() => ring.checkTime(NOW - 1.5 * DAY))
  })
  test('revoked, and a ring without the revocation does not undo it', async () => {
    const unrevoked = await read(phone.ring)
    const ring = await read((await phone.key.revoke({}, new Date(NOW))).toPublic().write())
    assert.throws(() => ring.checkTime(NOW), is('revoked'))
    assert.throws(() => ring.merged(unrevoked).checkTime(NOW), is('revoked'))
    assert.throws(() => unrevoked.merged(ring).checkTime(NOW), is('revoked'))
  })
})

describe('the name of the account', () => {
  const named = async (userId: { name?: string; email: string; comment?: string }): Promise<string> => {
    const { privateKey } = await generateKey({
      type: 'ecc',
      curve: 'ed25519Legacy',
      userIDs: [userId],
      subkeys: [],
      date: new Date(NOW - DAY),
      format: 'object',
    })
    return (await read(privateKey.toPublic().write())).accountName(DOMAIN, NOW)
  }
  test('with name and comment', async () => {
    assert.equal(await named({ name: 'R', comment: 'x', email: 'romeo@example.org' }), 'romeo@example.org')
  })
  test('of another domain', () => assert.rejects(named({ email: 'romeo@example.net' }), is('no-account-name')))
  test('of a subdomain', () => assert.rejects(named({ email: 'romeo@x.example.org' }), is('no-account-name')))
  test('two pairs of brackets', () =>
    assert.rejects(named({ name: '<juliet@example.org>', email: 'romeo@example.org' }), is('no-account-name')))
  test('NUL in the name', () =>
    assert.rejects(named({ name: 'Juliet\0', email: 'romeo@example.org' }), is('no-account-name')))
  test('several accounts', async () => {
    const { privateKey } = await generateKey({
      type: 'ecc',
      curve: 'ed25519Legacy',
      userIDs: [
        { name: 'R', email: 'romeo@example.org' },
        { name: 'R', email: 'juliet@example.org' },
      ],
      subkeys: [],
      date: new Date(NOW - DAY),
      format: 'object',
    })
    const ring = await read(privateKey.toPublic().write())
    assert.throws(() => ring.accountName(DOMAIN, NOW), is('no-account-name'))
  })
  test('a revoked user ID names nobody', async () => {
    const [user] = phone.key.users
    assert.ok(user)
    const revokedUser = await user.revoke(phone.key.keyPacket as never, {}, new Date(NOW - DAY))
    const signature = revokedUser.revocationSignatures[0]
    assert.ok(signature instanceof SignaturePacket)
    const list = [...packets.slice(0, 3), { tag: PACKET.signature, body: signature.write() }, ...packets.slice(3)]
    const ring = await read(block(...list))
    assert.throws(() => ring.accountName(DOMAIN, NOW), is('no-account-name'))
  })
})

describe('algorithms', () => {
  const generate = async (options: object): Promise<Uint8Array> => {
    const { publicKey }: { publicKey: unknown } = await generateKey({
      userIDs: [{ email: 'romeo@example.org' }],
      date: new Date(NOW - DAY),
      format: 'binary',
      config: { minRSABits: 1024, rejectCurves: new Set() },
      ...options,
    } as Parameters<typeof generateKey>[0] & { format: 'binary' })
    return publicKey as Uint8Array
  }
  test('RSA of 1,024 bits', async () => refused(await generate({ type: 'rsa', rsaBits: 1024 }), 'weak'))
  test('RSA keys that are slow to verify with: a long modulus, a long exponent', async () => {
    const mpi = (bytes: number): Buffer => {
      const value = Buffer.alloc(2 + bytes, 0xff)
      value.writeUInt16BE(bytes * 8)
      return value
    }
    const rsa = (modulus: number, exponent: number): Buffer => {
      const body = Buffer.concat([
        packets[0]?.body.subarray(0, 5) ?? Buffer.alloc(0),
        Buffer.of(1),
        mpi(modulus),
        mpi(exponent),
      ])
      return block({ tag: PACKET.publicKey, body }, ...packets.slice(1))
    }
    for (const [modulus, exponent] of [
      [1025, 3],
      [8000, 3],
      [256, 9],
      [256, 256],
    ] as const)
      await refused(rsa(modulus, exponent), 'too-large')
    await refused(rsa(1024, 8), 'bad-signature')
  })
  test('a curve out of the list', () => {
    const [key] = packets
    assert.ok(key)
    const brainpool = Buffer.from('092b2403030208010107', 'hex')
    const body = Buffer.concat([key.body.subarray(0, 6), brainpool, key.body.subarray(15)])
    return refused(block({ tag: PACKET.publicKey, body }, ...packets.slice(1)), 'weak')
  })
  test('a weak subkey', async () => {
    const subkeys = [{ type: 'rsa', rsaBits: 1024 }]
    await refused(await generate({ type: 'ecc', curve: 'nistP256', subkeys }), 'weak')
  })
  test('SHA-1 in self-signatures, unless the policy knows that era', async () => {
    const [user] = phone.key.users
    assert.ok(user?.userID)
    const signature = new SignaturePacket()
    signature.signatureType = 0x13
    signature.publicKeyAlgorithm = phone.key.keyPacket.algorithm
    signature.hashAlgorithm = 2
    const { sign } = signature as unknown as { sign: (...args: unknown[]) => Promise<void> }
    const data = { key: phone.key.keyPacket, userID: user.userID }
    await sign.call(signature, phone.key.keyPacket, data, new Date(NOW - DAY), false, {
      ...config,
      nonDeterministicSignaturesViaNotation: false,
    })
    const ring = block(...packets.slice(0, 2), { tag: PACKET.signature, body: signature.write() })
    await refused(ring, 'bad-signature')
    await assert.doesNotReject(PublicRing.read(ring, { servers: [], policy: POLICIES.era }))
  })
})

test('rings of two keys are never merged', async () => {
  const [romeo, juliet] = await Promise.all([read(phone.ring), read(other.ring)])
  assert.throws(() => romeo.merged(juliet), is('other-key'))
})
