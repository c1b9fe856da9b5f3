/**
 * The states of the responder (RFC 9528 §5):
 *
 * Responder → ComposeMessage2 → WaitMessage3 → JudgeInitiator → Authenticated
 *
 * The application judges the initiator before anything it says counts. A step that throws ends the
 * handshake; `answerTo` of errorAnswer.ts says what to answer.
 */
import { equalBytes } from '../codec/index.ts'
import { type CredentialReference, encodeByteIdentifier } from '../cose/index.ts'
import type { EphemeralKey } from '../ports.ts'
import { type EadItem, encodeEad } from './ead.ts'
import { edhocError, useError } from './edhocError.ts'
import {
  context2,
  context3,
  nextTranscriptHash,
  Prk2e,
  type Prk3e2m,
  type Prk4e3m,
  th2,
} from './keySchedule.ts'
import {
  encodeMessage2,
  encodeSealed,
  type Message1,
  parseMessage1,
  parseMessage3,
} from './messages.ts'
import { type Method, type MethodNumber, macLength } from './methods.ts'
import { OneShot } from './oneShot.ts'
import { encodePlaintext2, type Plaintext3, parsePlaintext3 } from './plaintexts.ts'
import { peerShare, shareOnWire } from './points.ts'
import {
  checkProof,
  firstProven,
  macFields,
  makeProof,
  type OwnCredential,
  requireOwn,
  requirePeer,
  type TrustedCredential,
} from './proof.ts'
import { agreementsOf, open, type Session, type SideOptions, seal, understood } from './session.ts'
import { acceptSelected, type UsableSuite } from './suites.ts'

export interface ResponderOptions extends Omit<SideOptions, 'own'> {
  readonly methods: readonly MethodNumber[]
  readonly suites: readonly UsableSuite[]
  /** Makes the ephemeral key: `crypto.generateEphemeral`, or one that a trace prescribes. */
  readonly ephemeral?: (suite: UsableSuite, agreements: number) => EphemeralKey
}

interface Offered extends ResponderOptions {
  readonly suite: UsableSuite
  readonly message1: Message1
  readonly bytes1: Uint8Array
}

export class Responder extends OneShot {
  readonly #options: ResponderOptions

  constructor(options: ResponderOptions) {
    super()
    this.#options = options
  }

  /** message_1. Throws PeerError ERR_EDHOC_SUITE, ERR_EDHOC_METHOD, or what is wrong with it. */
  receive(bytes: Uint8Array): ComposeMessage2 {
    this.spend()
    // A copy: what is parsed are views, and the caller may use its buffer again. (`slice` of a
    // Buffer is a view too.)
    const bytes1 = Uint8Array.from(bytes)
    const message1 = parseMessage1(bytes1)
    const { number } = message1.method
    if (!this.#options.methods.includes(number)) {
      throw edhocError('ERR_EDHOC_METHOD', `method ${number} is not taken here`, { number })
    }
    const suite = acceptSelected(message1.suitesI, this.#options.suites)
    return new ComposeMessage2({ ...this.#options, suite, message1, bytes1 })
  }
}

export interface Answer {
  readonly own: OwnCredential
  /** Other than C_I. */
  readonly cR: Uint8Array
  readonly ead?: readonly EadItem[]
}

export class ComposeMessage2 extends OneShot {
  readonly method: Method
  readonly suite: UsableSuite
  readonly cI: Uint8Array
  /** Anyone can have written it. */
  readonly ead: readonly EadItem[]
  readonly #offered: Offered

  constructor(offered: Offered) {
    super()
    this.method = offered.message1.method
    this.suite = offered.suite
    this.cI = offered.message1.cI
    this.ead = understood(offered, offered.message1.ead)
    this.#offered = offered
  }

  /** Once: store the bytes, and send them again when they were lost. */
  async send({ own, cR, ead = [] }: Answer): Promise<{
    readonly message2: Uint8Array
    readonly next: WaitMessage3
  }> {
    this.spend()
    const { crypto, suite, message1, bytes1, ephemeral } = this.#offered
    const { method } = message1
    requireAnswer(own, cR, message1, suite)
    const gX = peerShare(crypto, suite, message1.gX)
    const agreements = agreementsOf(method.initiator)
    const key =
      ephemeral?.(suite, agreements) ?? crypto.generateEphemeral(suite.curve.group, agreements)
    const gY = shareOnWire(suite, key.share)
    const hash2 = th2(crypto, suite, gY, bytes1)
    const prk2e = Prk2e.from(crypto, suite, hash2, key.agree(gX))
    const prk3e2m =
      own.kind === 'signature' ? prk2e.signed() : prk2e.withStaticKey(await own.key.agree(gX))
    const { reference, credential } = own
    const fields = macFields({ reference, ead }, hash2, credential)
    const context = context2(encodeByteIdentifier(cR), fields)
    const mac2 = prk3e2m.mac2(context, macLength(suite, method.responder))
    const proof = await makeProof(suite, own, fields, mac2)
    const plaintext2 = encodePlaintext2({ cR, reference, proof, ead })
    const hash3 = nextTranscriptHash(crypto, suite, hash2, plaintext2, credential)
    const message2 = encodeMessage2({ gY, ciphertext2: prk2e.cipher(plaintext2) })
    return { message2, next: new WaitMessage3({ ...this.#offered, own, cR, key, prk3e2m, hash3 }) }
  }
}

function requireAnswer(
  own: OwnCredential,
  cR: Uint8Array,
  { method, cI }: Message1,
  suite: UsableSuite,
): void {
  requireOwn(own, suite, method.responder)
  if (!equalBytes(cR, cI)) return
  throw useError(
    'ERR_EDHOC_IDENTIFIER',
    'C_R is the same as C_I',
    'Choose one that differs: both become identifiers of OSCORE.',
  )
}

interface Sent extends Offered {
  readonly own: OwnCredential
  readonly cR: Uint8Array
  readonly key: EphemeralKey
  readonly prk3e2m: Prk3e2m
  readonly hash3: Uint8Array
}

export class WaitMessage3 extends OneShot {
  readonly #sent: Sent

  constructor(sent: Sent) {
    super()
    this.#sent = sent
  }

  /**
   * Throws what `receive` would throw for a message that is not of this handshake, and changes
   * nothing. Without it one wrong message ends the handshake (§5.4.3), whoever sent it: what opens
   * was made by whoever sent message_1, what does not can be anybody's. A caller who goes on counts
   * them.
   */
  requireOpens(bytes: Uint8Array): void {
    this.#open(bytes)
  }

  /** Throws PeerError ERR_AEAD_OPEN when it is not of this handshake. */
  receive(bytes: Uint8Array): JudgeInitiator {
    this.spend()
    const { suite, message1 } = this.#sent
    const bytes3 = this.#open(bytes)
    const plaintext3 = parsePlaintext3(bytes3, suite, message1.method)
    return new JudgeInitiator({ ...this.#sent, bytes3, plaintext3 })
  }

  #open(bytes: Uint8Array): Uint8Array {
    const { crypto, suite, prk3e2m, hash3 } = this.#sent
    const ciphertext3 = parseMessage3(bytes, suite)
    return open(crypto, suite, prk3e2m.message3(hash3), hash3, ciphertext3)
  }
}

interface Opened extends Sent {
  readonly bytes3: Uint8Array
  readonly plaintext3: Plaintext3
}

/** The decision about the initiator. Whoever does not accept drops this state. */
export class JudgeInitiator extends OneShot {
  /** What the initiator calls its credential. */
  readonly reference: CredentialReference
  readonly ead: readonly EadItem[]
  readonly #opened: Opened

  constructor(opened: Opened) {
    super()
    this.reference = opened.plaintext3.reference
    this.ead = understood(opened, opened.plaintext3.ead)
    this.#opened = opened
  }

  /**
   * The credential that the reference names, after it was judged: its path, dates, use, revocation.
   * Where several have this name, all of them that pass.
   * Throws PeerError ERR_EDHOC_PROOF when the initiator has not its key.
   */
  accept(...candidates: readonly TrustedCredential[]): Authenticated {
    this.spend()
    return firstProven(candidates, (peer) => this.#check(peer))
  }

  #check(peer: TrustedCredential): Authenticated {
    const { crypto, suite, message1, own, key, prk3e2m, hash3, bytes3, plaintext3, cR } =
      this.#opened
    const { method, cI } = message1
    requirePeer(peer, own, method.initiator)
    const prk4e3m =
      peer.kind === 'static key'
        ? prk3e2m.withStaticKey(hash3, key.agree(peerShare(crypto, suite, peer.g)))
        : prk3e2m.signed()
    const fields = macFields(plaintext3, hash3, peer.credential)
    const mac3 = prk4e3m.mac3(context3(fields), macLength(suite, method.initiator))
    checkProof(crypto, suite, peer, fields, mac3, plaintext3.proof)
    const hash4 = nextTranscriptHash(crypto, suite, hash3, bytes3, peer.credential)
    const session: Session = { method, suite, cI, cR, peer, prkOut: prk4e3m.out(hash4) }
    // Not all that was opened: this state is kept while message_4 may be asked for.
    return new Authenticated({ crypto }, session, prk4e3m, hash4)
  }
}

/** Both sides have shown their keys. */
export class Authenticated extends OneShot {
  readonly session: Session
  readonly #options: Pick<SideOptions, 'crypto'>
  readonly #prk4e3m: Prk4e3m
  readonly #hash4: Uint8Array

  constructor(
    options: Pick<SideOptions, 'crypto'>,
    session: Session,
    prk4e3m: Prk4e3m,
    hash4: Uint8Array,
  ) {
    super()
    this.session = session
    this.#options = options
    this.#prk4e3m = prk4e3m
    this.#hash4 = hash4
  }

  /** For an initiator that gets no protected message otherwise (RFC 9528 §5.5). Once. */
  message4(ead: readonly EadItem[] = []): Uint8Array {
    this.spend()
    const messageKey = this.#prk4e3m.message4(this.#hash4)
    const { suite } = this.session
    return encodeSealed(seal(this.#options.crypto, suite, messageKey, this.#hash4, encodeEad(ead)))
  }
}
