/** How much of a program is what errors say. */

/** Literals of a minified program: quotes may stand in regular expressions too. */
const literals =
  /"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`|(?<=[(,=:[!&|?{};>]|return)\/(?:[^/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\//g

/** Bytes of the strings with a space in them: names and code points have none. */
export function wordsIn(text: string): number {
  const strings = (text.match(literals) ?? []).filter((one) => !one.startsWith('/'))
  return strings.filter((one) => one.includes(' ')).reduce((sum, one) => sum + one.length, 0)
}
