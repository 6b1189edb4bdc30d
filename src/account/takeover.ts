/** The service that tells an account of a takeover and takes its word. */
export const REGISTRATION_SERVICE = 'registration'

/** How an account is kept for those who use it when somebody else proves its number. */
export interface TakeoverRules {
  /** How long after its last use an account counts as in use; also how long what was waited for, or a device's word, holds. */
  readonly activeMs: number
  /** How long the devices of an account in use may object. */
  readonly delayMs: number
  /** How long after the account's last use its registration lock holds. */
  readonly lockKeptMs: number
}

/** Somebody has proven the number of an account. Times are ms since the epoch. */
export interface Claim {
  /** What a device of the account has said to it. */
  readonly state: 'waiting' | 'agreed' | 'refused'
  readonly askedAt: number
  /** From when on it is enough to prove the number. */
  readonly ripeAt: number
  /** From when on nothing of this counts. */
  readonly expiresAt: number
}

/** What there is to know when the number of an account was proven. */
export interface TakeoverFacts {
  readonly now: number
  /** Undefined: no device has ever logged in. */
  readonly lastActive: number | undefined
  readonly hasLock: boolean
  /** The registration lock was given. */
  readonly isUnlocked: boolean
  readonly claim: Claim | undefined
}

/** Why an account goes to whom proves its number. */
export type TakeoverReason = 'unused' | 'unlocked' | 'agreed' | 'waited'
export type Verdict =
  | { readonly outcome: 'ripe'; readonly reason: TakeoverReason }
  /** `opened`: to be noted, and its devices to be told. */
  | { readonly outcome: 'waiting' | 'needs-lock'; readonly until: number; readonly opened: Claim | undefined }
  | { readonly outcome: 'refused'; readonly until: number }

/** Whether an account may be replaced (DESIGN.md section 6, "Recycled numbers and SIM swap"). */
export function judge(facts: TakeoverFacts, rules: TakeoverRules): Verdict {
  const { now, lastActive, hasLock, isUnlocked } = facts
  const claim = facts.claim !== undefined && facts.claim.expiresAt > now ? facts.claim : undefined
  if (isUnlocked) return { outcome: 'ripe', reason: 'unlocked' }
  if (claim?.state === 'agreed') return { outcome: 'ripe', reason: 'agreed' }
  if (claim?.state === 'refused') return { outcome: 'refused', until: claim.expiresAt }
  const isActive = lastActive !== undefined && lastActive + rules.activeMs > now
  const lockEnds = hasLock && lastActive !== undefined ? lastActive + rules.lockKeptMs : 0
  const isLocked = lockEnds > now
  if (!isActive && !isLocked) return { outcome: 'ripe', reason: 'unused' }
  const open = claim ?? opened(now, rules)
  if (open.ripeAt <= now && !isLocked) return { outcome: 'ripe', reason: 'waited' }
  return {
    outcome: isLocked ? 'needs-lock' : 'waiting',
    until: Math.max(open.ripeAt, lockEnds),
    opened: claim === undefined ? open : undefined,
  }
}
function opened(now: number, { delayMs, activeMs }: TakeoverRules): Claim {
  const ripeAt = now + delayMs
  return { state: 'waiting', askedAt: now, ripeAt, expiresAt: ripeAt + activeMs }
}
