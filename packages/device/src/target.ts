/** Which server a device talks to and how it knows it: an address and the digest of a key. */
import { CallerError } from '@countersign/core/errors'
import type { DeviceErrorCode } from './errors.ts'

export interface ServerTarget {
  /** `https://host:port`, or the same of another scheme; nothing behind it. */
  readonly url: string
  readonly host: string
  readonly port: number
  /** SHA-256 of the SubjectPublicKeyInfo of the server issuing CA, lower-case hex. */
  readonly anchor: string
}

export type Scheme = 'https' | 'mqtts' | 'coap'

/** RFC 9110 §4.2.2; IANA's service name `secure-mqtt`; RFC 7252 §6.1. */
const defaultPorts: Readonly<Record<Scheme, number>> = { https: 443, mqtts: 8883, coap: 5683 }
/** Where a command takes the address from. */
const options: Readonly<Record<Scheme, string>> = {
  https: '--server',
  mqtts: '--mqtts',
  coap: '--coap',
}

export function parseTarget(url: string, anchor: string, scheme: Scheme = 'https'): ServerTarget {
  const pin = anchor.replaceAll(':', '').toLowerCase()
  if (!/^[0-9a-f]{64}$/.test(pin)) {
    throw new CallerError<DeviceErrorCode>(
      'ERR_ANCHOR_FORMAT',
      'the anchor is a SHA-256 digest: 64 hex digits',
      {},
      { where: '--anchor', hint: 'Take it from "countersign identity invite --json".' },
    )
  }
  const authority = authorityOf(url, scheme)
  if (authority === undefined) throw noServer(url, scheme)
  const { host, port } = authority
  // RFC 3986 §3.2.2: a literal IPv6 address stands in brackets.
  return {
    url: urlOf(scheme, host, port),
    host: host.replace(/^\[(.*)\]$/, '$1'),
    port,
    anchor: pin,
  }
}

function authorityOf(url: string, scheme: Scheme): { host: string; port: number } | undefined {
  if (!url.toLowerCase().startsWith(`${scheme}://`) || !URL.canParse(url)) return undefined
  // WHATWG: only the schemes that a URL parser knows have their hosts put in one form, so the host
  // is read under https; there a port of 443 disappears, so the port is read as it stands.
  const { port } = new URL(url)
  const twin = `https${url.slice(scheme.length)}`
  if (!URL.canParse(twin)) return undefined
  const { hostname, pathname, search, hash, username, password } = new URL(twin)
  if (pathname !== '/' || `${search}${hash}${username}${password}` !== '') return undefined
  return { host: hostname, port: Number(port || defaultPorts[scheme]) }
}

/** The port of https is left out where it says nothing, as `URL.origin` does. */
function urlOf(scheme: Scheme, host: string, port: number): string {
  return scheme === 'https' && port === defaultPorts.https
    ? `https://${host}`
    : `${scheme}://${host}:${port}`
}

function noServer(url: string, scheme: Scheme): CallerError<DeviceErrorCode> {
  return new CallerError(
    'ERR_SERVER_URL',
    `${JSON.stringify(url)} does not name a server`,
    {},
    {
      where: options[scheme],
      hint: `Use ${scheme}://HOST:PORT, as "countersign identity invite" printed it.`,
    },
  )
}
