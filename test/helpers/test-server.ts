/** One server as a story sees it. */
export interface TestServer {
  readonly starttlsPort: number
  readonly directTlsPort: number
}

/** Servers of one domain in this process that share store and bus. */
export interface TestServers {
  readonly domain: string
  readonly servers: readonly TestServer[]
  addAccount(local: string, password: string): Promise<void>
  stop(): Promise<void>
}

/** Changes to the configuration of test servers, by section. */
export type ServerSettings = Readonly<Record<string, unknown>>

/** Starts `count` servers on free loopback ports, with real TLS and stores that are gone afterwards. */
export async function startTestServers(count: number, settings: ServerSettings = {}): Promise<TestServers> {
  throw new Error(`no server yet for ${count} ${JSON.stringify(settings)}`)
}
