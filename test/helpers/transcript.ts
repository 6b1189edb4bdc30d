/** Everything that went over the wires of one test, in order, both ways. */
export class Transcript {
  readonly #lines: string[] = []

  /** A recorder for one connection. */
  of(who: string): Log {
    return (direction, text) => {
      this.#lines.push(`${who.padEnd(24)} ${direction} ${shorten(text)}`)
    }
  }

  toString(): string {
    const kept = this.#lines.length > 200 ? ['…', ...this.#lines.slice(-200)] : this.#lines
    return kept.join('\n')
  }
}

export type Log = (direction: 'sends' | 'hears' | 'does', text: string) => void

const shorten = (text: string): string => {
  const line = text.replaceAll('\n', ' ')
  return line.length > 2000 ? `${line.slice(0, 1000)} … ${line.length} characters … ${line.slice(-200)}` : line
}
