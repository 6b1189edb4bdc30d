import type { Metrics } from '../contract/feature.ts'

/** What the server itself counts; features and parts have their own. */
export const SERVER_METRICS = {
  handshakes: {
    type: 'counter',
    name: 'fernruf_tls_handshakes_total',
    help: 'TLS handshakes of clients begun, by whether their records were gathered.',
    labels: ['way'],
  },
  closed: {
    type: 'counter',
    name: 'fernruf_stream_closed_total',
    help: 'Streams that ended, by condition.',
    labels: ['condition'],
  },
  logins: {
    type: 'counter',
    name: 'fernruf_sasl_attempts_total',
    help: 'Attempts to log in, by mechanism and outcome.',
    labels: ['mechanism', 'outcome'],
  },
  removed: {
    type: 'counter',
    name: 'fernruf_archive_removed_total',
    help: 'Archived messages that were removed because they were too old or too many.',
    labels: [],
  },
  unused: {
    type: 'counter',
    name: 'fernruf_account_unused_removed_total',
    help: 'Accounts that were removed since nobody had used them for account.inactive_after.',
    labels: [],
  },
  takeovers: {
    type: 'counter',
    name: 'fernruf_takeover_events_total',
    help: 'What happened to accounts whose number somebody wanted to register anew, by event.',
    labels: ['event'],
  },
  requests: {
    type: 'counter',
    name: 'fernruf_http_requests_total',
    help: 'Requests to the public HTTP server, by what they were for and class of status.',
    labels: ['route', 'status'],
  },
  requestsRefused: {
    type: 'counter',
    name: 'fernruf_http_refused_total',
    help: 'Connections and requests to the public HTTP server that were turned away, by reason.',
    labels: ['why'],
  },
  sms: {
    type: 'counter',
    name: 'fernruf_sms_sent_total',
    help: 'Codes sent, by provider, outcome and the country of the number: what is paid for.',
    labels: ['provider', 'outcome', 'country'],
  },
  smsConfirmed: {
    type: 'counter',
    name: 'fernruf_sms_confirmed_total',
    help: 'Codes that made an account, by country; far fewer than are sent mean a flood.',
    labels: ['country'],
  },
  registrationRefused: {
    type: 'counter',
    name: 'fernruf_registration_refused_total',
    help: 'Steps of registration refused, by the budget that was used up.',
    labels: ['budget'],
  },
  smsChecks: {
    type: 'counter',
    name: 'fernruf_sms_checks_total',
    help: 'Codes that a provider was asked to check, by provider and outcome.',
    labels: ['provider', 'outcome'],
  },
  smsReports: {
    type: 'counter',
    name: 'fernruf_sms_reports_total',
    help: 'Delivery reports, by provider and what they say of the message, or why they were not believed.',
    labels: ['provider', 'status'],
  },
  smsCircuit: {
    type: 'gauge',
    name: 'fernruf_sms_circuit_open',
    help: 'Whether a provider is not asked since it failed too often: 1 while it is open or tried again, by provider.',
    labels: ['provider'],
  },
} as const satisfies Metrics
