/**
 * The states of the initiator (RFC 9528 §5):
 *
 * Initiator → WaitMessage2 → JudgeResponder → ComposeMessage3 → Unconfirmed → Session
 *
 * Nothing of this side's identity goes out before the application has judged the responder and the
 * responder has shown its key. A step that throws ends the handshake.
 */
import { equalBytes } from '../codec/index.ts'
import { type CredentialReference, encodeByteIdentifier } from '../cose/index.ts'
import type { EadItem } from './ead.ts'
import { edhocError } from './edhocError.ts'
import { isErrorMessage, parseError } from './errorMessage.ts'
import {
  context2,
  context3,
  nextTranscriptHash,
  Prk2e,
  type Prk3e2m,
  type Prk4e3m,
  th2,
} from './keySchedule.ts'
import { encodeMessage1, encodeSealed, parseMessage2, parseMessage4 } from './messages.ts'
import { type Method, macLength } from './methods.ts'
import { OneShot } from './oneShot.ts'
import {
  encodePlaintext3,
  type Plaintext2,
  parsePlaintext2,
  parsePlaintext4,
} from './plaintexts.ts'
import { peerShare, shareOnWire } from './points.ts'
import {
  checkProof,
  firstProvenElsewhere,
  macFields,
  makeProof,
  requireOwn,
  requirePeer,
  type TrustedCredential,
} from './proof.ts'
import {
  agreementsOf,
  type HandshakeKey,
  open,
  type Session,
  type SideOptions,
  seal,
  understood,
} from './session.ts'
import type { Offer, UsableSuite } from './suites.ts'

export interface InitiatorOptions extends SideOptions {
  readonly method: Method
  /** What `offer` gives. */
  readonly offer: Offer
  readonly cI: Uint8Array
  /**
   * Gives the ephemeral key: `crypto.generateEphemeral` where nothing is said. It may be inside of an
   * element, made before, or be one that a trace prescribes.
   */
  readonly ephemeral?: (suite: UsableSuite, agreements: number) => HandshakeKey
}

/** What has been agreed on; each state adds its part. */
interface Agreed extends InitiatorOptions {
  readonly suite: UsableSuite
  readonly key: HandshakeKey
  readonly message1: Uint8Array
}

export class Initiator extends OneShot {
  readonly #options: InitiatorOptions

  /**
   * Throws CallerError ERR_EDHOC_CREDENTIAL for a credential that the method or suite cannot use.
   */
  constructor(options: InitiatorOptions) {
    super()
    requireOwn(options.own, options.offer.suite, options.method.initiator)
    this.#options = options
  }

  /** message_1, once: store the bytes, and send them again when they were lost. */
  send(ead: readonly EadItem[] = []): {
    readonly message1: Uint8Array
    readonly next: WaitMessage2
  } {
    this.spend()
    const { crypto, method, offer, cI, ephemeral } = this.#options
    const { suitesI, suite } = offer
    const agreements = agreementsOf(method.responder)
    const key =
      ephemeral?.(suite, agreements) ?? crypto.generateEphemeral(suite.curve.group, agreements)
    const gX = shareOnWire(suite, key.share)
    const message1 = encodeMessage1({ method, suitesI, gX, cI, ead })
    return { message1, next: new WaitMessage2({ ...this.#options, suite, key, message1 }) }
  }
}

export class WaitMessage2 extends OneShot {
  readonly #agreed: Agreed

  constructor(agreed: Agreed) {
    super()
    this.#agreed = agreed
  }

  /**
   * message_2. Throws PeerError: ERR_EDHOC_PEER for an error message, which nobody authenticates,
   * ERR_EDHOC_POINT, or what is wrong with its form; and what an ephemeral key elsewhere throws.
   */
  async receive(bytes: Uint8Array): Promise<JudgeResponder> {
    this.spend()
    throwIfError(bytes)
    const { crypto, suite, method, key, cI, message1 } = this.#agreed
    // A copy: what is parsed are views, and the caller may use its buffer again. (`slice` of a
    // Buffer is a view too.)
    const { gY, ciphertext2 } = parseMessage2(Uint8Array.from(bytes), suite)
    const hash2 = th2(crypto, suite, gY, message1)
    const gXY = await key.agree(peerShare(crypto, suite, gY))
    const prk2e = Prk2e.from(crypto, suite, hash2, gXY)
    const bytes2 = prk2e.cipher(ciphertext2)
    const plaintext2 = parsePlaintext2(bytes2, suite, method)
    if (equalBytes(plaintext2.cR, cI)) {
      throw edhocError('ERR_EDHOC_MESSAGE', 'C_R is the same as C_I')
    }
    return new JudgeResponder({ ...this.#agreed, gY, hash2, prk2e, bytes2, plaintext2 })
  }
}

interface Received extends Agreed {
  readonly gY: Uint8Array
  readonly hash2: Uint8Array
  readonly prk2e: Prk2e
  readonly bytes2: Uint8Array
  readonly plaintext2: Plaintext2
}

/** The decision about the responder. Whoever does not accept drops this state. */
export class JudgeResponder extends OneShot {
  /** What the responder calls its credential. */
  readonly reference: CredentialReference
  readonly ead: readonly EadItem[]
  readonly #received: Received

  constructor(received: Received) {
    super()
    this.reference = received.plaintext2.reference
    this.ead = understood(received, received.plaintext2.ead)
    this.#received = received
  }

  /**
   * The credential that the reference names, after it was judged: its path, dates, use, revocation.
   * Where several have this name, all of them that pass.
   * Throws PeerError ERR_EDHOC_PROOF when the responder has not its key.
   */
  async accept(...candidates: readonly TrustedCredential[]): Promise<ComposeMessage3> {
    this.spend()
    return await firstProvenElsewhere(candidates, (peer) => this.#check(peer))
  }

  async #check(peer: TrustedCredential): Promise<ComposeMessage3> {
    const { crypto, suite, method, own, key, hash2, prk2e, bytes2, plaintext2 } = this.#received
    requirePeer(peer, own, method.responder)
    const prk3e2m =
      peer.kind === 'static key'
        ? prk2e.withStaticKey(await key.agree(peerShare(crypto, suite, peer.g)))
        : prk2e.signed()
    const fields = macFields(plaintext2, hash2, peer.credential)
    const context = context2(encodeByteIdentifier(plaintext2.cR), fields)
    const mac2 = prk3e2m.mac2(context, macLength(suite, method.responder))
    checkProof(crypto, suite, peer, fields, mac2, plaintext2.proof)
    const hash3 = nextTranscriptHash(crypto, suite, hash2, bytes2, peer.credential)
    return new ComposeMessage3({ ...this.#received, peer, prk3e2m, hash3 })
  }
}

interface Judged extends Received {
  readonly peer: TrustedCredential
  readonly prk3e2m: Prk3e2m
  readonly hash3: Uint8Array
}

export class ComposeMessage3 extends OneShot {
  readonly #judged: Judged

  constructor(judged: Judged) {
    super()
    this.#judged = judged
  }

  /** Once: store the bytes, and send them again when they were lost. */
  async send(ead: readonly EadItem[] = []): Promise<{
    readonly message3: Uint8Array
    readonly next: Unconfirmed
  }> {
    this.spend()
    const { crypto, suite, method, own, prk3e2m, hash3, cI, plaintext2, peer } = this.#judged
    const prk4e3m = await this.#prk4e3m()
    const { reference, credential } = own
    const fields = macFields({ reference, ead }, hash3, credential)
    const mac3 = prk4e3m.mac3(context3(fields), macLength(suite, method.initiator))
    const proof = await makeProof(suite, own, fields, mac3)
    const plaintext3 = encodePlaintext3({ reference, proof, ead })
    const ciphertext3 = seal(crypto, suite, prk3e2m.message3(hash3), hash3, plaintext3)
    const hash4 = nextTranscriptHash(crypto, suite, hash3, plaintext3, credential)
    const prkOut = prk4e3m.out(hash4)
    const session: Session = { method, suite, cI, cR: plaintext2.cR, peer, prkOut }
    const next = new Unconfirmed(this.#judged, session, prk4e3m, hash4)
    return { message3: encodeSealed(ciphertext3), next }
  }

  async #prk4e3m(): Promise<Prk4e3m> {
    const { crypto, suite, own, prk3e2m, hash3, gY } = this.#judged
    if (own.kind === 'signature') return prk3e2m.signed()
    return prk3e2m.withStaticKey(hash3, await own.key.agree(peerShare(crypto, suite, gY)))
  }
}

/**
 * The responder has not shown yet that it has the keys too. It does so by message_4 or by the first
 * message that is protected with them; until then `session` is not written down (§5.4.2).
 */
export class Unconfirmed extends OneShot {
  readonly session: Session
  readonly #options: SideOptions
  readonly #prk4e3m: Prk4e3m
  readonly #hash4: Uint8Array

  constructor(options: SideOptions, session: Session, prk4e3m: Prk4e3m, hash4: Uint8Array) {
    super()
    this.session = session
    this.#options = options
    this.#prk4e3m = prk4e3m
    this.#hash4 = hash4
  }

  /** message_4. Throws PeerError ERR_AEAD_OPEN when it is not of this handshake. */
  receive(bytes: Uint8Array): { readonly session: Session; readonly ead: readonly EadItem[] } {
    this.spend()
    throwIfError(bytes)
    const { crypto } = this.#options
    const { suite } = this.session
    const ciphertext4 = parseMessage4(bytes, suite)
    const messageKey = this.#prk4e3m.message4(this.#hash4)
    const plaintext4 = open(crypto, suite, messageKey, this.#hash4, ciphertext4)
    return { session: this.session, ead: understood(this.#options, parsePlaintext4(plaintext4)) }
  }
}

function throwIfError(answer: Uint8Array): void {
  if (!isErrorMessage(answer)) return
  const error = parseError(answer)
  throw edhocError('ERR_EDHOC_PEER', 'the other end answered with an error', {
    kind: error.kind,
    text: error.kind === 'unspecified' ? error.text : undefined,
    suitesR: error.kind === 'wrong suite' ? error.suitesR.join(', ') : undefined,
    code: error.kind === 'other' ? error.code : undefined,
  })
}
