/**
 * Comparison of what an adversary must not learn byte by byte: tags, MACs, Finished. Every byte is
 * looked at, whatever was found before: the time it takes depends on the length of `a`, not on how
 * much of it matches. JavaScript promises no more than that.
 */
export function equalSecretBytes(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length
  for (let at = 0; at < a.length; at++) difference |= (a[at] ?? 0) ^ (b[at] ?? 0)
  return difference === 0
}
