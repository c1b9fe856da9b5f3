/**
 * The keys of an element for EDHOC (RFC 9528): one that signs in the form of COSE, r || s, one that
 * is a static Diffie-Hellman key, and ephemeral ones. Either way they stay where they are.
 */
import { createHash } from 'node:crypto'
import { concat } from '@countersign/core/codec'
import type { HandshakeKey, StaticKey, UsableSuite } from '@countersign/core/edhoc'
import type { ChannelCrypto, SecretKey, Signer } from '@countersign/core/ports'
import { type ElementError, elementError, type SecureElement } from './ports.ts'

/** Methods 0 and 1 of an initiator, 0 and 2 of a responder. `spki` is that of the certificate. */
export function elementCoseSigner(element: SecureElement, slot: number, spki: Uint8Array): Signer {
  return {
    scheme: { kind: 'ecdsa', hash: 'sha256', encoding: 'p1363' },
    spki,
    sign: (message) => element.sign(slot, createHash('sha256').update(message).digest()),
  }
}

/**
 * The other methods. Throws ERR_ELEMENT_UNSUPPORTED for an element that does not agree. The secret
 * comes over the bus of a chip in clear; the ephemeral keys of the handshake do not, where they are
 * the host's.
 */
export function elementStaticKey(
  element: SecureElement,
  slot: number,
  crypto: Pick<ChannelCrypto, 'importSecret'>,
): StaticKey {
  if (element.ecdh === undefined) {
    throw elementError(
      'ERR_ELEMENT_UNSUPPORTED',
      'this element does not agree on secrets',
      { slot },
      { hint: 'Choose a method in which this side signs.' },
    )
  }
  const ecdh = element.ecdh.bind(element)
  return {
    agree: async (peerShare) => imported(crypto, await ecdh(slot, pointOf(peerShare))),
  }
}

/** As the initiator's side of a channel takes it: makes the key of one handshake. */
export type MakeHandshakeKey = (suite: UsableSuite, agreements: number) => Promise<HandshakeKey>

/**
 * Ephemeral keys that are made in the element and agree there. Throws ERR_ELEMENT_UNSUPPORTED for an
 * element that makes none. The secret comes over the bus of a chip in clear, and with it whoever
 * listens there and on the air has the keys of the channel: for hosts whose own random numbers are
 * worth less than that.
 */
export function elementEphemeral(
  element: SecureElement,
  crypto: Pick<ChannelCrypto, 'importSecret'>,
): MakeHandshakeKey {
  if (element.ephemeral === undefined) {
    throw elementError(
      'ERR_ELEMENT_UNSUPPORTED',
      'this element makes no ephemeral keys',
      {},
      { hint: 'Leave "--ephemeral element" out: the host makes them then.' },
    )
  }
  const make = element.ephemeral.bind(element)
  return async ({ curve }, agreements) => {
    if (curve.name !== 'P-256') throw otherCurve(curve.name)
    const key = await make(agreements)
    return {
      share: concat(uncompressed, key.point),
      agree: async (peerShare) => imported(crypto, await key.agree(pointOf(peerShare))),
    }
  }
}

/** SEC 1 §2.3.3: 04, X, Y. The port of elements takes the point alone. */
const uncompressed = Uint8Array.of(4)
const shareLength = 65

function pointOf(peerShare: Uint8Array): Uint8Array {
  if (peerShare.length === shareLength) return peerShare.subarray(1)
  throw otherCurve(`a share of ${peerShare.length} bytes`)
}

function otherCurve(what: string): ElementError {
  return elementError(
    'ERR_ELEMENT_UNSUPPORTED',
    `the keys of an element are of P-256, the suite takes ${what}`,
    {},
    { hint: 'Choose suite 2 or 3.' },
  )
}

function imported(crypto: Pick<ChannelCrypto, 'importSecret'>, secret: Uint8Array): SecretKey {
  try {
    return crypto.importSecret(secret)
  } finally {
    secret.fill(0)
  }
}
