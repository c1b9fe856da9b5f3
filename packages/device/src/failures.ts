/** A way to the server that is broken or too slow, in words. */
import { AdapterError, isCountersignError, PeerError } from '@countersign/core/errors'
import { errorCode } from '@countersign/element/shapes'
import type { DeviceErrorCode } from './errors.ts'
import type { ServerTarget } from './target.ts'
import type { Patience, World } from './world.ts'

/** Both with room for a slow element and a slow link. */
const patience: Patience = { handshakeMs: 10_000, answerMs: 30_000 }

export function patienceOf(world: World): Patience {
  return world.patience ?? patience
}

/** What the other end can do to TLS. Verdicts on the server have other codes. */
const wayCodes = /^ERR_(TLS_|KEY_SHARE)/

/** An error of the stream: verdicts, the element's word and our own mistakes stay what they are. */
export function wayBroken(target: ServerTarget, error: unknown): Error {
  if (!isCountersignError(error)) return unreachable(target, error)
  if (error instanceof PeerError && wayCodes.test(error.code)) return unreachable(target, error)
  // A stream does not know where it leads.
  const isNamed = error.where !== undefined || error.code !== 'ERR_SERVER_UNREACHABLE'
  return isNamed ? error : unreachable(target, undefined)
}

const reachHint = 'Check that "countersign serve" runs there and that host and port are right.'
const oldHint = 'The server does not speak TLS 1.3: let it, or look what else answers there.'
const devicesHint =
  'The server does not take the certificate of this device: "countersign identity why" tells its owner.'

/** By our code, or by the alert that the server sent. */
const hints: ReadonlyMap<string, string> = new Map([
  ['ERR_TLS_VERSION', oldHint],
  ['protocol_version', oldHint],
  ['no_application_protocol', 'This is another door of the server: compare host and port.'],
  [
    'decrypt_error',
    "What the element signed does not fit the device's certificate: look at its key.",
  ],
  ['unknown_ca', devicesHint],
  ['bad_certificate', devicesHint],
  ['certificate_unknown', devicesHint],
  ['certificate_expired', devicesHint],
  ['certificate_revoked', devicesHint],
])

export function unreachable(target: ServerTarget, cause: unknown): AdapterError<DeviceErrorCode> {
  const code = errorCode(cause) ?? 'closed'
  const alert = isCountersignError(cause) ? String(cause.details['alert'] ?? '') : ''
  const said = isCountersignError(cause) ? `: ${cause.message}` : ''
  return new AdapterError(
    'ERR_SERVER_UNREACHABLE',
    `the connection to the server failed (${code})${said}`,
    { reason: code },
    {
      where: target.url,
      hint: hints.get(code) ?? hints.get(alert) ?? reachHint,
      cause,
    },
  )
}

export function timeout(
  target: ServerTarget,
  what: string,
  ms: number,
): AdapterError<DeviceErrorCode> {
  return new AdapterError(
    'ERR_SERVER_TIMEOUT',
    `${what} did not come within ${ms / 1000} seconds`,
    {},
    {
      where: target.url,
      hint: 'Check the network between; the server may be overloaded, or something else answers there.',
    },
  )
}
