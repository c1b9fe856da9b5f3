/**
 * JSON (RFC 8259) as text: its parts are taken as they were written, since parsing and printing
 * them again would change long numbers. No recursion: the sender's depth is never ours.
 */

export function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** Whether text that is JSON is nested deeper. */
export function isNestedTooDeep(text: string, depthMax: number): boolean {
  // Every level costs two characters: most texts are too short to be looked at.
  if (text.length <= 2 * depthMax) return false
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case quote:
        at = endOfString(text, at)
        break
      case 0x5b: // [
      case 0x7b: // {
        if (++depth > depthMax) return true
        break
      case 0x5d: // ]
      case 0x7d: // }
        depth--
    }
  }
  return false
}

/** The elements of an array, each as it was written; undefined: the text is no JSON array. */
export function jsonElements(text: string): readonly string[] | undefined {
  return Array.isArray(parsed(text)) ? partsOf(text) : undefined
}

/**
 * The members of an object by their names, each value as it was written; undefined: the text is no
 * JSON object, or names a member twice.
 */
export function jsonMembers(text: string): ReadonlyMap<string, string> | undefined {
  const value = parsed(text)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const members = new Map<string, string>()
  for (const part of partsOf(text)) {
    const end = endOfString(part, 0) + 1
    const name: unknown = JSON.parse(part.slice(0, end))
    if (typeof name !== 'string' || members.has(name)) return undefined
    members.set(name, part.slice(part.indexOf(':', end) + 1).trim())
  }
  return members
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const quote = 0x22

/** What stands between the outermost brackets, cut at the commas of that level. */
function partsOf(text: string): string[] {
  const parts: string[] = []
  let depth = 0
  let begin = 0
  const cut = (end: number): void => void parts.push(text.slice(begin, end).trim())
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case quote:
        at = endOfString(text, at)
        break
      case 0x5b: // [
      case 0x7b: // {
        if (++depth === 1) begin = at + 1
        break
      case 0x2c: // ,
        if (depth !== 1) break
        cut(at)
        begin = at + 1
        break
      case 0x5d: // ]
      case 0x7d: // }
        if (--depth === 0) cut(at)
    }
  }
  // Nothing between the brackets is no element.
  return parts.length === 1 && parts[0] === '' ? [] : parts
}

/** Where the quotation mark is that closes the string which begins here. */
function endOfString(text: string, begin: number): number {
  for (let at = begin + 1; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === quote) return at
    if (code === 0x5c) at++ // what is escaped closes nothing
  }
  return text.length
}
