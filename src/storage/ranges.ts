/** First and last, both included. */
export type Range = readonly [number, number]

/** The numbers as sorted ranges that neither touch nor overlap. */
export const rangesOf = (numbers: readonly number[]): readonly Range[] => join(numbers.map((n): Range => [n, n]))

/** The union of ranges in any order, sorted; neighbours become one. */
export function join(ranges: readonly Range[]): readonly Range[] {
  if (ranges.length < 2) return ranges
  const joined: [number, number][] = []
  for (const [from, to] of ranges.toSorted((a, b) => a[0] - b[0])) {
    const last = joined.at(-1)
    if (last !== undefined && from <= last[1] + 1) last[1] = Math.max(last[1], to)
    else joined.push([from, to])
  }
  return joined
}

/** What of `ranges` is not in `taken`; both sorted as `join` leaves them. */
export function subtract(ranges: readonly Range[], taken: readonly Range[]): readonly Range[] {
  const left: Range[] = []
  let next = 0
  for (const [from, to] of ranges) {
    let start = from
    while (next < taken.length && (taken[next]?.[1] ?? 0) < start) next++
    for (let i = next; i < taken.length; i++) {
      const [first, last] = taken[i] ?? [Infinity, Infinity]
      if (first > to) break
      if (first > start) left.push([start, first - 1])
      start = last + 1
    }
    if (start <= to) left.push([start, to])
  }
  return left
}
