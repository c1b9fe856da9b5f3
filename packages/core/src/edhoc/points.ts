/**
 * Ephemeral public keys between the wire and the port of crypto. On P-256 EDHOC carries the x
 * coordinate alone (RFC 9528 §3.7); the port takes a whole point. Either of the two y leads to the
 * same secret, which is an x coordinate too.
 */
import type { ChannelCrypto } from '../ports.ts'
import { edhocError } from './edhocError.ts'
import type { UsableSuite } from './suites.ts'

/** What `EphemeralKey.agree` takes of a G_X or G_Y. Throws PeerError ERR_EDHOC_POINT. */
export function peerShare(
  crypto: Pick<ChannelCrypto, 'pointOfX'>,
  { curve }: UsableSuite,
  g: Uint8Array,
): Uint8Array {
  if (g.length !== curve.length) {
    throw badPoint(curve.name, `it has ${g.length} bytes and not ${curve.length}`)
  }
  if (curve.name !== 'P-256') return g
  const point = crypto.pointOfX(g)
  if (point === undefined) throw badPoint(curve.name, 'no point of the curve has this x')
  return point
}

/** G_X or G_Y of a share that the port generated. */
export function shareOnWire({ curve }: UsableSuite, share: Uint8Array): Uint8Array {
  return curve.name === 'P-256' ? share.slice(1, 1 + curve.length) : share
}

function badPoint(curve: string, what: string): ReturnType<typeof edhocError> {
  return edhocError('ERR_EDHOC_POINT', `the ephemeral key is no key of ${curve}: ${what}`)
}
