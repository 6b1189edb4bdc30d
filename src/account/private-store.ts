/** An element a client keeps with us: found again by its qualified name. */
export interface PrivateElement {
  readonly ns: string
  readonly name: string
  /** Canonical XML; empty: it is to go. */
  readonly payload: Uint8Array
}

/** Table `private_xml`. */
export interface PrivateStore {
  find(account: number, ns: string, name: string): Promise<Uint8Array | undefined>
  /** Puts them in the place of those of the same names, all or none; `full` when more elements or bytes would be kept than that. */
  put(
    account: number,
    elements: readonly PrivateElement[],
    quota: { readonly elements: number; readonly bytes: number },
  ): Promise<'kept' | 'full' | 'no-account'>
}
