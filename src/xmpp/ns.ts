/** Namespaces that more than one file needs. */
export const NS_CLIENT = 'jabber:client'
export const NS_SERVER = 'jabber:server'
/** RFC 6120 §4.8.1. */
export const NS_STREAMS = 'http://etherx.jabber.org/streams'
/** RFC 6120 §4.9.3. */
export const NS_STREAM_ERRORS = 'urn:ietf:params:xml:ns:xmpp-streams'
/** RFC 6120 §8.3.3. */
export const NS_STANZA_ERRORS = 'urn:ietf:params:xml:ns:xmpp-stanzas'
/** RFC 6120 §5. */
export const NS_TLS = 'urn:ietf:params:xml:ns:xmpp-tls'
/** RFC 6120 §6. */
export const NS_SASL = 'urn:ietf:params:xml:ns:xmpp-sasl'
/** XEP-0388. */
export const NS_SASL2 = 'urn:xmpp:sasl:2'
/** XEP-0386. */
export const NS_BIND2 = 'urn:xmpp:bind:0'
/** XEP-0484. */
export const NS_FAST = 'urn:xmpp:fast:0'
/** RFC 6120 §7. */
export const NS_BIND = 'urn:ietf:params:xml:ns:xmpp-bind'
/** RFC 3921 §3; obsolete, still asked for by Kontalk and others. */
export const NS_SESSION = 'urn:ietf:params:xml:ns:xmpp-session'
/** XEP-0198. */
export const NS_SM = 'urn:xmpp:sm:3'
export const NS_DISCO_INFO = 'http://jabber.org/protocol/disco#info'
export const NS_DISCO_ITEMS = 'http://jabber.org/protocol/disco#items'
/** XEP-0004. */
export const NS_DATA = 'jabber:x:data'
/** XEP-0077. */
export const NS_REGISTER = 'jabber:iq:register'
/** XEP-0203. */
export const NS_DELAY = 'urn:xmpp:delay'
/** XEP-0199. */
export const NS_PING = 'urn:xmpp:ping'
/** XEP-0184. */
export const NS_RECEIPTS = 'urn:xmpp:receipts'
/** RFC 6121 §2. */
export const NS_ROSTER = 'jabber:iq:roster'
/** Kontalk's variant of XEP-0189. */
export const NS_PUBKEY = 'urn:xmpp:pubkey:2'
/** XEP-0313 and XEP-0441. */
export const NS_MAM = 'urn:xmpp:mam:2'
/** XEP-0059. */
export const NS_RSM = 'http://jabber.org/protocol/rsm'
export const NS_SID = 'urn:xmpp:sid:0'
/** XEP-0424. */
export const NS_RETRACT = 'urn:xmpp:message-retract:1'
/** XEP-0050. */
export const NS_COMMANDS = 'http://jabber.org/protocol/commands'
