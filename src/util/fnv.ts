/** FNV-1a of the text's UTF-16 units as a signed 32-bit number: small and quick, not unforgeable. */
export function fnv1a(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash
}
