import type { Registration } from '../../account/registration.ts'
import { child, children, type Element, el, textOf } from '../../xmpp/element.ts'
import type { BareJid } from '../../xmpp/jid.ts'
import { NS_DATA, NS_REGISTER } from '../../xmpp/ns.ts'
import { StanzaError } from '../../xmpp/stanza-error.ts'

/** FORM_TYPE of Kontalk's second step: the code, and the key in the stream's certificate. */
export const KONTALK_CODE = 'http://kontalk.org/protocol/register#code'
/** FORM_TYPE under which a device leaves its secret key for another one of its owner's, and gets a token. */
export const KONTALK_PRIVATE_KEY = 'http://kontalk.org/protocol/register#privatekey'
/** Wherein the other device asks for it. */
export const NS_KONTALK_ACCOUNT = 'http://kontalk.org/protocol/register#account'
/** FORM_TYPE of a new key in the place of one that is revoked. */
export const KONTALK_KEY = 'http://kontalk.org/protocol/register#key'
/** Our own field: the registration lock of the account to be replaced. */
export const LOCK = 'registration-lock'
type Instructions = Registration['instructions']
export const isOpen = ({ sms, open }: Instructions): boolean => sms || open

export function incomplete({ sms, open }: Instructions): StanzaError {
  if (!sms) return new StanzaError('not-acceptable', { text: 'A username and a password are needed.' })
  if (open)
    return new StanzaError('not-acceptable', { text: 'A phone number, or a username and a password, is needed.' })
  const text = 'Please provide either a phone number or a public key and a verification code.'
  return new StanzaError('bad-request', { text })
}

/** What a stranger is asked: the plain fields where names may be chosen, and the form where codes are sent (XEP-0077 §3.1, §4). */
export function questions(instructions: Instructions, terms: string | undefined): Element {
  const { sms, open } = instructions
  const parts: Element[] = []
  if (open) {
    const text = sms ? 'Choose a username and a password, or fill in the form.' : 'Choose a username and a password.'
    const agreed = terms === undefined ? text : `${text} By registering you accept the terms: ${terms}`
    parts.push(el('instructions', NS_REGISTER, {}, agreed), el('username', NS_REGISTER), el('password', NS_REGISTER))
  } else {
    const text = 'Registration needs a phone number and a client that shows forms.'
    parts.push(el('instructions', NS_REGISTER, {}, text))
  }
  if (sms) parts.push(formOf(instructions, terms))
  return el('query', NS_REGISTER, {}, ...parts)
}

/** One form for Kontalk's two steps and for standard clients, which fill it in twice: without the code, and with it. */
export function formOf({ open, canFallback }: Instructions, terms: string | undefined): Element {
  const text =
    'Enter your phone number with + and the country code, and a password; submit the form and wait for the code.'
  const required = el('required', NS_DATA)
  const fields = [
    field('FORM_TYPE', 'hidden', undefined, NS_REGISTER),
    field('phone', 'text-single', 'Phone number', undefined, ...(open ? [] : [required])),
    field('code', 'text-single', 'Code, once you have it'),
    ...(open ? [field('username', 'text-single', 'Username, instead of a phone number')] : []),
    field('password', 'text-private', 'Password', undefined, required),
    field('force', 'boolean', 'Replace the account that this number has; all of it is lost', '0'),
    field(LOCK, 'text-private', 'Registration lock of that account, if it has one'),
    ...(canFallback ? [field('fallback', 'boolean', 'Send the code the other way', '0')] : []),
    field('challenge', 'hidden', 'Challenge type', 'pin'),
  ]
  if (terms !== undefined) {
    fields.push(field('accept-terms', 'boolean', `Accept terms of service? ${terms}`, undefined, required))
    fields.push(field('terms', 'hidden', undefined, terms))
  }
  const head = [el('title', NS_DATA, {}, 'Registration'), el('instructions', NS_DATA, {}, text)]
  return el('x', NS_DATA, { type: 'form' }, ...head, ...fields)
}

/** Kontalk's answer to a number. `from` must be there. */
export function onItsWay(
  { sender, canFallback }: { readonly sender: string; readonly canFallback: boolean },
  shown: Readonly<Record<string, string | undefined>> | undefined,
): Element {
  const fields = [
    field('FORM_TYPE', 'hidden', undefined, NS_REGISTER),
    field('from', 'text-single', 'Sender ID', sender),
    field('challenge', 'text-single', 'Challenge type', 'pin'),
    ...(canFallback ? [field('can-fallback', 'boolean', 'Can be sent another way', 'true')] : []),
    ...Object.entries(shown ?? {}).map(([name, url]) =>
      field(name === 'link' ? 'brand-link' : `brand-image-${name}`, 'text-single', undefined, url),
    ),
  ]
  const instructions = el('instructions', NS_REGISTER, {}, 'A text message with a code is on its way.')
  return el('query', NS_REGISTER, {}, instructions, el('x', NS_DATA, { type: 'form' }, ...fields))
}

/** Kontalk's answer to a code: the whole key, certified. */
export function certified(key: Uint8Array): Element {
  const fields = [
    field('FORM_TYPE', 'hidden', undefined, KONTALK_CODE),
    field('publickey', 'text-single', 'Signed public key', Buffer.from(key).toString('base64')),
  ]
  return el('query', NS_REGISTER, {}, el('x', NS_DATA, { type: 'form' }, ...fields))
}

/** Kontalk's answer to a secret key. */
export function leftUnder(token: string): Element {
  const fields = [
    field('FORM_TYPE', 'hidden', undefined, KONTALK_PRIVATE_KEY),
    field('token', 'text-single', 'Private key identification token', token),
  ]
  return el('query', NS_REGISTER, {}, el('x', NS_DATA, { type: 'form' }, ...fields))
}

/** The request for a secret key in it, if it is one. */
export function wantedKey(query: Element): Element | undefined {
  const account = child(query, 'account', NS_KONTALK_ACCOUNT)
  return account && child(account, 'privatekey', NS_KONTALK_ACCOUNT)
}

/** Kontalk's answer to a token: both halves, as binary keyrings. */
export function handed(keys: { readonly secret: Uint8Array; readonly public: Uint8Array }): Element {
  const half = (name: string, ring: Uint8Array): Element =>
    el(name, NS_KONTALK_ACCOUNT, {}, Buffer.from(ring).toString('base64'))
  const both = el('privatekey', NS_KONTALK_ACCOUNT, {}, half('private', keys.secret), half('public', keys.public))
  return el('query', NS_REGISTER, {}, el('account', NS_KONTALK_ACCOUNT, {}, both))
}

/** A field of base64, white space in it left out. @throws StanzaError bad-request with this text */
export function decoded(fields: ReadonlyMap<string, string>, name: string, text: string): Uint8Array {
  const packed = (fields.get(name) ?? '').replaceAll(/\s+/g, '')
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(packed)) throw new StanzaError('bad-request', { text })
  return Buffer.from(packed, 'base64')
}

export function passwordForm(account: BareJid) {
  return {
    title: 'Change my password',
    instructions: `With it any XMPP client logs in, as ${account}.`,
    formType: 'fernruf:change-password',
    fields: [
      { var: 'password', type: 'text-private', label: 'New password', required: true },
      { var: 'again', type: 'text-private', label: 'The same again', required: true },
      { var: 'end-sessions', type: 'boolean', label: 'End my other sessions', values: ['1'] },
    ],
  } as const
}

export function registered(local = ''): Element {
  const username = el('username', NS_REGISTER, {}, local)
  return el('query', NS_REGISTER, {}, el('registered', NS_REGISTER), username, el('password', NS_REGISTER))
}

function field(name: string, type: string, label?: string, value?: string, ...more: readonly Element[]): Element {
  const attrs = { var: name, type, ...(label === undefined ? {} : { label }) }
  const values = value === undefined ? [] : [el('value', NS_DATA, {}, value)]
  return el('field', NS_DATA, attrs, ...values, ...more)
}

/** What was filled in, from the form (XEP-0004 §3.2) or else from the plain fields; the first of several is the one. */
export function fieldsOf(query: Element): ReadonlyMap<string, string> {
  const fields = new Map<string, string>()
  const add = (name: string | undefined, value: string): void => {
    if (name !== undefined && !fields.has(name)) fields.set(name, value)
  }
  const form = child(query, 'x', NS_DATA)
  if (form === undefined) {
    for (const c of query.children) if (typeof c !== 'string' && c.ns === NS_REGISTER) add(c.name, textOf(c))
    return fields
  }
  if (form.attrs.type !== 'submit') throw new StanzaError('bad-request', { text: 'The form was not submitted.' })
  for (const f of children(form, 'field', NS_DATA)) {
    const value = child(f, 'value', NS_DATA)
    add(f.attrs.var, value === undefined ? '' : textOf(value))
  }
  return fields
}
export const isTrue = (value: string | undefined): boolean => value === 'true' || value === '1'
