/**
 * The states of the client from ServerHello to an open connection (RFC 8446 §A.1):
 *
 * WaitEncryptedExtensions → [WaitCertificateOrRequest → WaitCertificate → JudgeServer →
 * WaitCertificateVerify →] WaitFinished → AnswerServer → Established
 *
 * A resumed handshake skips the part in brackets. Nothing of this side's identity goes out before
 * the server has been judged and has shown that it holds its key.
 */
import { equalSecretBytes } from '../codec/index.ts'
import type { VerifiedPeer } from '../credential/index.ts'
import { encodeFinished, proveSelf } from './clientAnswer.ts'
import { verifyServerSignature } from './certificateVerify.ts'
import { finishedMac, type MasterSecrets } from './keySchedule.ts'
import { type HandshakeMessage, requireMessage } from './messageReader.ts'
import type { Established, Negotiation } from './negotiation.ts'
import { OneShot } from './oneShot.ts'
import { RecordProtection } from './recordProtection.ts'
import { handshakeType } from './registry.ts'
import {
  type CertificateRequestMessage,
  type EncryptedExtensions,
  parseCertificate,
  parseCertificateRequest,
  parseCertificateVerify,
  parseEncryptedExtensions,
} from './serverMessages.ts'
import { tlsError } from './tlsError.ts'
import type { PresentedChain } from './trust.ts'

/** What has been learnt so far; each state adds its part. */
interface Learnt {
  readonly negotiation: Negotiation
  readonly extensions: EncryptedExtensions
  readonly request: CertificateRequestMessage | undefined
}

interface Known extends Learnt {
  readonly server: PresentedChain
  readonly peer: VerifiedPeer
}

export class WaitEncryptedExtensions extends OneShot {
  readonly #negotiation: Negotiation

  constructor(negotiation: Negotiation) {
    super()
    this.#negotiation = negotiation
  }

  /** `contentMax` bounds our own records from now on. */
  receive(message: HandshakeMessage): {
    readonly contentMax: number
    readonly next: WaitCertificateOrRequest | WaitFinished
  } {
    this.spend()
    const { body, whole } = requireMessage(message, 'encryptedExtensions')
    const { asked, options, resumed, transcript } = this.#negotiation
    const extensions = parseEncryptedExtensions(body, asked, options.policy.alpn)
    transcript.add(whole)
    const learnt: Learnt = { negotiation: this.#negotiation, extensions, request: undefined }
    const next =
      resumed === undefined
        ? new WaitCertificateOrRequest(learnt)
        : new WaitFinished({ ...learnt, server: resumed.session.server, peer: resumed.peer })
    return { contentMax: extensions.contentMax, next }
  }
}

export class WaitCertificateOrRequest extends OneShot {
  readonly kind = 'certificate or request'
  readonly #learnt: Learnt

  constructor(learnt: Learnt) {
    super()
    this.#learnt = learnt
  }

  receive(message: HandshakeMessage): WaitCertificate | JudgeServer {
    this.spend()
    if (message.type !== handshakeType.certificateRequest) {
      return new WaitCertificate(this.#learnt).receive(message)
    }
    const request = parseCertificateRequest(message.body)
    this.#learnt.negotiation.transcript.add(message.whole)
    return new WaitCertificate({ ...this.#learnt, request })
  }
}

export class WaitCertificate extends OneShot {
  readonly kind = 'certificate'
  readonly #learnt: Learnt

  constructor(learnt: Learnt) {
    super()
    this.#learnt = learnt
  }

  receive(message: HandshakeMessage): JudgeServer {
    this.spend()
    const { body, whole } = requireMessage(message, 'certificate')
    const { negotiation } = this.#learnt
    const server = parseCertificate(body, negotiation.asked)
    negotiation.transcript.add(whole)
    return new JudgeServer(this.#learnt, server)
  }
}

/** The decision about the peer. */
export class JudgeServer extends OneShot {
  readonly kind = 'judge'
  readonly #learnt: Learnt
  readonly #server: PresentedChain

  constructor(learnt: Learnt, server: PresentedChain) {
    super()
    this.#learnt = learnt
    this.#server = server
  }

  judge(): WaitCertificateVerify {
    this.spend()
    const peer = this.#learnt.negotiation.options.trust(this.#server)
    return new WaitCertificateVerify({ ...this.#learnt, server: this.#server, peer })
  }
}

export class WaitCertificateVerify extends OneShot {
  readonly #known: Known

  constructor(known: Known) {
    super()
    this.#known = known
  }

  receive(message: HandshakeMessage): WaitFinished {
    this.spend()
    const { body, whole } = requireMessage(message, 'certificateVerify')
    const { negotiation, peer } = this.#known
    const { transcript, options } = negotiation
    const shown = parseCertificateVerify(body)
    verifyServerSignature(options.crypto, peer, shown, transcript.digest())
    transcript.add(whole)
    return new WaitFinished(this.#known)
  }
}

export class WaitFinished extends OneShot {
  readonly kind = 'finished'
  readonly #known: Known

  constructor(known: Known) {
    super()
    this.#known = known
  }

  /** `read` opens what the server sends behind its Finished. */
  receive(message: HandshakeMessage): {
    readonly read: RecordProtection
    readonly next: AnswerServer
  } {
    this.spend()
    const { body, whole } = requireMessage(message, 'finished')
    const { options, suite, secrets, traffic, transcript } = this.#known.negotiation
    const expected = finishedMac(options.crypto, suite, traffic.server, transcript.digest())
    if (body.length !== expected.length) {
      throw tlsError('ERR_TLS_DECODE', `a Finished of ${body.length} bytes`)
    }
    if (!equalSecretBytes(body, expected)) {
      throw tlsError('ERR_TLS_FINISHED', 'the two sides have not seen the same handshake')
    }
    transcript.add(whole)
    const master = secrets.master()
    const application = master.traffic(transcript.digest())
    return {
      read: new RecordProtection(options.crypto, suite, application.server),
      next: new AnswerServer(this.#known, master, application),
    }
  }
}

/** Our flight. The one place where the element signs. */
export class AnswerServer extends OneShot {
  readonly #known: Known
  readonly #master: MasterSecrets
  readonly #application: ReturnType<MasterSecrets['traffic']>

  constructor(
    known: Known,
    master: MasterSecrets,
    application: ReturnType<MasterSecrets['traffic']>,
  ) {
    super()
    this.#known = known
    this.#master = master
    this.#application = application
  }

  /** `messages` go out under the handshake's keys, everything behind them under `write`. */
  async answer(): Promise<{
    readonly messages: readonly Uint8Array[]
    readonly write: RecordProtection
    readonly established: Established
  }> {
    this.spend()
    const { negotiation, request } = this.#known
    const { options, suite, traffic, transcript, resumed } = negotiation
    const proof = request === undefined ? [] : await proveSelf(options, request, transcript)
    const mac = finishedMac(options.crypto, suite, traffic.client, transcript.digest())
    const finished = encodeFinished(mac)
    transcript.add(finished)
    return {
      messages: [...proof, finished],
      write: new RecordProtection(options.crypto, suite, this.#application.client),
      established: this.#established(proof.length > 1 || resumed?.session.isAuthenticated === true),
    }
  }

  #established(isAuthenticated: boolean): Established {
    const { negotiation, extensions, peer, server } = this.#known
    return {
      suite: negotiation.suite,
      group: negotiation.group,
      alpn: extensions.alpn,
      peer,
      server,
      isResumed: negotiation.resumed !== undefined,
      isAuthenticated,
      exporter: this.#application.exporter,
      resumption: this.#master.resumption(negotiation.transcript.digest()),
    }
  }
}
