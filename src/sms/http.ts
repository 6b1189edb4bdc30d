import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { isIP } from 'node:net'
import { SmsError, type SmsFault } from '../account/sms-provider.ts'

/** Providers answer in some hundred bytes. */
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

/**
 * One request on a connection of its own. Redirects are not followed: the number would go where nobody configured it to.
 * @throws SmsError timeout, unavailable, bad-answer; of what went wrong only the system's word for it is kept
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
      if (size > MAX_ANSWER_BYTES) throw new SmsError('bad-answer')
      chunks.push(chunk)
    }
    const text = Buffer.concat(chunks).toString()
    const type = response.headers['content-type'] ?? ''
    return { status: response.statusCode ?? 0, body: text, json: isJson(type) ? objectOf(text) : undefined }
  } catch (error) {
    if (error instanceof SmsError) throw error
    throw new SmsError(signal.aborted ? 'timeout' : 'unavailable', { cause: wordOf(error) })
  }
}

/** What a status says of a message that was to be sent; undefined: it was taken. */
export function faultOfStatus(status: number): SmsFault | undefined {
  if (status >= 200 && status < 300) return undefined
  if (status === 401 || status === 403) return 'unauthorized'
  if (status === 402) return 'unpaid'
  if (status === 400 || status === 409 || status === 410 || status === 422) return 'refused'
  if (status === 429) return 'throttled'
  return status >= 500 ? 'unavailable' : 'bad-answer'
}

/** @throws Error in the operator's words, unless numbers may be sent to this address */
export function gatewayUrl(text: string, allowPlainHttp: boolean, what: string): URL {
  const url = new URL(text)
  const plain = url.protocol === 'http:'
  if (!plain && url.protocol !== 'https:') throw new Error(`the URL of ${what} must begin with https:`)
  if (plain && !allowPlainHttp && !isLoopback(url.hostname)) {
    throw new Error(`the URL of ${what} must begin with https:, as phone numbers are sent to it`)
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
