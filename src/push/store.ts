/** A device that can be woken. */
export interface PushDevice {
  /** `Account.id`. */
  readonly account: number
  /** Its resourcepart. */
  readonly device: string
  /** Which of the vendors' services its token is for, as the client calls it. */
  readonly provider: string
  /** By what that service knows the device: whoever has it may be able to wake the device, so it is never logged. */
  readonly token: string
  /** Ms since the epoch. */
  readonly usedAt: number
}

/** Table `push_device`. Times are ms since the epoch. */
export interface PushStore {
  /** Adds the device or replaces its token; of an account's devices only the `keep` used last stay. False where there is no such account. */
  register(device: PushDevice, keep: number): Promise<boolean>
  /** Whether it was there. */
  unregister(account: number, device: string, provider: string): Promise<boolean>
  of(account: number): Promise<readonly PushDevice[]>
  /** The device was there; all its registrations stay. */
  used(account: number, device: string, at: number): Promise<void>
  /**
   * Claims the right to wake a device which was last woken at `before` or earlier. True: claimed; a number: no, it was woken then;
   * undefined: it is not registered any more.
   */
  claim(device: PushDevice, at: number, before: number): Promise<true | number | undefined>
  /** The service knows the token no longer: goes, unless there is a newer one. */
  remove(device: PushDevice): Promise<void>
  /** Forgets what was last used before that time; returns how many. */
  purge(before: number): Promise<number>
}
