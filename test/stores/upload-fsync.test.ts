import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { promisify } from 'node:util'

const FILES = 20
const skip = spawnSync('strace', ['-V']).error === undefined ? false : 'strace is not installed'

/** Keeps files one after the other and tells on standard error, which strace sees, when each is kept. */
const program = (folder: string) => `
  import { writeSync } from 'node:fs'
  import { UploadFolder } from ${JSON.stringify(new URL('../../src/storage/upload-folder.ts', import.meta.url).href)}
  const files = await UploadFolder.open(${JSON.stringify(folder)})
  for (let i = 0; i < ${FILES}; i++) {
    const id = i.toString(16).padStart(2, '0').repeat(16)
    writeSync(2, 'file asked\\n')
    const received = await files.receive(id, (async function* () { yield Buffer.from('hello') })(), 10)
    await received.keep()
    writeSync(2, 'file kept\\n')
  }`

test('a file and its name reach the disk, in this order, before an upload is answered', { skip }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'fernruf-fsync-'))
  t.after(() => rm(folder, { recursive: true }))
  const trace = join(folder, 'trace')
  const command = [process.execPath, '--input-type=module', '-e', program(join(folder, 'uploads'))]
  await promisify(execFile)('strace', [
    '-f',
    '-y',
    '-e',
    'trace=fsync,fdatasync,write,link,linkat',
    '-o',
    trace,
    ...command,
  ])

  const kept: string[][] = []
  let steps: string[] = []
  for (const line of (await readFile(trace, 'utf8')).split('\n')) {
    if (line.includes('"file asked')) steps = []
    else if (/\bfsync\(\d+<[^>]*\/coming\/[0-9a-f]{32}\./.test(line)) steps.push('file')
    else if (/\blink(at)?\(/.test(line)) steps.push('link')
    else if (/\bfsync\(\d+<[^>]*\/uploads\/[0-9a-f]{2}>/.test(line)) steps.push('folder')
    else if (line.includes('"file kept')) kept.push(steps)
  }
  assert.equal(kept.length, FILES)
  for (const done of kept) assert.deepEqual(done, ['file', 'link', 'folder'])
})
