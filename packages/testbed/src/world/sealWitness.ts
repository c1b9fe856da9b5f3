/**
 * Sees that no nonce is used twice with one key for different plaintexts, which would break an AEAD
 * for good (RFC 8613 §12.3, RFC 5116 §2.1). It stands in a crypto provider, so that it knows keys
 * and nonces, and watches the wire, so that it knows what an adversary has: what was sealed and
 * never sent harms nobody, and is told apart. One witness watches both sides, and every life of
 * each.
 *
 * @example
 * const witness = new SealWitness()
 * const crypto = witness.watch(nodeCrypto)
 * network.observe(({ act, datagram }) => act === 'sent' && witness.see(datagram))
 * assert.deepEqual(witness.reused, [])
 */
import { hex } from '@countersign/core/codec'
import type { ChannelCrypto, SecretKey } from '@countersign/core/ports'
import { keyName, watched } from './watchedCrypto.ts'

/** The key is named by the first bytes of its hash: this ends in what a test prints. */
export interface Reuse {
  readonly key: string
  readonly nonce: string
  /** The two ciphertexts. */
  readonly first: string
  readonly second: string
}

interface Sealed {
  readonly key: string
  readonly nonce: string
  readonly ciphertext: Buffer
}

export class SealWitness {
  /** By key and nonce. */
  readonly #made: Map<string, Sealed> = new Map()
  readonly #sent: Map<string, Sealed> = new Map()
  /** Not yet on the wire. */
  readonly #unsent: Set<Sealed> = new Set()
  readonly #reused: Reuse[] = []
  readonly #remade: Reuse[] = []

  /** A provider that does the same, watched. */
  watch<Watched extends ChannelCrypto>(crypto: Watched): Watched {
    const seal: ChannelCrypto['seal'] = (aead, key, nonce, aad, plaintext) => {
      const ciphertext = crypto.seal(aead, key, nonce, aad, plaintext)
      this.#note(crypto, key, nonce, ciphertext)
      return ciphertext
    }
    // A provider without `sealPieces` seals whole messages: then there is one way to watch.
    return watched(crypto, { seal, sealPieces: undefined })
  }

  /** A datagram that an endpoint sent. */
  see(datagram: Uint8Array): void {
    const bytes = Buffer.from(datagram)
    for (const sealed of this.#unsent) {
      if (!bytes.includes(sealed.ciphertext)) continue
      this.#unsent.delete(sealed)
      compare(this.#sent, sealed, this.#reused)
    }
  }

  /** Nonces under which two different ciphertexts went over the wire. */
  get reused(): readonly Reuse[] {
    return this.#reused
  }

  /** Nonces under which two different ciphertexts were made, sent or not. */
  get remade(): readonly Reuse[] {
    return this.#remade
  }

  /** Ciphertexts that went over the wire: a witness that saw nothing proves nothing. */
  get seen(): number {
    return this.#sent.size
  }

  #note(crypto: ChannelCrypto, key: SecretKey, nonce: Uint8Array, ciphertext: Uint8Array): void {
    const sealed = {
      key: keyName(crypto, key),
      nonce: hex(nonce),
      ciphertext: Buffer.from(ciphertext),
    }
    compare(this.#made, sealed, this.#remade)
    this.#unsent.add(sealed)
  }
}

/** Remembers the first under each nonce, and puts a different one among the findings. */
function compare(known: Map<string, Sealed>, sealed: Sealed, findings: Reuse[]): void {
  const { key, nonce, ciphertext } = sealed
  const first = known.get(`${key} ${nonce}`)
  if (first === undefined) known.set(`${key} ${nonce}`, sealed)
  else if (!first.ciphertext.equals(ciphertext)) {
    findings.push({ key, nonce, first: hex(first.ciphertext), second: hex(ciphertext) })
  }
}
