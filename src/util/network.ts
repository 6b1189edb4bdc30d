import { isIPv4, isIPv6 } from 'node:net'

/** What stands for one subscriber of the net: an IPv4 address, or the /64 of an IPv6 one, however written. */
export function networkOf(ip: string): string {
  return widerNetworkOf(ip, { octets: 4, groups: 4 })
}
/** A network with more in it: the first `octets` of an IPv4 address, or `groups` (of 16 bits) of an IPv6 one. */
export function widerNetworkOf(ip: string, size: { readonly octets: number; readonly groups: number }): string {
  if (isIPv4(ip)) return ip.split('.').slice(0, size.octets).join('.')
  if (!isIPv6(ip)) return ip
  const groups = groupsOf(ip)
  const mapped = groups.slice(0, 5).every((g) => g === 0) && groups[5] === 0xffff
  if (mapped) {
    const octets = [groups[6], groups[7]].flatMap((g = 0) => [g >> 8, g & 0xff])
    return octets.slice(0, size.octets).join('.')
  }
  return groups
    .slice(0, size.groups)
    .map((g) => g.toString(16))
    .join(':')
}
/** The eight groups of a valid IPv6 address. */
function groupsOf(ip: string): readonly number[] {
  const [head = '', tail] = (ip.split('%')[0] ?? '').split('::')
  const left = numbers(head)
  const right = tail === undefined ? [] : numbers(tail)
  return [...left, ...Array<number>(8 - left.length - right.length).fill(0), ...right]
}
function numbers(part: string): number[] {
  if (part === '') return []
  return part.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)]
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number)
    return [(a << 8) | b, (c << 8) | d]
  })
}
