/** Why the server cannot start, in one line an operator understands; the program ends with exit code 2. */
export class StartError extends Error {
  override readonly name = 'StartError'
}

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'is taken by another program',
  EACCES: 'needs rights this user does not have (ports below 1024 usually do)',
  EADDRNOTAVAIL: 'is no address of this machine',
  EAFNOSUPPORT: 'is of a kind this machine does not speak (is IPv6 off?)',
  ENOTFOUND: 'has a name that does not resolve',
}

/** What stopped a listener, by its config key (`c2s.starttls`) and address. */
export function listenFault(key: string, address: string, error: unknown): StartError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : undefined
  const reason = (code === undefined ? undefined : REASONS[code]) ?? `cannot be listened on (${code ?? String(error)})`
  return new StartError(`${key}: ${address} ${reason}`, { cause: error })
}
