import { AccountError, type AccountFault } from '../../account/accounts.ts'
import { PasswordError, type PasswordFault } from '../../account/password.ts'
import { RegistrationError, type RegistrationFault } from '../../account/registration.ts'
import { TakeoverError, type TakeoverFault } from '../../account/takeovers.ts'
import { VerificationError, type VerificationFault } from '../../account/verification.ts'
import { TransferError, type TransferFault } from '../../keys/transfers.ts'
import { formatDateTime } from '../../xmpp/date-time.ts'
import { type Condition, StanzaError, type StanzaErrorOptions } from '../../xmpp/stanza-error.ts'

type Fault = RegistrationFault | VerificationFault | AccountFault | PasswordFault | TransferFault | TakeoverFault
type Answer = readonly [Condition, StanzaErrorOptions]

const BAD_CODE: Answer = ['bad-request', { text: 'Invalid verification code.' }]
const BAD_NAME: Answer = ['not-acceptable', { text: 'This name cannot be registered.' }]
/** Conditions, types and texts that Kontalk's clients were made for, where they have one. Why a code is wrong is told to nobody. */
const ANSWERS = {
  closed: ['not-allowed', { text: 'Registration is closed.' }],
  'bad-number': ['bad-request', { text: 'Bad phone number.' }],
  'number-refused': ['not-acceptable', { text: 'Codes are not sent to this number.' }],
  'bad-key': ['bad-request', { text: 'Invalid public key.' }],
  'bad-revocation': ['forbidden', { text: 'Invalid revocation key.' }],
  'not-certified': [
    'internal-server-error',
    { text: 'Internal PGP error. Please contact administrator.', type: 'wait' },
  ],
  'bad-name': BAD_NAME,
  throttled: ['service-unavailable', { text: 'Too many attempts.', type: 'wait' }],
  taken: ['conflict', { text: 'Another user is registered with the same id.', type: 'modify' }],
  unable: ['not-acceptable', { text: 'Unable to verify number.' }],
  'wrong-code': BAD_CODE,
  expired: BAD_CODE,
  locked: BAD_CODE,
  malformed: BAD_NAME,
  foreign: BAD_NAME,
  reserved: BAD_NAME,
  unknown: ['registration-required', {}],
  'too-short': ['not-acceptable', { text: 'The password is too short.' }],
  'too-long': ['not-acceptable', { text: 'The password is too long.' }],
  'not-allowed': ['not-acceptable', { text: 'The password holds characters that are not allowed.' }],
  'no-key': ['not-allowed', { text: 'This account has no key.' }],
  'bad-secret-key': ['bad-request', { text: 'Invalid private key.' }],
  'bad-token': ['not-authorized', { text: 'Invalid private key token.' }],
  untold: ['resource-constraint', { text: 'Too busy; try again later.' }],
  waiting: [
    'service-unavailable',
    {
      text: 'This number has an account that is in use. Its devices were told; unless one of them refuses, come again after',
      type: 'wait',
    },
  ],
  'needs-lock': [
    'service-unavailable',
    { text: 'The account of this number is locked. Give its registration lock, or come again after', type: 'wait' },
  ],
  refused: [
    'service-unavailable',
    { text: 'A device of this number’s account has refused. You may ask again after', type: 'wait' },
  ],
  disabled: ['forbidden', { text: 'The account of this number was shut by the operator.' }],
  'wrong-lock': ['not-authorized', { text: 'This is not the registration lock of the account.' }],
  'lock-tried': ['service-unavailable', { text: 'Too many attempts.', type: 'wait' }],
  busy: ['resource-constraint', { text: 'Too many requests at once.' }],
} satisfies Record<Fault, Answer>

export function faultOf(error: unknown): Fault | undefined {
  const known =
    error instanceof RegistrationError ||
    error instanceof VerificationError ||
    error instanceof AccountError ||
    error instanceof PasswordError ||
    error instanceof TransferError ||
    error instanceof TakeoverError
  return known ? error.fault : undefined
}

/** What is said of it to the one who asked. */
export function refusalOf(fault: Fault, cause: unknown): StanzaError {
  const [condition, options]: Answer = ANSWERS[fault]
  return new StanzaError(condition, { ...options, ...untilText(cause, options.text), cause })
}

/** From when on it may be tried again, where the text asks for it. */
function untilText(error: unknown, text: string | undefined): { readonly text?: string } {
  if (!(error instanceof TakeoverError) || error.until === undefined || text?.endsWith(' after') !== true) return {}
  return { text: `${text} ${formatDateTime(new Date(Math.ceil(error.until / 1000) * 1000))}.` }
}
