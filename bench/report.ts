import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  const upper = sorted[Math.floor(middle)] ?? Number.NaN
  return Number.isInteger(middle) ? ((sorted[middle - 1] ?? upper) + upper) / 2 : upper
}

/** `median (lowest to highest)`. */
export const spread = (values: readonly number[], digits = 1): string =>
  `${median(values).toFixed(digits)} (${Math.min(...values).toFixed(digits)} to ${Math.max(...values).toFixed(digits)})`

/** A Markdown table, columns aligned for reading as plain text. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((h, i) => Math.max(h.length, ...rows.map((row) => (row[i] ?? '').length)))
  const line = (cells: readonly string[]): string => `| ${cells.map((c, i) => c.padEnd(widths[i] ?? 0)).join(' | ')} |`
  return [line(head), line(widths.map((w) => '-'.repeat(w))), ...rows.map(line)].join('\n')
}

/** Prints the text and, when a file is named, writes it there too. */
export async function publish(text: string, file: string | undefined): Promise<void> {
  process.stdout.write(`${text}\n`)
  if (file === undefined) return
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, `${text}\n`)
}
