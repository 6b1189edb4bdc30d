import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ARCHIVE_ALL, type ArchivingPreferences } from '../../../src/account/archiving.ts'
import { isArchived } from '../../../src/inbox/archiving.ts'
import type { BareJid, Jid } from '../../../src/xmpp/jid.ts'

const ROSTER = new Map([
  ['romeo@example.org' as BareJid, { listed: true }],
  ['paris@example.org' as BareJid, { listed: false }],
])
const preferences = (rule: ArchivingPreferences['rule'], always = '', never = ''): ArchivingPreferences => ({
  rule,
  always: new Set(always.split(' ') as Jid[]),
  never: new Set(never.split(' ') as Jid[]),
})

test('XEP-0441: the lists before the rule, and never before always', () => {
  const table: readonly (readonly [boolean, ArchivingPreferences, string])[] = [
    [true, ARCHIVE_ALL, 'romeo@example.org/orchard'],
    [false, preferences('never'), 'romeo@example.org/orchard'],
    // §2.3.1: the roster knows bare addresses; a request that nobody has answered is not on it (RFC 6121 §3.1.3).
    [true, preferences('roster'), 'romeo@example.org/orchard'],
    [true, preferences('roster'), 'romeo@example.org'],
    [false, preferences('roster'), 'paris@example.org/castle'],
    [false, preferences('roster'), 'stranger@example.org/x'],
    // A listed address without resource stands for all, one with a resource for itself.
    [true, preferences('never', 'romeo@example.org'), 'romeo@example.org/orchard'],
    [true, preferences('never', 'romeo@example.org/orchard'), 'romeo@example.org/orchard'],
    [false, preferences('never', 'romeo@example.org/orchard'), 'romeo@example.org/street'],
    [false, preferences('never', 'romeo@example.org/orchard'), 'romeo@example.org'],
    [false, preferences('always', '', 'romeo@example.org'), 'romeo@example.org/orchard'],
    [true, preferences('always', '', 'romeo@example.org/orchard'), 'romeo@example.org/street'],
    [false, preferences('always', '', 'romeo@example.org/orchard'), 'romeo@example.org/orchard'],
    [false, preferences('roster', '', 'romeo@example.org'), 'romeo@example.org/orchard'],
    [false, preferences('always', 'romeo@example.org', 'romeo@example.org'), 'romeo@example.org/orchard'],
    [false, preferences('never', 'example.org'), 'romeo@example.org/orchard'],
  ]
  for (const [expected, given, peer] of table)
    assert.equal(isArchived(given, ROSTER, peer as Jid), expected, `${given.rule} ${peer}`)
})
