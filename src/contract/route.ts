import type { Readable } from 'node:stream'
import type { Awaitable } from './hook.ts'

/** A request to the public HTTP server, as far as a route may see it. */
export interface HttpRequest {
  readonly method: string
  /** What stands for the `:name` segments of the route's path, decoded: never empty, no slash, backslash or control character, not `.` or `..`. */
  readonly params: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  /** The host asked for, in lower case, without port. */
  readonly host: string
  /** Address of who asks, behind trusted proxies; for budgets. */
  readonly ip: string
  /** The value of a header that may be there once. */
  header(name: string): string | undefined
  /** The body, of exactly `content-length` bytes; whoever waits for `100 Continue` is told to go on. A body that nobody reads is not taken. */
  body(): AsyncIterable<Buffer>
}

export interface HttpAnswer {
  readonly status: number
  /** Over the safe ones that every answer has (`no-store`, `nosniff`, a policy that lets nothing run). Lower-case names. */
  readonly headers?: Readonly<Record<string, string>>
  /** Text is sent as UTF-8; of a stream, `content-length` must be among the headers. Not sent in answer to HEAD. */
  readonly body?: string | Uint8Array | Readable
}

type Answerer = (request: HttpRequest) => Awaitable<HttpAnswer>

/** Something that the public HTTP server answers. HEAD is answered like GET, OPTIONS and other methods by the server itself. */
export interface Route {
  /** For metrics; several routes may share it. */
  readonly name: string
  /** Segments after `/`, each a word or `:param`: `/download/:id/:name`. */
  readonly path: `/${string}`
  readonly get?: Answerer
  readonly put?: Answerer
  readonly post?: Answerer
  /** Scripts on pages of any origin may ask (CORS); without credentials, of which there are none. */
  readonly isOpen?: boolean
}
