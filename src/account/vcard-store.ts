/** Table `vcard`: one element an account shows to others. */
export interface VcardStore {
  /** Canonical XML. */
  find(account: number): Promise<Uint8Array | undefined>
  /** Undefined: it has none from now on. Nothing happens where there is no such account. */
  put(account: number, payload: Uint8Array | undefined): Promise<void>
}
