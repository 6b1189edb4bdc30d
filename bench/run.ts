import { readdirSync, readFileSync } from 'node:fs'

interface Bench {
  run(args: readonly string[]): Promise<void>
}

/** The benches of this folder: files that export `run`. */
function names(): string[] {
  const folder = new URL('./', import.meta.url)
  return readdirSync(folder)
    .filter((file) => file.endsWith('.ts') && file !== 'run.ts')
    .filter((file) => /^export (async )?function run\(/m.test(readFileSync(new URL(file, folder), 'utf8')))
    .map((file) => file.slice(0, -'.ts'.length))
}

const [name, ...args] = process.argv.slice(2)
if (name === undefined || !names().includes(name)) {
  process.stderr.write(`npm run bench -- NAME [options]; NAME is one of: ${names().join(', ')}\n`)
  process.exitCode = 2
} else {
  const bench = (await import(`./${name}.ts`)) as Bench
  await bench.run(args)
}
