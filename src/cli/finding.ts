/** What `fernruf check` has to say of one thing. */
export interface Finding {
  readonly verdict: 'ok' | 'warning' | 'fault'
  readonly text: string
}

export const ok = (text: string): Finding => ({ verdict: 'ok', text })
export const warning = (text: string): Finding => ({ verdict: 'warning', text })
export const fault = (text: string): Finding => ({ verdict: 'fault', text })

/** The code of a system error such as ENOENT, else its message. */
export const reasonOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error)
  return 'code' in error && typeof error.code === 'string' ? error.code : error.message
}
