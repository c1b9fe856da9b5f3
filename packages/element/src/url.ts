/**
 * Element URLs, parsed in one place: `software:` is a twin in the file `element.json` of the state
 * folder, `software:NAME` in the file NAME there. Other kinds come with their drivers.
 */
import { type ElementError, elementError } from '@countersign/core/ports'

export type ElementUrl = { readonly kind: 'software'; readonly file: string }

export const softwareUrl = 'software:'

export function parseElementUrl(url: string): ElementUrl {
  const [, kind, rest] = /^([a-z0-9]+):(.*)$/.exec(url) ?? []
  if (kind === undefined || rest === undefined) throw wrong(url, 'it has no scheme')
  if (kind !== 'software') throw wrong(url, `there is no driver for ${kind}`)
  if (rest === '') return { kind: 'software', file: 'element.json' }
  // A plain name: an element never leads out of the state folder.
  if (!/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$/.test(rest)) {
    throw wrong(url, 'after the scheme stands a plain file name')
  }
  return { kind: 'software', file: rest }
}

function wrong(url: string, why: string): ElementError {
  return elementError(
    'ERR_ELEMENT_URL',
    `the element URL ${JSON.stringify(url)} is not usable: ${why}`,
    {},
    {
      where: '--element',
      hint: 'Use "software:" for a software element in the state folder.',
    },
  )
}
