/** Written by the roster helper. */
export interface Rosters {
  readonly placeholder?: undefined
}
