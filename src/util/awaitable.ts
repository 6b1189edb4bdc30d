type Awaitable<T> = T | Promise<T>

/** Goes on at once where the value is there, without a promise. */
export function whenKnown<T>(value: Awaitable<T>, use: (value: T) => Awaitable<void>): Awaitable<void> {
  return value instanceof Promise ? value.then(use) : use(value)
}
/** Waits for those that are promises; none of them makes it synchronous. */
export function allOf(works: readonly Awaitable<void>[]): Awaitable<void> {
  const waiting = works.filter((w) => w instanceof Promise)
  if (waiting.length > 0) return Promise.all(waiting).then(() => undefined)
}
