/** Which server a device talks to and how it knows it: an address and the digest of a key. */
import { CallerError } from '@countersign/core/errors'
import type { DeviceErrorCode } from './errors.ts'

export interface ServerTarget {
  /** `https://host:port`, nothing behind it. */
  readonly url: string
  readonly host: string
  readonly port: number
  /** SHA-256 of the SubjectPublicKeyInfo of the server issuing CA, lower-case hex. */
  readonly anchor: string
}

export function parseTarget(url: string, anchor: string): ServerTarget {
  const pin = anchor.replaceAll(':', '').toLowerCase()
  if (!/^[0-9a-f]{64}$/.test(pin)) {
    throw new CallerError<DeviceErrorCode>(
      'ERR_ANCHOR_FORMAT',
      'the anchor is a SHA-256 digest: 64 hex digits',
      {},
      { where: '--anchor', hint: 'Take it from "countersign identity invite --json".' },
    )
  }
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  const plain = parsed !== undefined && parsed.pathname === '/' && parsed.search === ''
  if (parsed?.protocol !== 'https:' || !plain || parsed.username !== '') {
    throw new CallerError<DeviceErrorCode>(
      'ERR_SERVER_URL',
      `${JSON.stringify(url)} does not name a server`,
      {},
      {
        where: '--server',
        hint: 'Use https://HOST:PORT, as "countersign identity invite" printed it.',
      },
    )
  }
  const host = parsed.hostname.replace(/^\[(.*)\]$/, '$1')
  return { url: parsed.origin, host, port: Number(parsed.port || 443), anchor: pin }
}
