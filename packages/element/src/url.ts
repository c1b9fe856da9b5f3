/**
 * Element URLs, parsed in one place:
 *
 *     sw:[NAME]                                  a software twin in the state folder ("software:" too)
 *     atecc608:/dev/i2c-1[?address=0x60]         a chip on a Linux I2C bus
 *     atecc608:swi:/dev/ttyS0                    a chip on a single wire, over a UART
 *     atecc608:relay:/path/to/socket[?address=0x60]   behind a relay of I2C transactions
 *     atecc608:emulator:FILE[?framing=i2c|swi][&times=real|none]   an emulated chip, kept in a file
 *     pkcs11:token=…;object=…[?module-path=…&pin-source=…]         a token (RFC 7512)
 *
 * Parsing opens nothing. The parts of a pkcs11 URI are its driver's.
 */
import { isAbsolute, resolve } from 'node:path'
import { type ElementError, elementError } from './ports.ts'

export type ElementUrl =
  | { readonly kind: 'software'; readonly file: string }
  | { readonly kind: 'atecc608'; readonly at: ChipPlace }
  | { readonly kind: 'pkcs11'; readonly uri: string }

export type ChipPlace =
  | { readonly kind: 'i2c'; readonly device: string; readonly address: number }
  | { readonly kind: 'swi'; readonly device: string }
  | { readonly kind: 'relay'; readonly socket: string; readonly address: number }
  | {
      readonly kind: 'emulator'
      readonly file: string
      readonly framing: 'i2c' | 'swi'
      readonly times: 'real' | 'none'
    }

export const softwareUrl = 'software:'

/** 7-bit, of a part as it is delivered (config byte 16 is C0). */
const defaultAddress = 0x60
const urlLengthMax = 2048

export function parseElementUrl(url: string): ElementUrl {
  const [, kind, rest] = /^([a-z0-9]+):(.*)$/.exec(url) ?? []
  if (url.length > urlLengthMax) throw wrong(url, `it is longer than ${urlLengthMax} characters`)
  if (kind === undefined || rest === undefined) {
    throw wrong(url, 'it begins with no kind of element, in lower case')
  }
  switch (kind) {
    case 'sw':
    case 'software':
      return { kind: 'software', file: softwareFile(url, rest) }
    case 'atecc608':
      return { kind: 'atecc608', at: chipPlace(url, rest) }
    case 'pkcs11':
      return { kind: 'pkcs11', uri: url }
    default:
      throw wrong(url, `there is no driver for ${kind}`)
  }
}

/**
 * The URL as it is kept: a path that was meant from the folder of the command is written out, so
 * that the same element is found from any folder. A twin's name stays: it is inside its state.
 */
export function absoluteElementUrl(url: string, folder: string): string {
  const parsed = parseElementUrl(url)
  if (parsed.kind !== 'atecc608') return url
  const path = placePath(parsed.at)
  if (isAbsolute(path)) return url
  const at = url.indexOf(`:${path}`, 'atecc608:'.length) + 1
  return `${url.slice(0, at)}${resolve(folder, path)}${url.slice(at + path.length)}`
}

function placePath(at: ChipPlace): string {
  switch (at.kind) {
    case 'i2c':
    case 'swi':
      return at.device
    case 'relay':
      return at.socket
    case 'emulator':
      return at.file
  }
}

function softwareFile(url: string, rest: string): string {
  if (rest === '') return 'element.json'
  // A plain name: a twin never leads out of the state folder.
  if (/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$/.test(rest)) return rest
  throw wrong(url, 'after the scheme stands a plain file name')
}

function chipPlace(url: string, rest: string): ChipPlace {
  const question = rest.indexOf('?')
  const place = question < 0 ? rest : rest.slice(0, question)
  const query = question < 0 ? '' : rest.slice(question + 1)
  // A bus is a device file of Linux: with anything else in front it is a way, or a slip.
  const [, way, path] = /^(?:([a-z0-9]+):)?(.+)$/.exec(place) ?? []
  if (path === undefined || (way === undefined && /^[a-z0-9]+:$/.test(path))) {
    throw wrong(url, 'it names no bus, socket or file')
  }
  if (/\p{Cc}/u.test(path)) throw wrong(url, 'a path has no control characters')
  switch (way) {
    case 'swi':
      parameters(url, query, [])
      return { kind: 'swi', device: path }
    case 'relay':
      return {
        kind: 'relay',
        socket: path,
        address: address(url, parameters(url, query, ['address'])),
      }
    case 'emulator': {
      const given = parameters(url, query, ['framing', 'times'])
      return {
        kind: 'emulator',
        file: path,
        framing: choice(url, given, 'framing', ['i2c', 'swi']),
        times: choice(url, given, 'times', ['real', 'none']),
      }
    }
    case undefined:
      if (!path.startsWith('/')) throw wrong(url, 'an I2C bus is a device file, as /dev/i2c-1')
      return {
        kind: 'i2c',
        device: path,
        address: address(url, parameters(url, query, ['address'])),
      }
    default:
      throw wrong(url, `a chip is on a bus, or behind swi:, relay: or emulator:, not ${way}:`)
  }
}

type Parameters = ReadonlyMap<string, string>

function parameters(url: string, query: string, known: readonly string[]): Parameters {
  const found = new Map<string, string>()
  if (query === '') return found
  for (const pair of query.split('&')) {
    const equals = pair.indexOf('=')
    const name = equals < 0 ? pair : pair.slice(0, equals)
    if (!known.includes(name)) throw wrong(url, `${JSON.stringify(name)} is no parameter of it`)
    if (equals < 0 || found.has(name)) throw wrong(url, `${name} has one value`)
    found.set(name, pair.slice(equals + 1))
  }
  return found
}

/** The first one is the default. */
function choice<T extends string>(
  url: string,
  given: Parameters,
  name: string,
  values: readonly [T, ...T[]],
): T {
  const text = given.get(name)
  if (text === undefined) return values[0]
  const value = values.find((one) => one === text)
  if (value === undefined) throw wrong(url, `${name} is one of ${values.join(', ')}`)
  return value
}

/** I2C keeps 00 to 07 and 78 to 7F for itself. */
function address(url: string, given: Parameters): number {
  const text = given.get('address')
  if (text === undefined) return defaultAddress
  const value = /^(?:0x[0-9a-f]{1,2}|[0-9]{1,3})$/i.test(text) ? Number(text) : Number.NaN
  if (value >= 0x08 && value <= 0x77) return value
  throw wrong(url, 'address is a 7-bit I2C address, 0x08 to 0x77')
}

function wrong(url: string, why: string): ElementError {
  return elementError(
    'ERR_ELEMENT_URL',
    `the element URL ${JSON.stringify(url.slice(0, 200))} is not usable: ${why}`,
    {},
    {
      where: 'element URL',
      hint:
        'Use "sw:", "atecc608:emulator:FILE", "atecc608:/dev/i2c-1?address=0x60", ' +
        '"atecc608:swi:/dev/ttyS0", "atecc608:relay:SOCKET?address=0x60" or a "pkcs11:" URI.',
    },
  )
}
