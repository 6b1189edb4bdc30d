import { z } from 'zod'
import { duration, rate, size } from './units.ts'

const count = () => z.int('expected a whole number').min(1, 'expected at least 1')

/** How often something may happen in an hour and in a day. */
const allowance = (hour: number, day: number) =>
  z.strictObject({ hour: count().default(hour), day: count().default(day) }).prefault({})

/** RFC 6120 §13.12: no server may refuse stanzas of 10,000 bytes. */
const STANZA_FLOOR = 10_000
const stanzaSize = () =>
  size().refine((bytes) => bytes >= STANZA_FLOOR, 'expected at least 10000B (RFC 6120 section 13.12)')

/** Bounds on one element on a stream; tighter before login. */
const elementBounds = (defaults: {
  readonly max_bytes: string
  readonly max_depth: number
  readonly max_elements: number
  readonly max_attributes: number
  readonly max_namespaces: number
}) =>
  z
    .strictObject({
      max_bytes: stanzaSize().prefault(defaults.max_bytes).describe('Bytes of one stanza, and of the stream header.'),
      max_depth: count().default(defaults.max_depth).describe('Nesting of elements in one stanza.'),
      max_elements: count().default(defaults.max_elements).describe('Elements in one stanza.'),
      max_attributes: count().default(defaults.max_attributes).describe('Attributes of one element.'),
      max_namespaces: count().default(defaults.max_namespaces).describe('Namespace declarations in one stanza.'),
    })
    .prefault({})

/** Everything that is bounded; each limit ends in a stanza, stream or SASL error with a text. */
export const limits = z
  .strictObject({
    stanza: elementBounds({
      max_bytes: '256KiB',
      max_depth: 64,
      max_elements: 4096,
      max_attributes: 64,
      max_namespaces: 256,
    }).describe('What one stanza may be, after login.'),
    stanza_before_login: elementBounds({
      max_bytes: '32KiB',
      max_depth: 16,
      max_elements: 128,
      max_attributes: 32,
      max_namespaces: 32,
    }).describe('The same before login; a public key of a registration must fit.'),
    stream: z
      .strictObject({
        login_timeout: duration().prefault('30s').describe('From connection to bound session, whatever is sent.'),
        idle_timeout: duration().prefault('10m').describe('Silence after which a client is asked whether it is there.'),
        answer_timeout: duration().prefault('60s').describe('Time to answer that question, or an <r/>.'),
        close_timeout: duration().prefault('5s').describe('Time for the closing handshake.'),
        out_queue: size()
          .prefault('1MiB')
          .describe('Bytes that may wait for one slow client before it has to catch up.'),
      })
      .prefault({})
      .describe('One stream.'),
    connections: z
      .strictObject({
        total: count().default(50_000).describe('Connections of this process.'),
        per_address: count().default(200).describe('Connections of one address (IPv6: one /64).'),
        before_login: count().default(5_000).describe('Connections of this process that have not logged in.'),
        before_login_per_address: count().default(50).describe('The same of one address.'),
      })
      .prefault({})
      .describe('Connections.'),
    login: z
      .strictObject({
        attempts: count().default(5).describe('Failed attempts on one connection.'),
        failures_per_address: rate().prefault('60/1m').describe('Failed attempts of one address.'),
        devices: count()
          .default(50)
          .describe('Devices remembered of one account, which say so when they log in (XEP-0388).'),
        device_kept: duration().prefault('90d').describe('How long a device is remembered that does not come.'),
        token_lifetime: duration()
          .prefault('21d')
          .describe(
            'How long a token lets a device reconnect (XEP-0484); it gets a new one when half of that is over.',
          ),
        transfer_lifetime: duration()
          .prefault('15m')
          .describe('How long a secret key waits for the device that it was left for.'),
        transfer_tries: rate().prefault('5/1h').describe('Tokens of such keys tried from one address.'),
        checks: count().default(16).describe('Password checks (PBKDF2) that may run or wait at the same time.'),
      })
      .prefault({})
      .describe('Logins.'),
    session: z
      .strictObject({
        per_account: count().default(20).describe('Resources of one account, detached ones included.'),
        resume_time: duration().prefault('10m').describe('How long a lost session may be resumed (XEP-0198).'),
        unacknowledged: count().default(2_000).describe('Stanzas kept for a session that does not acknowledge.'),
        unacknowledged_bytes: size().prefault('8MiB').describe('Their bytes.'),
        directed_presence: count().default(1_000).describe('Addresses one session may send directed presence to.'),
      })
      .prefault({})
      .describe('Sessions.'),
    roster: z
      .strictObject({
        max_items: count().default(2_000).describe('Items of one roster, pending requests included.'),
        max_groups: count().default(20).describe('Groups of one item.'),
      })
      .prefault({})
      .describe('Rosters.'),
    lookup: z
      .strictObject({
        new_per_day: count()
          .default(1_000)
          .describe('Addresses one account may ask about for the first time, in a day.'),
        remote_new_per_day: count().default(20).describe('The same of one other server.'),
        web_new_per_day: count().default(100).describe('The same of one address of the web (IPv6: one /64).'),
        kept: duration().prefault('30d').describe('How long an address is not new again.'),
      })
      .prefault({})
      .describe('Asking about accounts that one does not know, by whatever protocol.'),
    inbox: z
      .strictObject({
        open_entries: count().default(5_000).describe('Messages that may wait for one account.'),
        open_bytes: size().prefault('20MiB').describe('Their bytes.'),
      })
      .prefault({})
      .describe('What waits for an account.'),
    archive: z
      .strictObject({
        entries: count().default(500_000).describe('Messages in the archive of one account; the oldest go.'),
        bytes: size().prefault('512MiB').describe('Their bytes.'),
      })
      .prefault({})
      .describe('Archives; what waits for a device stays in any case.'),
    registration: z
      .strictObject({
        code_lifetime: duration().prefault('10m').describe('How long a code is good.'),
        code_attempts: count().default(5).describe('Wrong codes until a request is locked.'),
        lock_attempts: count().default(5).describe('Registration locks tried on one account in a day.'),
        number: allowance(3, 6).describe('Codes sent to one number.'),
        address: allowance(10, 30).describe('Codes one address (IPv6: one /64) may ask for.'),
        network: allowance(40, 200).describe('The same of one network (IPv4: /24, IPv6: /48).'),
        prefix: allowance(20, 100).describe('Codes to numbers that share the first six digits.'),
        country: allowance(100, 1_000).describe(
          'Codes to one country; half of them only where codes were confirmed before.',
        ),
        total: allowance(200, 2_000).describe(
          'Codes of the whole server: what you are ready to pay; half of them as above.',
        ),
        tries: allowance(30, 100).describe('Codes tried from one address.'),
        accounts: allowance(5, 20).describe('Accounts without a number from one address.'),
      })
      .prefault({})
      .describe('Registration and what it may cost.'),
    http: z
      .strictObject({
        max_header: size().prefault('8KiB').describe('Bytes of a request header.'),
        header_timeout: duration().prefault('10s').describe('Time to send it.'),
        request_timeout: duration().prefault('15m').describe('Time for a whole request with what is uploaded.'),
        idle_timeout: duration().prefault('30s').describe('Silence in the middle of a request or an answer.'),
        connections: count().default(10_000).describe('Connections to http.public.'),
        connections_per_address: count().default(100).describe('The same from one address (IPv6: one /64).'),
        requests_per_address: rate().prefault('1200/1m').describe('Requests from one address to http.public.'),
      })
      .prefault({})
      .describe('HTTP listeners.'),
    upload: z
      .strictObject({
        max_file: size().prefault('50MiB').describe('Bytes of one file.'),
        bytes_per_day: size().prefault('500MiB').describe('What one account may upload in a day.'),
        files_per_day: count().default(500).describe('Files it may upload in a day.'),
        total: size().prefault('1GiB').describe('What may lie on the server of one account.'),
        slot_lifetime: duration().prefault('5m').describe('How long a client has to begin with an upload.'),
      })
      .prefault({})
      .describe('Files that accounts upload.'),
  })
  .prefault({})
  .describe('Bounds; the defaults are good for a server of thousands.')
