import { BlockList, isIP, isIPv4 } from 'node:net'

/** Addresses, or networks as `10.0.0.0/8`, whose word about who is behind them is taken. */
export class Proxies {
  readonly #trusted = new BlockList()

  /** @param networks as `parseNetwork` of config/units takes them */
  constructor(networks: readonly string[]) {
    for (const network of networks) {
      const [address = '', bits] = network.split('/')
      const family = isIPv4(address) ? 'ipv4' : 'ipv6'
      if (bits === undefined) this.#trusted.addAddress(address, family)
      else this.#trusted.addSubnet(address, Number(bits), family)
    }
  }
  trusts(ip: string): boolean {
    const plain = plainAddress(ip)
    return this.#trusted.check(plain, isIPv4(plain) ? 'ipv4' : 'ipv6')
  }
  /**
   * Who is behind `peer`, going back through `X-Forwarded-For` from its end as long as each address is trusted; what a client
   * itself wrote there stands further to the left and is never reached.
   */
  clientOf(peer: string, forwardedFor: string | undefined): string {
    let client = plainAddress(peer)
    const hops = forwardedFor?.split(',') ?? []
    while (this.trusts(client)) {
      const hop = addressIn(hops.pop() ?? '')
      if (hop === undefined) break
      client = hop
    }
    return client
  }
}

/** Some proxies add a port. */
function addressIn(hop: string): string | undefined {
  const text = hop.trim()
  const bare = /^\[([^\]]+)\](?::\d+)?$/.exec(text)?.[1] ?? /^([\d.]+):\d+$/.exec(text)?.[1] ?? text
  return isIP(bare) === 0 ? undefined : plainAddress(bare)
}

/** An IPv4 address as such, also where a socket for both families shows it mapped. */
function plainAddress(ip: string): string {
  const mapped = /^::ffff:([\d.]+)$/i.exec(ip)?.[1]
  return mapped !== undefined && isIPv4(mapped) ? mapped : ip
}
