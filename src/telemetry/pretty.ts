import type { DestinationStream } from 'pino'

/** Turns JSON log lines into lines for people: `12:30:05 info  bound  jid=romeo@localhost/orchard`. */
export function prettyStream(out: DestinationStream): DestinationStream {
  return { write: (line) => out.write(prettyLine(line)) }
}

function prettyLine(line: string): string {
  const { time, level, msg, err, ...data } = JSON.parse(line) as Record<string, unknown>
  const clock = typeof time === 'string' ? time.slice(11, 19) : ''
  const fields = Object.entries(data).map(([name, value]) => `${name}=${shown(value)}`)
  const head = [clock, String(level).padEnd(5), typeof msg === 'string' ? msg : '', ...fields].join(' ').trimEnd()
  return `${head}\n${err === undefined ? '' : failure(err)}`
}

const shown = (value: unknown): string =>
  typeof value === 'string' && /^[\w@./:~[\]-]+$/.test(value) ? value : JSON.stringify(value)

function failure(err: unknown): string {
  const { stack, message, cause } = (err ?? {}) as { stack?: unknown; message?: unknown; cause?: unknown }
  const text = typeof stack === 'string' ? stack : String(message)
  return `  ${text.replaceAll('\n', '\n  ')}\n${cause === undefined ? '' : `  because of\n${failure(cause)}`}`
}
