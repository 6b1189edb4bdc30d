import type { Route } from '../contract/route.ts'

export interface Found {
  readonly route: Route
  readonly params: Readonly<Record<string, string>>
}

/** Which route a path belongs to. Paths are taken as they are: nothing is resolved, joined or cleaned up. */
export class Routes {
  readonly #byLength = new Map<number, { readonly route: Route; readonly segments: readonly string[] }[]>()

  /** @throws Error when two routes could answer one path */
  constructor(routes: readonly Route[]) {
    for (const route of routes) {
      const segments = route.path.slice(1).split('/')
      const sameLength = this.#byLength.get(segments.length) ?? []
      if (sameLength.some((other) => other.segments.every((word, i) => overlaps(word, segments[i] as string))))
        throw new Error(`two routes for ${route.path}`)
      sameLength.push({ route, segments })
      this.#byLength.set(segments.length, sameLength)
    }
  }

  /** @param path of the request's target, beginning with a slash, without query. Undefined when there is none, or it is no path. */
  find(path: string): Found | undefined {
    const segments = path.slice(1).split('/')
    for (const { route, segments: wanted } of this.#byLength.get(segments.length) ?? []) {
      const params = matched(wanted, segments)
      if (params !== undefined) return { route, params }
    }
    return undefined
  }
}

const isParam = (word: string): boolean => word.startsWith(':')
const overlaps = (a: string, b: string): boolean => isParam(a) || isParam(b) || a === b

function matched(wanted: readonly string[], segments: readonly string[]): Readonly<Record<string, string>> | undefined {
  const params: Record<string, string> = Object.create(null) as Record<string, string>
  for (const [i, word] of wanted.entries()) {
    const segment = segments[i] as string
    if (!isParam(word)) {
      if (word !== segment) return undefined
      continue
    }
    const value = decoded(segment)
    if (value === undefined) return undefined
    params[word.slice(1)] = value
  }
  return params
}

/** Undefined for what could be taken for more than one segment, or for none. */
function decoded(segment: string): string | undefined {
  let value: string
  try {
    value = decodeURIComponent(segment)
  } catch {
    return undefined
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is looked for
  return value === '' || value === '.' || value === '..' || /[/\\\x00-\x1f\x7f]/.test(value) ? undefined : value
}
