/**
 * Comparison of what an adversary must not learn byte by byte: tags, MACs, Finished. It looks at each
 * byte whatever it found before; how long the input is shows, how much of it fits does not. JavaScript
 * promises no more than that.
 */
export function equalSecretBytes(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length
  for (let at = 0; at < a.length; at++) difference |= (a[at] ?? 0) ^ (b[at] ?? 0)
  return difference === 0
}
