import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { isIP } from 'node:net'

/** Other programs' gateways answer in some hundred bytes. */
const MAX_ANSWER_BYTES = 16 * 1024

export interface Asking {
  readonly method: string
  readonly headers: Readonly<Record<string, string | number>>
  readonly body: string
}
export interface Answer {
  readonly status: number
  readonly body: string
  /** The body, where it is a JSON object by name and by nature. */
  readonly json: Readonly<Record<string, unknown>> | undefined
}

/** There is no answer, or none that can be read; of what went wrong only the system's word for it is kept. */
export class AskError extends Error {
  override readonly name = 'AskError'
  readonly fault: 'timeout' | 'unavailable' | 'bad-answer'
  constructor(fault: AskError['fault'], cause?: Error) {
    super(`no answer: ${fault}`, cause === undefined ? {} : { cause })
    this.fault = fault
  }
}

/**
 * One request on a connection of its own. Redirects are not followed: what is sent would go where nobody configured it to.
 * @throws AskError
 */
export async function ask(url: URL, { method, headers, body }: Asking, signal: AbortSignal): Promise<Answer> {
  try {
    const request = url.protocol === 'https:' ? httpsRequest : httpRequest
    const length = body === '' ? {} : { 'content-length': Buffer.byteLength(body) }
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      request(url, { method, agent: false, headers: { ...headers, ...length }, signal })
        .on('response', resolve)
        .on('error', reject)
        .end(body)
    })
    const chunks: Buffer[] = []
    let size = 0
    for await (const chunk of response as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > MAX_ANSWER_BYTES) throw new AskError('bad-answer')
      chunks.push(chunk)
    }
    const text = Buffer.concat(chunks).toString()
    const type = response.headers['content-type'] ?? ''
    return { status: response.statusCode ?? 0, body: text, json: isJson(type) ? objectOf(text) : undefined }
  } catch (error) {
    if (error instanceof AskError) throw error
    throw new AskError(signal.aborted ? 'timeout' : 'unavailable', wordOf(error))
  }
}

/** `carried`: what would go in clear. @throws Error in the operator's words, unless it may be sent to this address */
export function gatewayUrl(text: string, allowPlainHttp: boolean, what: string, carried: string): URL {
  const url = new URL(text)
  const plain = url.protocol === 'http:'
  if (!plain && url.protocol !== 'https:') throw new Error(`the URL of ${what} must begin with https:`)
  if (plain && !allowPlainHttp && !isLoopback(url.hostname)) {
    throw new Error(`the URL of ${what} must begin with https:, as ${carried} are sent to it`)
  }
  return url
}

/** An error of the HTTP client holds what it read and sent, so none is kept. */
function wordOf(error: unknown): Error | undefined {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return /^[A-Z][A-Z0-9_]{1,63}$/.test(code) ? new Error(code) : undefined
}
function isJson(type: string): boolean {
  return /^application\/(?:[\w.-]+\+)?json\b/i.test(type)
}
function objectOf(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    return isObject ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}
function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || (isIP(host) === 4 && host.startsWith('127.'))
}
