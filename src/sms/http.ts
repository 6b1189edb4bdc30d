import { SmsError, type SmsFault } from '../account/sms-provider.ts'
import { type Answer, AskError } from '../util/http-ask.ts'

/** One request to a provider. @throws SmsError */
export async function answerOf(asking: Promise<Answer>): Promise<Answer> {
  try {
    return await asking
  } catch (error) {
    if (!(error instanceof AskError)) throw error
    throw new SmsError(error.fault, error.cause === undefined ? {} : { cause: error.cause })
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
