import { readFileSync } from 'node:fs'
import { DELIVERIES } from '../account/store.ts'
import { type AccountSummary, AdminError } from '../contract/admin.ts'
import { parseDay } from '../xmpp/date-time.ts'
import { type Call, type Command, type ExitCode, UsageError } from './args.ts'
import { withAdmin } from './context.ts'
import { readPassword } from './password.ts'

const PAGE = 200

/** `fernruf account …`: one account at a time, or many from a file. */
export const ACCOUNT_COMMANDS: readonly Command[] = [
  {
    usage: 'account add [JID]',
    help: 'makes an account; reads its password from standard input, or many from --file (JID password per line)',
    options: { file: { type: 'string' } },
    run: add,
  },
  { usage: 'account list', help: 'lists all accounts', run: list },
  { usage: 'account show JID', help: 'shows one account', run: show },
  {
    usage: 'account disable JID',
    help: 'locks an account out and ends its sessions',
    run: (call) => change(call, 'disabled', (admin, jid) => admin.setDisabled(jid, true)),
  },
  {
    usage: 'account enable JID',
    help: 'lets a disabled account in again',
    run: (call) => change(call, 'enabled', (admin, jid) => admin.setDisabled(jid, false)),
  },
  {
    usage: 'account delete JID',
    help: 'deletes an account and everything of it',
    run: (call) => change(call, 'deleted', (admin, jid) => admin.deleteAccount(jid)),
  },
  {
    usage: 'account delivery JID POLICY',
    help: 'how its messages reach its devices: first-come, exclusive, every-device, or default (the domain’s)',
    run: delivery,
  },
  {
    usage: 'account publish JID STATE',
    help: 'lets anybody fetch its OpenPGP key over HTTP, or nobody: on or off',
    run: publish,
  },
  {
    usage: 'account history JID',
    help: 'shows how much its archive holds; --delete removes it, with --before DATE what is older',
    options: { delete: { type: 'boolean' }, before: { type: 'string' } },
    run: history,
  },
  {
    usage: 'account passwd JID',
    help: 'sets a password, read from standard input',
    run: async (call) => {
      const password = await readPassword()
      return await change(call, 'has a new password', (admin, jid) => admin.setPassword(jid, password))
    },
  },
]

type Work = Parameters<typeof withAdmin<void>>[1]
type Change = (admin: Parameters<Work>[0], jid: string) => Promise<void>

async function change(call: Call, done: string, work: Change): Promise<ExitCode> {
  const jid = call.positionals[0] ?? ''
  await withAdmin(call, (admin) => work(admin, jid))
  call.print(`${jid} ${done}`)
  return 0
}

async function delivery(call: Call): Promise<ExitCode> {
  const wish = call.positionals[1] ?? ''
  const policy = DELIVERIES.find((name) => name === wish)
  if (policy === undefined && wish !== 'default')
    throw new UsageError(`expected ${DELIVERIES.join(', ')} or default, not ${wish}`)
  return await change(call, `has the policy ${wish}`, (admin, jid) => admin.setDelivery(jid, policy))
}

async function publish(call: Call): Promise<ExitCode> {
  const wish = call.positionals[1] ?? ''
  if (wish !== 'on' && wish !== 'off') throw new UsageError(`expected on or off, not ${wish}`)
  const done = wish === 'on' ? 'shows its key to anybody' : 'shows its key to nobody'
  return await change(call, done, (admin, jid) => admin.setKeyListed(jid, wish === 'on'))
}

async function add(call: Call): Promise<ExitCode> {
  const file = call.options.file
  const jid = call.positionals[0]
  if ((jid === undefined) === (file === undefined)) throw new UsageError('expected one JID, or --file FILE')
  if (typeof file === 'string') return await addMany(call, file)
  const password = await readPassword()
  return await change(call, 'added', (admin, name) => admin.addAccount(name, password))
}

/** One faulty line does not keep the others out; each is told with its number. */
async function addMany(call: Call, file: string): Promise<ExitCode> {
  const lines = readFileSync(file === '-' ? 0 : file, 'utf8').split(/\r?\n/)
  return await withAdmin<ExitCode>(call, async (admin) => {
    let added = 0
    let failed = 0
    for (const [index, line] of lines.entries()) {
      if (line.trim() === '') continue
      const [, jid, password] = /^(\S+)[ \t](.+)$/.exec(line) ?? []
      try {
        if (jid === undefined || password === undefined)
          throw new AdminError('invalid', 'expected a JID and a password')
        await admin.addAccount(jid, password)
        added++
      } catch (error) {
        if (!(error instanceof AdminError) || error.fault === 'unavailable') throw error
        failed++
        call.complain(`${file}:${index + 1}: ${error.message}`)
      }
    }
    call.print(`${added} added, ${failed} not`)
    return failed === 0 ? 0 : 1
  })
}

async function list(call: Call): Promise<ExitCode> {
  return await withAdmin<ExitCode>(call, async (admin) => {
    let after: string | undefined
    do {
      const page = await admin.listAccounts(after, PAGE)
      for (const account of page) call.print(lineOf(account))
      after = page.length < PAGE ? undefined : page.at(-1)?.jid
    } while (after !== undefined)
    return 0
  })
}

async function show(call: Call): Promise<ExitCode> {
  const jid = call.positionals[0] ?? ''
  const [account, isListed] = await withAdmin(call, async (admin) => [
    await admin.showAccount(jid),
    await admin.isKeyListed(jid),
  ])
  call.print(account.jid)
  call.print(`  made      ${new Date(account.createdAt).toISOString()}`)
  call.print(`  by        ${account.isNumber ? 'phone number' : 'name'}`)
  call.print(`  state     ${account.isDisabled ? 'disabled' : 'in use'}`)
  call.print(`  delivery  ${account.delivery ?? 'as the domain'}`)
  call.print(`  key       ${account.fingerprint ?? 'none'}${isListed ? ', shown to anybody' : ''}`)
  if (account.sessions !== undefined) call.print(`  sessions  ${account.sessions}`)
  return 0
}

async function history(call: Call): Promise<ExitCode> {
  const jid = call.positionals[0] ?? ''
  const { before: day } = call.options
  const before = typeof day === 'string' ? parseDay(day)?.getTime() : undefined
  if (day !== undefined && before === undefined)
    throw new UsageError('expected --before with a day such as 2026-01-31, or a time such as 2026-01-31T12:00:00Z')
  if (call.options.delete === true) {
    const removed = await withAdmin(call, (admin) => admin.deleteHistory(jid, before))
    call.print(`${jid} ${removed} messages deleted`)
    return 0
  }
  if (before !== undefined) throw new UsageError('expected --delete with --before')
  const { messages, oldest, newest } = await withAdmin(call, (admin) => admin.showHistory(jid))
  call.print(jid)
  call.print(`  messages  ${messages}`)
  if (oldest !== undefined) call.print(`  oldest    ${new Date(oldest).toISOString()}`)
  if (newest !== undefined) call.print(`  newest    ${new Date(newest).toISOString()}`)
  return 0
}

const lineOf = ({ jid, createdAt, isDisabled }: AccountSummary): string =>
  `${jid}\t${new Date(createdAt).toISOString()}\t${isDisabled ? 'disabled' : 'in use'}`
