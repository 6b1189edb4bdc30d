import { spawnSync } from 'node:child_process'

const runs = (command: string, ...args: readonly string[]): boolean => spawnSync(command, args).status === 0

/** Debian's packages of the clients, which `npm test` installs. @returns why a test cannot run, or false */
export function slixmppIsMissing(): string | false {
  return runs('/usr/bin/python3', '-c', 'import slixmpp') ? false : 'python3-slixmpp is not installed'
}
export function profanityIsMissing(): string | false {
  if (!runs('tmux', '-V')) return 'tmux is not installed'
  return runs('profanity', '--version') ? false : 'profanity is not installed'
}
/** What slixmpp uploads with. */
export function aiohttpIsMissing(): string | false {
  const isMissing = !runs('/usr/bin/python3', '-c', 'import aiohttp')
  return slixmppIsMissing() || (isMissing && 'python3-aiohttp is not installed')
}
