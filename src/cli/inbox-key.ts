import { KeyFileError, OperatorKeys } from '../account/operator-keys.ts'
import { StartError } from '../util/start-error.ts'
import { type Call, type Command, type ExitCode, UsageError } from './args.ts'
import { withAdmin } from './context.ts'

/** `fernruf inbox-key …`: the operator's keys for encryption at rest. */
export const INBOX_KEY_COMMANDS: readonly Command[] = [
  {
    usage: 'inbox-key init FILE',
    help: 'makes a file with a new key for inbox.encryption; never overwrites one',
    run: init,
  },
  {
    usage: 'inbox-key rotate',
    help: 'wraps the keys of all accounts under the first line of the key file',
    run: rotate,
  },
  {
    usage: 'inbox-key forget ID',
    help: 'gives up for good what was sealed under an operator key that is lost or no longer wanted',
    run: forget,
  },
]

async function init(call: Call): Promise<ExitCode> {
  const path = call.positionals[0] ?? ''
  try {
    call.print(`${await OperatorKeys.make(path)}  ${path}`)
    return 0
  } catch (error) {
    if (!(error instanceof KeyFileError)) throw error
    throw new StartError(`${error.path} ${error.text}`, { cause: error })
  }
}

/** Ends with 1 when something could not be wrapped anew: the line it needs is missing. */
async function rotate(call: Call): Promise<ExitCode> {
  return await withAdmin<ExitCode>(call, async (admin) => {
    let rewrapped = 0
    let left = 0
    for (let after: number | undefined = 0; after !== undefined; ) {
      const step = await admin.rotateInboxKeys(after)
      rewrapped += step.rewrapped
      left += step.left
      after = step.last
      if (after === undefined) call.print(`${step.operatorKey}  ${rewrapped} accounts moved to it`)
    }
    if (left === 0) return 0
    call.complain(`${left} accounts stay under keys that the key file lacks; fernruf check names them`)
    return 1
  })
}

async function forget(call: Call): Promise<ExitCode> {
  const id = call.positionals[0] ?? ''
  if (!/^[0-9a-f]{16}$/.test(id)) throw new UsageError(`expected the id of a key, 16 hex digits, not ${id}`)
  return await withAdmin<ExitCode>(call, async (admin) => {
    let forgotten = 0
    for (let step = await admin.forgetInboxKeys(id); step > 0; step = await admin.forgetInboxKeys(id)) forgotten += step
    call.print(`${id}  ${forgotten} accounts' messages under it given up`)
    return 0
  })
}
