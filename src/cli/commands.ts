import { migrateStore } from '../server.ts'
import { ACCOUNT_COMMANDS } from './account.ts'
import type { Command } from './args.ts'
import { CHECK } from './check.ts'
import { configOf } from './context.ts'
import { IMPORT } from './import.ts'
import { INBOX_KEY_COMMANDS } from './inbox-key.ts'
import { KEY_COMMANDS } from './key.ts'
import { NETWORK_COMMANDS } from './network.ts'
import { SERVE } from './serve.ts'

const MIGRATE: Command = {
  usage: 'migrate',
  help: 'brings the store to this version',
  run: async (call) => {
    const applied = await migrateStore(configOf(call))
    call.print(applied.length === 0 ? 'nothing to do' : `applied ${applied.join(', ')}`)
    return 0
  },
}

/** A command of the outside that a later version brings. */
const later = (usage: string): Command => ({
  usage,
  help: '(not built yet)',
  options: { account: { type: 'boolean' }, expires: { type: 'string' }, from: { type: 'string' } },
  run: async (call) => {
    call.complain(`fernruf ${usage} is not built yet`)
    return 1
  },
})

/** Everything the program can be asked for. */
export const COMMANDS: readonly Command[] = [
  SERVE,
  CHECK,
  MIGRATE,
  ...ACCOUNT_COMMANDS,
  later('account move OLD NEW'),
  later('account export JID'),
  IMPORT,
  later('invite create'),
  ...KEY_COMMANDS,
  ...INBOX_KEY_COMMANDS,
  ...NETWORK_COMMANDS,
]
