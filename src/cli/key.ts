import { readFileSync } from 'node:fs'
import { AdminError, type ServerKey } from '../contract/admin.ts'
import type { Call, Command } from './args.ts'
import { withAdmin } from './context.ts'

/** `fernruf key …`: the server’s OpenPGP key, which certifies accounts. */
export const KEY_COMMANDS: readonly Command[] = [
  {
    usage: 'key show',
    help: 'shows the fingerprint of the server’s OpenPGP key, and former ones that still verify',
    run: async (call) => {
      const keys = await withAdmin(call, (admin) => admin.serverKeys())
      for (const key of keys) tell(call, key)
      if (keys.length > 0) return 0
      call.complain('there is no server key yet; fernruf key init makes it')
      return 1
    },
  },
  {
    usage: 'key init',
    help: 'makes the server’s OpenPGP key when there is none',
    run: async (call) => tell(call, await withAdmin(call, (admin) => admin.initServerKey())),
  },
  {
    usage: 'key rotate',
    help: 'makes a new one; former ones go on verifying, and accounts get the new certification at their next login',
    run: async (call) => tell(call, await withAdmin(call, (admin) => admin.rotateServerKey())),
  },
  {
    usage: 'key import FILE',
    help: 'makes a key of yours the server’s: an OpenPGP secret key without passphrase; - reads standard input',
    run: async (call) => {
      const key = readKey(call.positionals[0] ?? '')
      return tell(call, await withAdmin(call, (admin) => admin.importServerKey(key)))
    },
  },
  {
    usage: 'key forget FINGERPRINT',
    help: 'gives up a former key: who was certified by it alone has to register again',
    run: async (call) => {
      const fingerprint = (call.positionals[0] ?? '').toUpperCase()
      if (!/^[0-9A-F]{40}$/.test(fingerprint))
        throw new AdminError('invalid', 'expected the 40 hex digits of a fingerprint')
      await withAdmin(call, (admin) => admin.forgetServerKey(fingerprint))
      call.print(`${fingerprint} forgotten`)
      return 0
    },
  },
]

function readKey(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file).toString('base64')
  } catch (cause) {
    throw new AdminError('invalid', `${file} cannot be read`, { cause })
  }
}

function tell(call: Call, { fingerprint, userId, createdAt, isCurrent }: ServerKey): 0 {
  const more = isCurrent ? '' : '  verifies only'
  call.print(`${fingerprint}  ${userId}  made ${new Date(createdAt).toISOString()}${more}`)
  return 0
}
