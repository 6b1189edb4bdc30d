import type { Verification } from '../account/verification.ts'
import type { HttpAnswer, HttpRequest, Route } from '../contract/route.ts'
import { bounded } from '../util/bounded.ts'

/** Reports have a few hundred bytes. */
const MAX_BYTES = 16 * 1024

export const reportPath = (provider: string): `/${string}` => `/sms/${provider}`

/** Where providers report what became of messages. Whoever is not believed is not told why. */
export function smsReportRoutes(verification: Pick<Verification, 'reporters' | 'report'>): readonly Route[] {
  return verification.reporters.map((provider) => ({
    name: 'sms_report',
    path: reportPath(provider),
    post: async (request): Promise<HttpAnswer> => {
      const body = isJson(request) ? await bounded(request.body(), MAX_BYTES) : undefined
      const isTaken = body !== undefined && (await verification.report(provider, (name) => request.header(name), body))
      return { status: isTaken ? 204 : 401 }
    },
  }))
}

const isJson = (request: HttpRequest): boolean =>
  /^application\/json\s*(?:;|$)/i.test(request.header('content-type') ?? '')
