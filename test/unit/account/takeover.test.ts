import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Claim, judge, type TakeoverFacts, type Verdict } from '../../../src/account/takeover.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const RULES = { activeMs: 7 * DAY, delayMs: DAY, lockKeptMs: 30 * DAY }
const NOW = 1_800_000_000_000
const OPENED: Claim = { state: 'waiting', askedAt: NOW, ripeAt: NOW + DAY, expiresAt: NOW + 8 * DAY }
const used = { lastActive: NOW - HOUR }
const claim = (state: Claim['state'], over: Partial<Claim> = {}): Claim => ({ ...OPENED, state, ...over })
const ripe = (reason: string) => ({ outcome: 'ripe', reason })

const CASES: readonly (readonly [string, Partial<TakeoverFacts>, unknown])[] = [
  ['an account that nobody ever used goes at once', {}, ripe('unused')],
  ['so does one that was used too long ago', { lastActive: NOW - 7 * DAY }, ripe('unused')],
  [
    'one in use waits, and its devices are to be told',
    { lastActive: NOW - 7 * DAY + 1 },
    { outcome: 'waiting', until: NOW + DAY, opened: OPENED },
  ],
  [
    'they are told once',
    { ...used, now: NOW + DAY - 1, claim: OPENED },
    { outcome: 'waiting', until: NOW + DAY, opened: undefined },
  ],
  ['after the delay it goes', { lastActive: NOW + DAY, now: NOW + DAY, claim: OPENED }, ripe('waited')],
  [
    'but not for ever: what was waited for is over some day, and begins anew',
    { lastActive: NOW + 8 * DAY, now: NOW + 8 * DAY, claim: OPENED },
    {
      outcome: 'waiting',
      until: NOW + 9 * DAY,
      opened: { state: 'waiting', askedAt: NOW + 8 * DAY, ripeAt: NOW + 9 * DAY, expiresAt: NOW + 16 * DAY },
    },
  ],
  ['a device’s yes lets it go at once', { ...used, claim: claim('agreed') }, ripe('agreed')],
  [
    'but not for ever',
    { ...used, claim: claim('agreed', { expiresAt: NOW }) },
    { outcome: 'waiting', until: NOW + DAY, opened: OPENED },
  ],
  [
    'its no keeps it',
    { ...used, claim: claim('refused', { ripeAt: NOW - DAY, expiresAt: NOW + 1 }) },
    { outcome: 'refused', until: NOW + 1 },
  ],
  ['the lock opens whatever the rest is', { ...used, isUnlocked: true, claim: claim('refused') }, ripe('unlocked')],
  [
    'an account with a lock stays after the delay',
    { ...used, hasLock: true, claim: claim('waiting', { ripeAt: NOW - 1 }) },
    { outcome: 'needs-lock', until: NOW - HOUR + 30 * DAY, opened: undefined },
  ],
  ['unless a device says yes', { ...used, hasLock: true, claim: claim('agreed') }, ripe('agreed')],
  [
    'a lock outlives the use of its account',
    { lastActive: NOW - 30 * DAY + 1, hasLock: true },
    { outcome: 'needs-lock', until: NOW + DAY, opened: OPENED },
  ],
  ['but not for ever', { lastActive: NOW - 30 * DAY, hasLock: true }, ripe('unused')],
]
for (const [name, facts, expected] of CASES)
  test(name, () => {
    const none = { now: NOW, lastActive: undefined, hasLock: false, isUnlocked: false, claim: undefined }
    assert.deepEqual(judge({ ...none, ...facts }, RULES), expected as Verdict)
  })
