/** `full`: no room for another contact or request; `unknown-contact`: not on the roster; `no-account`: nobody owns it. */
export type RosterFault = 'full' | 'unknown-contact' | 'no-account'

export class RosterError extends Error {
  override readonly name = 'RosterError'
  readonly fault: RosterFault
  constructor(fault: RosterFault) {
    super(fault)
    this.fault = fault
  }
}
