/** The SMS gate; written by the account helper. */
export interface Registration {
  readonly placeholder?: undefined
}
