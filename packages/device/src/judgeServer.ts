/**
 * Is this the server of the anchor? Path (RFC 5280 §6), role, explicit serverAuth and name (RFC
 * 9525) through the one judge; the anchor is that CA of the handshake whose key is pinned.
 */
import { PeerError } from '@countersign/core/errors'
import { type ServerTrust, trustPinned } from '@countersign/core/tls'
import type { DeviceErrorCode } from './errors.ts'
import type { ServerTarget } from './target.ts'
import type { World } from './world.ts'

/** Returns the proof, or throws the reason with what a device can do about it. */
export function trustOf({ url, host, anchor }: ServerTarget, world: World): ServerTrust {
  const trust = trustPinned({ crypto: world.crypto, clock: world.clock, host, anchor })
  return (presented) => {
    try {
      return trust(presented)
    } catch (error) {
      throw adviceOn(error, url, world)
    }
  }
}

/** What core cannot know: where the server was looked for, what command tells the anchor, the clock. */
export function adviceOn(error: unknown, url: string, world: World): unknown {
  if (!(error instanceof PeerError) || error.code !== 'ERR_ANCHOR_MISMATCH') {
    return withClockHint(error, world)
  }
  const hint =
    'Compare the anchor with "countersign identity invite" of the right server; if it is right, somebody stands in between.'
  return new PeerError<DeviceErrorCode>('ERR_ANCHOR_MISMATCH', error.message, error.details, {
    where: url,
    hint,
    cause: error,
  })
}

/** A wrong clock looks like a wrong certificate: say which it may be. */
function withClockHint(error: unknown, world: World): unknown {
  if (!(error instanceof PeerError)) return error
  const dated = ['ERR_CERT_EXPIRED', 'ERR_CERT_NOT_YET_VALID', 'ERR_CHAIN_EXPIRED']
  if (!dated.includes(error.code)) return error
  const now = new Date(world.clock.now()).toISOString()
  const hint = `The clock of this machine says ${now}: set it if that is wrong, else the server needs a new certificate.`
  const { where } = error
  return new PeerError(error.code, error.message, error.details, {
    ...(where === undefined ? {} : { where }),
    hint,
    cause: error,
  })
}
