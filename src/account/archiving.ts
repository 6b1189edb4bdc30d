import type { Jid } from '../xmpp/jid.ts'

/** XEP-0441 §2.1.1: what becomes of messages with addresses that are on neither list. */
export type ArchivingRule = 'always' | 'never' | 'roster'

/** What an account's owner wants in the archive (XEP-0441). Addresses are prepared; a bare one stands for all its resources. */
export interface ArchivingPreferences {
  readonly rule: ArchivingRule
  readonly always: ReadonlySet<Jid>
  readonly never: ReadonlySet<Jid>
}

const NOBODY: ReadonlySet<Jid> = new Set()
/** Whoever said nothing keeps everything (XEP-0313 §5.1.1). */
export const ARCHIVE_ALL: ArchivingPreferences = { rule: 'always', always: NOBODY, never: NOBODY }
