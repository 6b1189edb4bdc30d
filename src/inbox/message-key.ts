import { fnv1a } from '../util/fnv.ts'

/**
 * A signed 32-bit number that stands for a stanza's `id` attribute in the index of a conversation; null when it has none. Two ids
 * may share one, so whoever looks by it compares the id too.
 */
export function messageKey(id: string | undefined): number | null {
  return id === undefined ? null : fnv1a(id)
}
