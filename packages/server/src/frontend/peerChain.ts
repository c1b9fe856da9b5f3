/**
 * The certificates of a TLS client. A full handshake carries leaf and intermediates; a resumed one
 * (RFC 8446 §2.2) only what the ticket kept, and OpenSSL keeps the leaf alone. So the intermediates
 * of judged chains are remembered, by leaf, within a bound.
 */
import { hash, type X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import { Recent } from '../recent.ts'

export interface PeerChain {
  readonly leaf: Uint8Array
  readonly intermediates: readonly Uint8Array[]
}

export class PeerChains {
  readonly #lengthMax: number
  readonly #remembered: Recent<readonly Uint8Array[]>

  constructor(lengthMax: number, rememberedMax: number) {
    this.#lengthMax = lengthMax
    this.#remembered = new Recent(rememberedMax)
  }

  read(socket: TLSSocket): PeerChain | undefined {
    const certificate = socket.getPeerX509Certificate()
    if (certificate === undefined) return undefined
    const leaf = certificate.raw
    if (socket.isSessionReused())
      return { leaf, intermediates: this.#remembered.get(fingerprintOf(leaf)) ?? [] }
    const intermediates: Uint8Array[] = []
    let issuer: X509Certificate | undefined = certificate.issuerCertificate
    while (issuer !== undefined && intermediates.length < this.#lengthMax) {
      intermediates.push(issuer.raw)
      issuer = issuer.issuerCertificate
    }
    return { leaf, intermediates }
  }

  /**
   * Only for chains that were judged good: a stranger must not fill the memory. A leaf below its
   * anchor needs no help.
   */
  remember(key: string, chain: PeerChain): void {
    this.#remembered.set(key, chain.intermediates)
  }
}

/** As `VerifiedPeer.fingerprint` has it. */
export function fingerprintOf(der: Uint8Array): string {
  return hash('sha256', der, 'hex')
}
