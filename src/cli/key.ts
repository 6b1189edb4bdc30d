import type { ServerKey } from '../contract/admin.ts'
import type { Call, Command } from './args.ts'
import { withAdmin } from './context.ts'

/** `fernruf key …`: the server's OpenPGP key, which certifies accounts. */
export const KEY_COMMANDS: readonly Command[] = [
  {
    usage: 'key show',
    help: 'shows the fingerprint of the server’s OpenPGP key',
    run: async (call) => {
      const key = await withAdmin(call, (admin) => admin.serverKey())
      if (key !== undefined) return tell(call, key)
      call.complain('there is no server key yet; fernruf key init makes it')
      return 1
    },
  },
  {
    usage: 'key init',
    help: 'makes the server’s OpenPGP key when there is none',
    run: async (call) => tell(call, await withAdmin(call, (admin) => admin.initServerKey())),
  },
]

function tell(call: Call, key: ServerKey): 0 {
  call.print(`${key.fingerprint}  ${key.userId}  made ${new Date(key.createdAt).toISOString()}`)
  return 0
}
