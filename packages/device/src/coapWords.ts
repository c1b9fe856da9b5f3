/** Failures of the narrow channel in the words of a device's commands. */
import { AdapterError, isCountersignError, PeerError } from '@countersign/core/errors'
import { type Milliseconds, isElementError } from '@countersign/core/ports'
import type { DeviceErrorCode } from './errors.ts'
import { unreachable } from './failures.ts'
import { adviceOn } from './judgeServer.ts'
import type { Problem } from './problem.ts'
import { refusalOf } from './refusal.ts'
import { Later } from './retry.ts'
import type { RoadParts } from './road.ts'
import { coapStateDamaged } from './state/coapState.ts'
import { stateFiles } from './state/folder.ts'
import type { ServerTarget } from './target.ts'

/** What somebody on the path can do to a handshake. Verdicts on the server have other codes. */
const wayCodes = /^ERR_(EDHOC_|CBOR_|COSE_|KEY_SHARE|AEAD_|COAP_)/

export interface Circumstances extends Pick<RoadParts, 'state' | 'world'> {
  readonly target: ServerTarget
  /** Of the link, why its last datagram did not go out. */
  readonly fault: unknown
  /** Why the attempt before this one came to nothing. */
  readonly before: string | undefined
}

export function inWords(
  error: unknown,
  { state, world, target, fault, before }: Circumstances,
): unknown {
  if (!isCountersignError(error) || isElementError(error)) return error
  const { code, message, details, cause } = error
  const about = problemOf(message)
  switch (code) {
    case 'ERR_EDHOC_SIGNER':
      // What the element says of itself is clearer than what the handshake makes of it.
      return isElementError(cause) ? cause : error
    case 'ERR_NARROW_RECORD':
      return coapStateDamaged(stateFiles(state.folder).coap, error)
    case 'ERR_NARROW_TIMEOUT':
      return silence(target, error, fault)
    case 'ERR_NARROW_BUDGET':
      return new Later(
        'this device pauses between two handshakes',
        problemOf(before === undefined ? message : `${before}; ${message}`),
        Number(details['afterMs']),
        waitHint,
      )
    case 'ERR_NARROW_BUSY':
      return new Later('the server cannot take this device now', about, busyMs, waitHint)
    case 'ERR_NARROW_REFUSED':
      return refusalOf(state, world, about)
    case 'ERR_CHAIN_UNKNOWN_ISSUER':
      return adviceOn(otherIssuer(error), target.url, world)
    case 'ERR_NARROW_CREDENTIAL':
    case 'ERR_NARROW_CLOSED':
      return unreachable(target, error)
    default:
      if (error instanceof PeerError || error instanceof AdapterError) {
        if (wayCodes.test(code)) return unreachable(target, error)
      }
      return adviceOn(error, target.url, world)
  }
}

const waitHint = 'It is tried again when the time has come.'
/** What a handshake that was turned away under load waits at least. */
const busyMs: Milliseconds = 2_000

/** Nothing on UDP says that nobody is there. */
function silence(
  target: ServerTarget,
  cause: unknown,
  fault: unknown,
): AdapterError<DeviceErrorCode> {
  if (fault !== undefined) return unreachable(target, fault)
  return new AdapterError(
    'ERR_SERVER_TIMEOUT',
    'the server did not answer',
    {},
    {
      where: target.url,
      hint: 'Check that "countersign serve" runs there, and that UDP goes through to this port.',
      cause,
    },
  )
}

/** A device that has met its server keeps the issuer, and asks for the leaf alone. */
function otherIssuer(cause: unknown): PeerError<DeviceErrorCode> {
  return new PeerError(
    'ERR_ANCHOR_MISMATCH',
    'the server is not the one of the anchor: another authority issued its certificate',
    {},
    { cause },
  )
}

function problemOf(message: string): Problem {
  return { status: 0, code: undefined, message, hint: undefined }
}
