const ALPHABET = 'ybndrfg8ejkmcpqxot1uwisza345h769'

/** Human-oriented base 32 (RFC 6189 §5.1.6); of whole octets, without padding. */
export function zBase32(bytes: Uint8Array): string {
  let text = ''
  let bits = 0
  let count = 0
  for (const byte of bytes) {
    bits = (bits << 8) | byte
    count += 8
    for (; count >= 5; count -= 5) text += ALPHABET[(bits >> (count - 5)) & 31]
    bits &= (1 << count) - 1
  }
  return count === 0 ? text : text + ALPHABET[(bits << (5 - count)) & 31]
}
