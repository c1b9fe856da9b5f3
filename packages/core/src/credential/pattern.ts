/**
 * Patterns of serial numbers: `*` for any run of characters, `?` for one, everything else for
 * itself; the whole text must match.
 */

/**
 * In linear space and at most pattern × text steps: an operator's pattern meets a stranger's text.
 */
export function matchesPattern(pattern: string, text: string): boolean {
  let at = 0
  let inPattern = 0
  let star = -1
  let resume = 0
  while (at < text.length) {
    const letter = pattern[inPattern]
    if (letter === '*') {
      star = inPattern++
      resume = at
    } else if (letter === '?' || (letter !== undefined && letter === text[at])) {
      inPattern++
      at++
    } else if (star >= 0) {
      inPattern = star + 1
      at = ++resume
    } else {
      return false
    }
  }
  while (pattern[inPattern] === '*') inPattern++
  return inPattern === pattern.length
}
