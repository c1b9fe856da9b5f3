/**
 * The key of an element for EDHOC (RFC 9528): it signs in the form of COSE, r || s, or it is a static
 * Diffie-Hellman key. Either way it stays where it is.
 */
import { createHash } from 'node:crypto'
import type { StaticKey } from '@countersign/core/edhoc'
import type { ChannelCrypto, Signer } from '@countersign/core/ports'
import { elementError, type SecureElement } from './ports.ts'

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
 * comes over the bus of a chip in clear; the ephemeral keys of the handshake do not.
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
    async agree(peerShare) {
      // SEC 1 §2.3.3: 04, X, Y. The port of elements takes the point alone.
      if (peerShare.length !== 65) {
        throw elementError(
          'ERR_ELEMENT_UNSUPPORTED',
          `the key of an element is of P-256, the other one has ${peerShare.length} bytes`,
          { slot },
          { hint: 'Choose suite 2 or 3.' },
        )
      }
      const secret = await ecdh(slot, peerShare.subarray(1))
      try {
        return crypto.importSecret(secret)
      } finally {
        secret.fill(0)
      }
    },
  }
}
