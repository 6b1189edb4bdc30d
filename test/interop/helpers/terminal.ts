import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { until } from './poll.ts'

/** About a second's. */
const LOOKS_PER_TYPING = 15
const run = promisify(execFile)

/** A program on a terminal of its own, as a person would use it, with a home that is gone afterwards. */
export class Terminal {
  readonly #home: string

  private constructor(home: string) {
    this.#home = home
  }

  static async open(program: string): Promise<Terminal> {
    const terminal = new Terminal(await mkdtemp(join(tmpdir(), 'fernruf-terminal-')))
    const home = terminal.#home
    const env = {
      ...process.env,
      HOME: home,
      XDG_CONFIG_HOME: join(home, 'config'),
      XDG_DATA_HOME: join(home, 'data'),
      TERM: 'xterm',
      LC_ALL: 'C.UTF-8',
    }
    const size = ['-x', '160', '-y', '50']
    await run('tmux', [...terminal.#at, '-u', '-f', '/dev/null', 'new-session', '-d', ...size, program], { env })
    return terminal
  }

  async types(line: string): Promise<void> {
    await run('tmux', [...this.#at, 'send-keys', '-l', line])
    await run('tmux', [...this.#at, 'send-keys', 'Enter'])
  }
  async screen(): Promise<string> {
    return (await run('tmux', [...this.#at, 'capture-pane', '-p'])).stdout
  }
  /** Waits until the screen shows it; types the line first, and again while the answer is another. @throws Error with the screen */
  async shows(wanted: string | RegExp, line?: string): Promise<void> {
    let screen = ''
    let looks = 0
    const look = async (): Promise<true | undefined> => {
      if (line !== undefined && looks++ % LOOKS_PER_TYPING === 0) await this.types(line)
      screen = await this.screen()
      return (typeof wanted === 'string' ? screen.includes(wanted) : wanted.test(screen)) || undefined
    }
    await until(look, `the screen with ${wanted}`, () => screen)
  }
  /** Waits until the program has ended, and with it its terminal. */
  async ends(): Promise<void> {
    const isGone = async (): Promise<true | undefined> =>
      await run('tmux', [...this.#at, 'has-session']).then(
        () => undefined,
        () => true as const,
      )
    await until(isGone, 'the end of the program', () => '')
    await this.close()
  }
  /** Ends the program, however it stands. */
  async close(): Promise<void> {
    await run('tmux', [...this.#at, 'kill-server']).catch(() => undefined)
    await rm(this.#home, { recursive: true, force: true, maxRetries: 5 })
  }

  get #at(): readonly string[] {
    return ['-S', join(this.#home, 'tmux')]
  }
}
