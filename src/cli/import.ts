import { createReadStream, existsSync } from 'node:fs'
import { AdminError } from '../contract/admin.ts'
import { connectAdmin } from '../http/admin-client.ts'
import { DumpError } from '../import/dump-text.ts'
import type { ImportReport } from '../import/import-tally.ts'
import { TigaseImport } from '../import/tigase.ts'
import { SealedInboxStore } from '../inbox/sealed-store.ts'
import { KeyError } from '../keys/key-error.ts'
import { checkSealing, openCore, openKeys } from '../server/core.ts'
import { createLogs } from '../telemetry/log.ts'
import { type Call, type Command, type ExitCode, UsageError } from './args.ts'
import { configOf } from './context.ts'

const TIGASE = 'tigase-kontalk'
/** Of one account; what its own clients may put there is the feature's to say. */
const MAX_BLOCKS = 10_000
const MAX_NETWORK = 1_000
const PART_BYTES = 1024 * 1024

export const IMPORT: Command = {
  usage: 'account import FILE',
  help: `takes accounts over from a dump of Kontalk’s server: --from ${TIGASE}, --keys FILE or folder of their public keys`,
  options: { from: { type: 'string' }, keys: { type: 'string' } },
  run: importAccounts,
}

async function importAccounts(call: Call): Promise<ExitCode> {
  const [file = ''] = call.positionals
  const { from, keys: rings } = call.options
  if (from !== TIGASE) throw new UsageError(`expected --from ${TIGASE}; nothing else can be imported yet`)
  if (rings !== undefined && typeof rings !== 'string') throw new UsageError('expected --keys FILE')
  for (const path of [file, ...(rings === undefined ? [] : [rings])])
    if (!existsSync(path)) throw new AdminError('not-found', `${path} is not there`)
  const config = configOf(call)
  if ((await connectAdmin(config.data_dir)) !== undefined)
    throw new AdminError('unavailable', 'the server runs: stop it first, so that nobody is in the middle of something')
  const core = await openCore(config, { onChanged: () => undefined })
  try {
    await checkSealing(core)
    const { stores, root, sealing } = core
    const logs = createLogs({
      level: 'warn',
      format: config.log.format,
      tagKey: root.derive('log tags'),
      destination: { write: (line: string) => call.complain(line.trimEnd()) },
    })
    const { stanza, roster } = config.limits
    const work = new TigaseImport({
      accounts: core.accounts,
      accountStore: stores.accounts,
      imports: stores.imports,
      rosters: stores.rosters,
      blocks: stores.blocks,
      inbox: new SealedInboxStore(stores.inbox, sealing.seal, logs.part({ part: 'import' })),
      lastSeen: stores.lastSeen,
      network: stores.network,
      keys: await openKeys(core, config.database === undefined),
      domains: core.domains,
      markKey: root.derive('imports'),
      limits: {
        rosterItems: roster.max_items,
        rosterGroups: roster.max_groups,
        blocks: MAX_BLOCKS,
        network: MAX_NETWORK,
        stanza: {
          maxBytes: stanza.max_bytes,
          maxDepth: stanza.max_depth,
          maxElements: stanza.max_elements,
          maxAttributes: stanza.max_attributes,
          maxNamespaces: stanza.max_namespaces,
        },
      },
      now: Date.now,
    })
    tell(
      call,
      await work.run(() => createReadStream(file, { highWaterMark: PART_BYTES }) as AsyncIterable<Buffer>, rings),
    )
    return 0
  } catch (error) {
    if (error instanceof DumpError)
      throw new AdminError('invalid', `${file}, byte ${error.at}: ${error.message}`, { cause: error })
    if (error instanceof KeyError)
      throw new AdminError('invalid', `${String(rings)} holds something that is no public key: ${error.message}`, {
        cause: error,
      })
    throw error
  } finally {
    await core.stores.close()
  }
}

function tell(call: Call, { taken, left }: ImportReport): void {
  for (const [what, count] of taken) call.print(`${String(count).padStart(8)}  ${what}`)
  if (left.size > 0) call.print('left behind:')
  for (const [why, { count, ids }] of left) {
    const examples = ids.filter((id) => id !== '')
    const such = examples.length === 0 ? '' : ` (${examples.join(', ')}${count > examples.length ? ', …' : ''})`
    call.print(`${String(count).padStart(8)}  ${why}${such}`)
  }
}
