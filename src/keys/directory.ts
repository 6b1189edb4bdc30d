/** Written by the keys helper. */
export interface Keys {
  readonly placeholder?: undefined
}
