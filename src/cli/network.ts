import { AdminError } from '../contract/admin.ts'
import type { Call, Command, ExitCode } from './args.ts'
import { withAdmin } from './context.ts'

/** `fernruf network …`: the other servers of the network, as clients are told of them. */
export const NETWORK_COMMANDS: readonly Command[] = [
  {
    usage: 'network add DOMAIN FINGERPRINT',
    help: 'lists another server with the fingerprint of its OpenPGP key, or gives it another one',
    run: add,
  },
  {
    usage: 'network remove DOMAIN',
    help: 'takes a server off the list',
    run: async (call) => {
      const domain = call.positionals[0] ?? ''
      await withAdmin(call, (admin) => admin.removeNetworkServer(domain))
      call.print(`${domain} removed`)
      return 0
    },
  },
  {
    usage: 'network list',
    help: 'shows the servers that were added',
    run: async (call) => {
      const servers = await withAdmin(call, (admin) => admin.networkServers())
      for (const { domain, fingerprint } of servers) call.print(`${fingerprint}  ${domain}`)
      return 0
    },
  },
]

async function add(call: Call): Promise<ExitCode> {
  const [domain = '', fingerprint = ''] = call.positionals
  // As OpenPGP programs show it, in groups.
  const digits = fingerprint.replaceAll(/[\s:]/g, '').toUpperCase()
  if (!/^[0-9A-F]{40}$/.test(digits)) throw new AdminError('invalid', 'expected the 40 hex digits of a fingerprint')
  await withAdmin(call, (admin) => admin.addNetworkServer(domain, digits))
  call.print(`${digits}  ${domain}`)
  return 0
}
