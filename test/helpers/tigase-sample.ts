import { createHash } from 'node:crypto'
import { type PhoneKey, phoneKey } from './bridge-certificate.ts'
import type { Tables } from './tigase-dump.ts'

export const numberJid = (phone: string, domain: string): string =>
  `${createHash('sha1').update(phone).digest('hex')}@${domain}`

/** A server of Kontalk as it was left, with two friends, one of whom has messages waiting. */
export interface TigaseSample {
  readonly romeo: string
  readonly juliet: string
  readonly keys: {
    readonly romeo: PhoneKey
    readonly juliet: PhoneKey
    readonly stranger: PhoneKey /** It names Juliet. */
    readonly impostor: PhoneKey
  }
  readonly tables: Tables
}

const USERS = [
  'uid',
  'user_id',
  'sha1_user_id',
  'user_pw',
  'acc_create_time',
  'last_login',
  'last_logout',
  'online_status',
  'failed_logins',
  'account_status',
]
const user = (uid: number, jid: string, status = -1, logout: string | null = '2026-11-01 10:00:00') => [
  uid,
  jid,
  createHash('sha1').update(jid).digest('hex'),
  null,
  '2015-06-01 12:00:00',
  '2026-11-01 09:00:00',
  logout,
  0,
  0,
  status,
]

export async function tigaseSample(domain: string): Promise<TigaseSample> {
  const romeo = numberJid('+4915123456789', domain)
  const juliet = numberJid('+4915123456780', domain)
  const date = new Date('2020-01-01T00:00:00Z')
  const keys = {
    romeo: await phoneKey(romeo, { date }),
    juliet: await phoneKey(juliet, { date, name: 'Juliet' }),
    stranger: await phoneKey(`stranger@${domain}`, { date }),
    impostor: await phoneKey(juliet, { date: new Date('2024-01-01T00:00:00Z'), name: 'Juliet' }),
  }
  const message = (id: string, from: string, payload: string): string =>
    `<message xmlns="jabber:client" type="chat" id="${id}" from="${from}/Kontalk" to="${juliet}">${payload}</message>`
  const body = (text: string): string => `<body>${text}</body>`
  const delay = `<delay xmlns="urn:xmpp:delay" from="${domain}" stamp="2026-11-20T08:07:06.500Z">Offline Storage - host</delay>`
  const roster = `<contact subs="both" jid="${juliet}" name="Juliet &amp; nurse" groups="friends,Verona"/><contact subs="none_pre_approved" jid="mercutio@elsewhere.example" name="mercutio"/><contact subs="nonsense" jid="x@${domain}" name="x"/>`
  const nodes = (uid: number, first: number) => [
    [first, null, uid, 'root'],
    [first + 1, first, uid, 'kontalk'],
    [first + 2, first + 1, uid, 'auth'],
    [first + 3, first, uid, 'blocklist'],
    [first + 4, first, uid, 'public-info'],
  ]
  const tables: Tables = {
    tig_users: {
      columns: USERS,
      rows: [
        user(1, 'db-properties', 1, null),
        user(2, romeo),
        user(3, juliet),
        user(4, `gone@${domain}`, 0),
        user(5, `nobody@other.example`),
        user(6, `push@${domain}`),
        user(7, numberJid('+4915123456781', domain)),
      ],
    },
    tig_nodes: {
      columns: ['nid', 'parent_nid', 'uid', 'node'],
      rows: [...nodes(2, 20), ...nodes(3, 30), ...nodes(7, 70)],
    },
    tig_pairs: {
      columns: ['nid', 'uid', 'pkey', 'pval'],
      rows: [
        [22, 2, 'fingerprint', keys.romeo.fingerprint],
        [32, 3, 'fingerprint', keys.juliet.fingerprint.toLowerCase()],
        [72, 7, 'fingerprint', 'F'.repeat(40)],
        [20, 2, 'roster', roster],
        [30, 3, 'roster', `<contact subs="both" jid="${romeo}" name="Romeo"/>`],
        [70, 7, 'roster', `<contact subs="both" jid="${romeo}"`],
        [
          33,
          3,
          'blocklist',
          `<blocklist xmlns="urn:xmpp:blocking"><item jid="tybalt@${domain}"/><item jid="@"/></blocklist>`,
        ],
        [34, 3, 'fingerprint', 'E'.repeat(40)],
        [20, 2, 'other', 'of no interest'],
      ],
    },
    messages: {
      columns: ['id', 'uid', 'stanza', 'timestamp', 'expired'],
      rows: [
        [
          11,
          3,
          message('m1', romeo, `${body('It is the east, &amp; Juliet is the sun! 🙂')}${delay}`),
          '2026-11-20 09:00:00',
          '2999-01-01 00:00:00',
        ],
        [12, 3, message('m2', romeo, body("Arise, fair sun;\n'tis \\ time")), '2026-11-20 09:00:01', null],
        [13, 3, message('m3', romeo, body('too late')), '2019-01-01 00:00:00', '2019-01-08 00:00:00'],
        [
          14,
          3,
          message('m4', romeo, `<composing xmlns="http://jabber.org/protocol/chatstates"/>`),
          '2026-11-20 09:00:02',
          null,
        ],
        [15, 3, '<message from="x', '2026-11-20 09:00:03', null],
        [16, 99, message('m6', romeo, body('to nobody')), '2026-11-20 09:00:04', null],
        [
          17,
          3,
          `<presence type="subscribe" from="paris@elsewhere.example" to="${juliet}"><status>Please!</status></presence>`,
          '2026-11-20 09:00:05',
          null,
        ],
        [18, 3, message('m8', romeo, `<received xmlns="urn:xmpp:receipts" id="j1"/>`), '2026-11-20 09:00:06', null],
      ],
    },
    servers: {
      columns: ['fingerprint', 'host', 'enabled'],
      rows: [
        ['a'.repeat(40), 'beta.example', 1],
        ['B'.repeat(40), 'off.example', 0],
        ['C'.repeat(40), domain, 1],
      ],
    },
    push: { columns: ['user_id', 'provider', 'reg_id'], rows: [[romeo, 'gcm', 'APA91b']] },
    validations: { columns: ['user_id', 'code', 'timestamp'], rows: [] },
  }
  return { romeo, juliet, keys, tables }
}
