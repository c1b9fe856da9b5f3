/** How much of a program is what errors say. */

/** Bytes of the literals with a space in them: names and code points have none. */
export function wordsIn(text: string): number {
  const literals = text.match(/"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/g) ?? []
  return literals.filter((one) => one.includes(' ')).reduce((sum, one) => sum + one.length, 0)
}
