/**
 * `pkcs11:` URLs (RFC 7512), strictly: a token by label, serial, model or manufacturer, a key by
 * `object`, and where the library and the PIN are. What we do not understand is refused rather than
 * ignored, because a misspelt attribute would find another token. Left out: `id`, `slot-id` (it
 * changes when a token is put in again), `library-…`, `module-name`, vendors' attributes.
 */
import { type ElementError, elementError } from '@countersign/core/ports'

export interface Pkcs11Url {
  /** One of the first two is always there. */
  readonly token?: string
  readonly serial?: string
  readonly model?: string
  readonly manufacturer?: string
  /** CKA_LABEL of a key pair. */
  readonly object?: string
  readonly modulePath: string
  /** File that holds the PIN. */
  readonly pinFile?: string
}

/** Longer than any path and label; an attribute of a token has 32 bytes at most. */
const urlLengthMax = 2048
const labelBytesMax = 64

const pathAttributes = ['token', 'serial', 'model', 'manufacturer', 'object'] as const

/** RFC 7512 §2.3: pk11-res-avail and unreserved, beside percent-encoding; `&` in the path only. */
const pathText = /^(?:[A-Za-z0-9\-._~:[\]@!$'()*+,=&]|%[0-9A-Fa-f]{2})*$/
const queryText = /^(?:[A-Za-z0-9\-._~:[\]@!$'()*+,=/?|]|%[0-9A-Fa-f]{2})*$/

const example =
  'pkcs11:token=dev;object=devkey?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/etc/countersign/pin'

export function parsePkcs11Url(url: string): Pkcs11Url {
  if (url.length > urlLengthMax) throw wrong(`it has more than ${urlLengthMax} characters`)
  if (!url.startsWith('pkcs11:')) throw wrong('it does not begin with pkcs11:')
  const [path = '', query, ...more] = url.slice('pkcs11:'.length).split('?')
  // A second question mark is legal inside a query (§2.3).
  const queryWhole = query === undefined ? '' : [query, ...more].join('?')
  const attributes = parseAttributes(path, ';', pathText)
  const queries = parseAttributes(queryWhole, '&', queryText)
  const found = { ...pathPart(attributes), ...queryPart(queries) }
  if (found.token === undefined && found.serial === undefined) {
    throw wrong('it names no token', 'Name one with token=LABEL or serial=NUMBER.')
  }
  return found
}

function pathPart(attributes: ReadonlyMap<string, string>): Omit<Pkcs11Url, 'modulePath'> {
  for (const [name, value] of attributes) {
    if (name === 'type') {
      if (value !== 'private') throw wrong('"type" can only be private: a key signs')
    } else if (!pathAttributes.some((known) => known === name)) {
      throw wrong(`${JSON.stringify(name)} is not used here`, pathHint)
    } else if (Buffer.byteLength(value) > labelBytesMax) {
      throw wrong(`"${name}" has more than ${labelBytesMax} bytes`)
    } else if (value === '') {
      throw wrong(`"${name}" is empty`)
    }
  }
  return Object.fromEntries(
    pathAttributes.flatMap((name) => {
      const value = attributes.get(name)
      return value === undefined ? [] : [[name, value]]
    }),
  )
}

const pathHint = `Known before the question mark: ${pathAttributes.join(', ')}, type.`

function queryPart(
  queries: ReadonlyMap<string, string>,
): Pick<Pkcs11Url, 'modulePath' | 'pinFile'> {
  for (const name of queries.keys()) {
    if (name === 'pin-value') {
      throw wrong(
        'a PIN in it would stand in shell histories and process listings',
        'Put the PIN into a file with mode 0600 and name it: pin-source=file:/path.',
      )
    }
    if (name !== 'module-path' && name !== 'pin-source') {
      throw wrong(
        `${JSON.stringify(name)} is not used here`,
        'Known after the question mark: module-path, pin-source.',
      )
    }
  }
  const modulePath = queries.get('module-path')
  if (modulePath === undefined || !modulePath.startsWith('/')) {
    throw wrong('it needs module-path, the whole path of the library of the token')
  }
  const source = queries.get('pin-source')
  return { modulePath, ...(source === undefined ? {} : { pinFile: pinFileOf(source) }) }
}

/** §2.4: a file URI or a path; another program (`|command`) is never started. */
function pinFileOf(source: string): string {
  const [, path] = /^(?:file:(?:\/\/)?)?(\/(?!\/).*)$/.exec(source) ?? []
  if (path !== undefined) return path
  throw wrong('pin-source is file: and a whole path')
}

function parseAttributes(
  text: string,
  separator: string,
  allowed: RegExp,
): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  if (text === '') return found
  for (const part of text.split(separator)) {
    const [, name, raw] = /^([a-z][a-z0-9-]*)=(.*)$/s.exec(part) ?? []
    if (name === undefined || raw === undefined) {
      // The part itself may be half a PIN: it is not repeated.
      throw wrong('a part of it is no name=value')
    }
    if (found.has(name)) throw wrong(`"${name}" stands twice in it`)
    if (!allowed.test(raw)) {
      throw wrong(`"${name}" holds a character that is written as %XX`, encodeHint)
    }
    found.set(name, decoded(name, raw))
  }
  return found
}

const encodeHint = 'A space is %20, a semicolon %3B.'

function decoded(name: string, raw: string): string {
  let text: string
  try {
    text = decodeURIComponent(raw)
  } catch {
    throw wrong(`"${name}" is not UTF-8`)
  }
  // oxlint-disable-next-line no-control-regex -- a name with them would lie in listings
  if (/[\u0000-\u001f\u007f]/.test(text)) throw wrong(`"${name}" holds a control character`)
  return text
}

/** The URL itself is not repeated: somebody may have put a PIN into it. */
function wrong(why: string, hint = `An example: ${example}`): ElementError {
  return elementError(
    'ERR_ELEMENT_URL',
    `the pkcs11: URL is not usable: ${why}`,
    {},
    { where: 'pkcs11:', hint },
  )
}

/** For messages and records: which token, without the way to its PIN. */
export function nameOfToken(url: Pkcs11Url): string {
  return url.token ?? `serial ${url.serial ?? ''}`
}
