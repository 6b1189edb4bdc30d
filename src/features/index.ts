import type { Feature } from '../contract/feature.ts'
import preapproval from './rfc6121-preapproval.ts'
import roster from './rfc6121-roster.ts'
import contactDiscovery from './x-contact-discovery.ts'
import deliveryPolicy from './x-delivery-policy.ts'
import keyTransfer from './x-key-transfer.ts'
import publicKeys from './x-public-keys.ts'
import push from './x-push.ts'
import serverList from './x-server-list.ts'
import takeover from './x-takeover.ts'
import webKeys from './x-web-keys.ts'
import lastActivity from './xep0012-last-activity.ts'
import disco from './xep0030-disco.ts'
import multicast from './xep0033-multicast.ts'
import privateXml from './xep0049-private-xml.ts'
import commands from './xep0050-commands.ts'
import vcard from './xep0054-vcard.ts'
import register from './xep0077-register/index.ts'
import version from './xep0092-version.ts'
import caps from './xep0115-caps.ts'
import blocking from './xep0191-blocking.ts'
import ping from './xep0199-ping.ts'
import carbons from './xep0280-carbons.ts'
import archive from './xep0313-archive.ts'
import csi from './xep0352-csi.ts'
import stanzaId from './xep0359-stanza-id.ts'
import upload from './xep0363-upload.ts'
import openpgp from './xep0373-openpgp.ts'
import retraction from './xep0424-retraction.ts'
import archivePreferences from './xep0441-archive-preferences.ts'
import clients from './xep0494-clients.ts'

/** Every feature the server can offer; the order is that of handlers within a phase. Blocking comes last: it judges what the others made. */
export const FEATURES: readonly Feature[] = [
  register,
  roster,
  preapproval,
  disco,
  caps,
  deliveryPolicy,
  lastActivity,
  privateXml,
  contactDiscovery,
  multicast,
  serverList,
  takeover,
  commands,
  vcard,
  version,
  ping,
  carbons,
  archive,
  csi,
  stanzaId,
  upload,
  retraction,
  archivePreferences,
  clients,
  publicKeys,
  push,
  webKeys,
  keyTransfer,
  openpgp,
  blocking,
]
