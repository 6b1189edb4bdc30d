import assert from 'node:assert/strict'
import test from 'node:test'
import { overview, parse, UsageError } from '../../../src/cli/args.ts'
import { COMMANDS } from '../../../src/cli/commands.ts'

const parsed = (...typed: string[]) => {
  const { command, positionals, options } = parse(COMMANDS, typed)
  return { usage: command.usage, positionals: [...positionals], options: { ...options } }
}

test('words choose the command; options may stand anywhere after them', () => {
  assert.deepEqual(parsed('serve'), { usage: 'serve', positionals: [], options: {} })
  assert.deepEqual(parsed('account', 'show', '--config', 'a.yaml', 'romeo@a'), {
    usage: 'account show JID',
    positionals: ['romeo@a'],
    options: { config: 'a.yaml' },
  })
  assert.deepEqual(parsed('account', 'publish', 'romeo@a', 'on').positionals, ['romeo@a', 'on'])
  assert.deepEqual(parsed('account', 'add', '--file', 'many').options, { file: 'many' })
})

test('what cannot be understood says what was expected', () => {
  const wrong: readonly (readonly [string[], RegExp])[] = [
    [['frob'], /there is no command frob/],
    [['account'], /expected one of: fernruf account add/],
    [['account', 'frob', 'x'], /expected one of: fernruf account add/],
    [['account', 'show'], /^expected: fernruf account show JID$/],
    [['account', 'show', 'a', 'b'], /^expected: fernruf account show JID$/],
    [['serve', '--port', '1'], /Unknown option '--port'/],
    [['serve', '--config'], /--config/],
  ]
  for (const [typed, message] of wrong) {
    assert.throws(
      () => parsed(...typed),
      (error) => error instanceof UsageError && message.test(error.message) && !error.message.includes('\n'),
      typed.join(' '),
    )
  }
})

test('every command of the outside is there, those to come say so in one line', async () => {
  const lines: string[] = []
  const note = (line: string): void => void lines.push(line)
  const run = (typed: string): Promise<number> => {
    const { command, positionals, options } = parse(COMMANDS, typed.split(' '))
    return command.run({ positionals, options, env: {}, print: note, complain: note })
  }
  for (const typed of ['account move a b', 'account export a', 'invite create --expires 7d'])
    assert.equal(await run(typed), 1)
  assert.equal(lines.length, 3)
  await assert.rejects(run('account import f'), UsageError)
  await assert.rejects(run('account import f --from elsewhere'), UsageError)
  assert.ok(lines.every((line) => line.endsWith('is not built yet')))
  assert.match(overview(COMMANDS), /fernruf key init {2}/)
})
