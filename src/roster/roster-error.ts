/**
 * `full`: no room for another contact or request; `too-many-groups`: of one contact; `unknown-contact`: not on the roster;
 * `no-account`: nobody owns it.
 */
export type RosterFault = 'full' | 'too-many-groups' | 'unknown-contact' | 'no-account'

export class RosterError extends Error {
  override readonly name = 'RosterError'
  readonly fault: RosterFault
  constructor(fault: RosterFault) {
    super(fault)
    this.fault = fault
  }
}
