import type { z } from 'zod'

export type Path = readonly (string | number)[]

/** One thing wrong with the config. */
export interface Fault {
  readonly path: Path
  /** What was expected. */
  readonly message: string
  /** Where it comes from when that is not the file: a variable of the environment, or a secret's file. */
  readonly source?: string
}

/** Not one fault but all of them, each with its line, its path and what was expected. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly lines: readonly string[]
  constructor(lines: readonly string[]) {
    super(lines.join('\n'))
    this.lines = lines
  }
}

/** Zod's findings as faults: unknown keys one by one, a union's findings by the option that was meant. */
export function faultsOf(issues: readonly z.core.$ZodIssue[]): Fault[] {
  const faults = issues.flatMap((issue) => expand(issue, []))
  return faults.filter((fault, at) => !faults.some((other, i) => i !== at && covers(other, fault, i < at)))
}

/** A general fault («expected a provider») is not told beside a precise one of the same or a deeper place. */
function covers(other: Fault, fault: Fault, isEarlier: boolean): boolean {
  const isWithin = fault.path.every((key, i) => other.path[i] === key)
  return isWithin && (other.path.length > fault.path.length ? false : isEarlier)
}

function expand(issue: z.core.$ZodIssue, above: Path): Fault[] {
  const path = [...above, ...issue.path.filter((key) => typeof key !== 'symbol')]
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ path: [...path, key], message: 'there is no such key' }))
  }
  if (issue.code === 'invalid_union' && issue.errors.length > 0) {
    const meant = issue.errors.find((errors) =>
      errors.every((e) => e.path.length > 0 || e.code === 'unrecognized_keys'),
    )
    if (meant !== undefined) return meant.flatMap((inner) => expand(inner, path))
    return [{ path, message: `expected ${issue.errors.flat().map(wanted).join(' or ')}` }]
  }
  return [
    {
      path,
      message:
        issue.code === 'custom' || !issue.message.startsWith('Invalid') ? issue.message : `expected ${wanted(issue)}`,
    },
  ]
}

const KINDS: Readonly<Record<string, string>> = {
  object: 'a section',
  array: 'a list',
  int: 'a whole number',
  number: 'a number',
  string: 'a text',
  boolean: 'true or false',
}

function wanted(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_value') return issue.values.map(String).join(' or ')
  if (issue.code === 'invalid_type') return KINDS[issue.expected] ?? issue.expected
  return issue.message.replace(/^expected /, '')
}
