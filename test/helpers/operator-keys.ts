import { randomBytes } from 'node:crypto'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { OperatorKeys } from '../../src/account/operator-keys.ts'

/** A line of a key file. */
export const keyLine = (): string => randomBytes(32).toString('base64')

/** A key file of a test; gone afterwards. */
export class KeyFile {
  readonly path: string
  lines: readonly string[] = []

  constructor(t: Pick<TestContext, 'after'>, lines: readonly string[] = [keyLine()]) {
    const folder = mkdtempSync(join(tmpdir(), 'fernruf-keys-'))
    t.after(() => rmSync(folder, { recursive: true }))
    this.path = join(folder, 'keys')
    this.write(lines)
  }
  write(lines: readonly string[]): void {
    this.lines = lines
    writeFileSync(`${this.path}.new`, `${lines.join('\n')}\n`, { mode: 0o600 })
    // Whoever reads meanwhile finds the whole text.
    renameSync(`${this.path}.new`, this.path)
  }
  open(): Promise<OperatorKeys> {
    return OperatorKeys.open(this.path)
  }
}
