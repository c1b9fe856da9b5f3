/**
 * A puppet: a TLS 1.3 server in memory that says what its strings make it say. A script of steps
 * runs upon each ClientHello and after the client's Finished (see puppetSteps.ts); between a step
 * and the wire, hooks may change, drop, repeat or add messages and records. It believes its own
 * words: what a hook made of a message is what enters its transcript. The client's side is checked
 * as a server would (binder, signature, Finished), and what is wrong with it is a complaint.
 */
import { type KeyObject, verify, X509Certificate } from 'node:crypto'
import { Bytes, type ClientHello, type Laid, parseClientHello } from './puppetBytes.ts'
import {
  Direction,
  earlySecret,
  expandLabel,
  finishedMac,
  groupIds,
  hashOf,
  nextStage,
  type Opened,
  plainRecord,
  puppetAgreements,
  type PuppetSuite,
  puppetSuites,
} from './puppetKeys.ts'

export interface PuppetIdentity {
  readonly chain: readonly Uint8Array[]
  readonly key: KeyObject
  /** SignatureScheme of its CertificateVerify. */
  readonly scheme: number
}

export interface PuppetTicket {
  readonly psk: Buffer
  readonly suite: PuppetSuite
}

export type Step = (puppet: Puppet) => void

export interface PuppetOptions {
  readonly identity: PuppetIdentity
  /** Default: TLS_AES_128_GCM_SHA256. */
  readonly suite?: number
  /** Default: x25519. */
  readonly group?: number
  /** What it does upon the first ClientHello, and the second. */
  readonly flights: readonly (readonly Step[])[]
  /** What it does after the client's Finished. */
  readonly afterwards?: readonly Step[]
  /** What becomes of a message on its way to the transcript and the record layer. */
  readonly onMessage?: (name: string, laid: Laid) => readonly Uint8Array[]
  /** What becomes of a record, header and all, on its way to the wire. */
  readonly onRecord?: (record: Buffer, index: number) => readonly Uint8Array[]
  /** Most bytes of content that it puts into a record. */
  readonly contentMax?: number
  /** Messages under one key share their record. */
  readonly coalesces?: boolean
  /** Tickets that it knows, by their bytes in hex; its own are added. */
  readonly tickets?: Map<string, PuppetTicket>
}

export interface ReceivedAlert {
  readonly name: string
  readonly level: number
  readonly isProtected: boolean
}

/** RFC 8446 §B.2 */
const alertNames: ReadonlyMap<number, string> = new Map([
  [0, 'close_notify'],
  [10, 'unexpected_message'],
  [20, 'bad_record_mac'],
  [22, 'record_overflow'],
  [40, 'handshake_failure'],
  [42, 'bad_certificate'],
  [43, 'unsupported_certificate'],
  [44, 'certificate_revoked'],
  [45, 'certificate_expired'],
  [46, 'certificate_unknown'],
  [47, 'illegal_parameter'],
  [48, 'unknown_ca'],
  [50, 'decode_error'],
  [51, 'decrypt_error'],
  [70, 'protocol_version'],
  [80, 'internal_error'],
  [90, 'user_canceled'],
  [109, 'missing_extension'],
  [110, 'unsupported_extension'],
  [113, 'bad_certificate_status_response'],
])

export class Puppet {
  readonly options: PuppetOptions
  readonly suite: PuppetSuite
  readonly group: number

  // What the client did.
  /** The last one. */
  hello: ClientHello | undefined
  readonly received: string[] = []
  readonly alerts: ReceivedAlert[] = []
  readonly data: Buffer[] = []
  /** Bytes of TLSInnerPlaintext of each protected record. */
  readonly innerLengths: number[] = []
  changeCipherSpecs = 0
  /** Records that open with no key of its time. */
  unreadable = 0
  readonly complaints: string[] = []
  /** The client's Finished was right. */
  isOpen = false
  clientChain: readonly Buffer[] = []

  // What its steps use.
  out: Direction | undefined
  psk: Buffer | undefined
  serverSecret: Buffer = Buffer.alloc(0)
  clientSecret: Buffer = Buffer.alloc(0)
  resumption: Buffer = Buffer.alloc(0)
  #exporter: Buffer = Buffer.alloc(0)

  #in: Direction | undefined
  #clientApplication: Direction | undefined
  #handshakeSecret: Buffer = Buffer.alloc(0)
  #transcript: Uint8Array[] = []
  #hellos = 0
  #records = 0
  readonly #output: Uint8Array[] = []
  #content: Uint8Array[] = []
  #input: Buffer = Buffer.alloc(0)
  #messages: Buffer = Buffer.alloc(0)

  constructor(options: PuppetOptions) {
    this.options = options
    this.group = options.group ?? groupIds.x25519
    const suite = puppetSuites.get(options.suite ?? 0x1301)
    if (suite === undefined) throw new Error('a puppet does not have this suite')
    this.suite = suite
  }

  /** Takes what there is for the client, piece by piece as it was written. */
  take(): readonly Uint8Array[] {
    return this.#output.splice(0)
  }

  run(steps: readonly Step[]): void {
    for (const step of steps) step(this)
    this.flush()
  }

  /** A handshake message. */
  say(name: string, laid: Laid): void {
    for (const bytes of this.options.onMessage?.(name, laid) ?? [laid.bytes]) {
      this.#transcript.push(bytes)
      this.#content.push(bytes)
      if (this.options.coalesces !== true) this.flush()
    }
  }

  /** The handshake messages that wait for company. */
  flush(): void {
    const content = Buffer.concat(this.#content.splice(0))
    if (content.length > 0) this.#write(22, content)
  }

  /** Content of any type, in as many records as it takes. */
  write(type: number, content: Uint8Array): void {
    this.flush()
    this.#write(type, content)
  }

  #write(type: number, content: Uint8Array): void {
    const step = this.options.contentMax ?? 16_384
    for (let at = 0; at === 0 || at < content.length; at += step) {
      this.record(this.#sealed(type, content.subarray(at, at + step)))
    }
  }

  #sealed(type: number, content: Uint8Array): Buffer {
    return this.out === undefined ? plainRecord(type, content) : this.out.seal(type, content)
  }

  /** A whole record. */
  record(record: Buffer): void {
    const records = this.options.onRecord?.(record, this.#records++) ?? [record]
    this.#output.push(...records)
  }

  /** Of everything that was said by either side (RFC 8446 §4.4.1). */
  digest(): Buffer {
    return hashOf(this.suite, ...this.#transcript)
  }

  /** RFC 8446 §4.4.1: after a HelloRetryRequest, a hash stands for the first ClientHello. */
  forgetHello(): void {
    const digest = this.digest()
    this.#transcript = [Buffer.concat([Buffer.of(254, 0, 0, digest.length), digest])]
  }

  /** Our ServerHello was said: keys of the handshake from here on. */
  negotiated(): void {
    this.flush()
    const peer = this.hello?.shares.get(this.group)
    const agreement = puppetAgreements.get(this.group)
    const shared = peer === undefined ? undefined : agreement?.with(peer)
    const early = earlySecret(this.suite, this.psk)
    // Without a common secret the handshake ends here, whatever the keys.
    this.#handshakeSecret = nextStage(this.suite, early, shared ?? Buffer.alloc(32))
    const transcript = this.digest()
    this.serverSecret = this.#derive(this.#handshakeSecret, 's hs traffic', transcript)
    this.clientSecret = this.#derive(this.#handshakeSecret, 'c hs traffic', transcript)
    this.out = new Direction(this.suite, this.serverSecret)
    this.#in = new Direction(this.suite, this.clientSecret)
  }

  /** Our Finished was said: what we say next is under application keys. */
  finished(): void {
    this.flush()
    const master = this.#master()
    const transcript = this.digest()
    this.#exporter = this.#derive(master, 'exp master', transcript)
    this.out = new Direction(this.suite, this.#derive(master, 's ap traffic', transcript))
    const client = this.#derive(master, 'c ap traffic', transcript)
    this.#clientApplication = new Direction(this.suite, client)
  }

  #master(): Buffer {
    return nextStage(this.suite, this.#handshakeSecret, Buffer.alloc(this.suite.hashLength))
  }

  #derive(secret: Buffer, label: string, transcript: Buffer): Buffer {
    return expandLabel(this.suite, secret, label, transcript)
  }

  /** TLS-Exporter (RFC 8446 §7.5). */
  exported(label: string, context: Uint8Array, length: number): Buffer {
    const secret = expandLabel(this.suite, this.#exporter, label, hashOf(this.suite))
    return expandLabel(this.suite, secret, 'exporter', hashOf(this.suite, context), length)
  }

  /** Bytes of the client. Throws nothing: a client must not be told of the puppet's own bugs. */
  receive(bytes: Uint8Array): void {
    try {
      this.#input = Buffer.concat([this.#input, bytes])
      this.#readRecords()
    } catch (error) {
      this.complaints.push(String(error))
    }
  }

  #readRecords(): void {
    while (this.#input.length >= 5) {
      const length = 5 + this.#input.readUInt16BE(3)
      if (this.#input.length < length) return
      const record = this.#input.subarray(0, length)
      this.#input = this.#input.subarray(length)
      const opened = this.#opened(record)
      if (opened === undefined) this.unreadable++
      else this.#take(opened, record[0] === 23)
    }
  }

  #opened(record: Buffer): Opened | undefined {
    if (record[0] !== 23) return { type: record[0] ?? 0, content: record.subarray(5) }
    const opened = this.#in?.open(record)
    if (opened !== undefined) this.innerLengths.push(record.length - 5 - 16)
    return opened
  }

  #take({ type, content }: Opened, isProtected: boolean): void {
    if (type === 20) this.changeCipherSpecs++
    else if (type === 21) this.#alert(content, isProtected)
    else if (type === 23) this.data.push(Buffer.from(content))
    else {
      this.#messages = Buffer.concat([this.#messages, content])
      this.#readMessages()
    }
  }

  #alert(content: Buffer, isProtected: boolean): void {
    const number = content.readUInt8(1)
    const name = alertNames.get(number) ?? `alert ${number}`
    this.alerts.push({ name, level: content.readUInt8(0), isProtected })
  }

  #readMessages(): void {
    while (this.#messages.length >= 4) {
      const length = 4 + this.#messages.readUIntBE(1, 3)
      if (this.#messages.length < length) return
      const whole = this.#messages.subarray(0, length)
      this.#messages = this.#messages.subarray(length)
      this.#message(whole)
    }
  }

  #message(whole: Buffer): void {
    const read = readers.get(whole[0] ?? 0)
    if (read === undefined) throw new Error(`the client sent a message of type ${whole[0]}`)
    this.received.push(read.name)
    read.by(this, whole)
  }

  clientHello(whole: Buffer): void {
    this.hello = parseClientHello(whole)
    this.#acceptTicket(this.hello)
    this.#transcript.push(whole)
    this.run(this.options.flights[this.#hellos++] ?? [])
  }

  #acceptTicket({ psk, truncated }: ClientHello): void {
    this.psk = undefined
    const known = psk && this.options.tickets?.get(psk.ticket.toString('hex'))
    if (psk === undefined || known === undefined) return
    const { suite } = known
    const binderKey = expandLabel(suite, earlySecret(suite, known.psk), 'res binder', hashOf(suite))
    const expected = finishedMac(suite, binderKey, hashOf(suite, ...this.#transcript, truncated))
    if (!expected.equals(psk.binder)) this.complaints.push('the binder is wrong')
    this.psk = known.psk
  }

  clientCertificate(whole: Buffer): void {
    const reader = new Bytes(whole.subarray(4))
    if (reader.vector(1).length > 0) this.complaints.push('a context in the client certificate')
    const list = reader.list(3)
    const chain: Buffer[] = []
    while (list.left > 0) {
      chain.push(list.vector(3))
      list.vector(2)
    }
    reader.end()
    this.clientChain = chain
    this.#transcript.push(whole)
  }

  clientVerify(whole: Buffer): void {
    const reader = new Bytes(whole.subarray(4))
    const scheme = reader.number(2)
    const signature = reader.vector(2)
    reader.end()
    const key = new X509Certificate(this.clientChain[0] ?? Buffer.alloc(0)).publicKey
    const content = signedContent('client', this.digest())
    const hash = scheme === 0x0807 ? null : 'sha256'
    if (!verify(hash, content, key, signature)) this.complaints.push('the signature is wrong')
    this.#transcript.push(whole)
  }

  clientFinished(whole: Buffer): void {
    const expected = finishedMac(this.suite, this.clientSecret, this.digest())
    if (!expected.equals(whole.subarray(4))) this.complaints.push('the Finished is wrong')
    if (this.#clientApplication === undefined) throw new Error('a Finished before ours')
    this.#transcript.push(whole)
    this.resumption = this.#derive(this.#master(), 'res master', this.digest())
    this.#in = this.#clientApplication
    this.isOpen = true
    this.run(this.options.afterwards ?? [])
  }

  clientKeyUpdate(): void {
    this.#in = this.#in?.next()
  }
}

/** RFC 8446 §4.4.3 */
export function signedContent(side: 'client' | 'server', transcript: Uint8Array): Buffer {
  const context = Buffer.from(`${' '.repeat(64)}TLS 1.3, ${side} CertificateVerify\0`)
  return Buffer.concat([context, transcript])
}

interface MessageReader {
  readonly name: string
  by(puppet: Puppet, whole: Buffer): void
}

/** What a client may send. */
const readers: ReadonlyMap<number, MessageReader> = new Map<number, MessageReader>([
  [1, { name: 'ClientHello', by: (puppet, whole) => puppet.clientHello(whole) }],
  [11, { name: 'Certificate', by: (puppet, whole) => puppet.clientCertificate(whole) }],
  [15, { name: 'CertificateVerify', by: (puppet, whole) => puppet.clientVerify(whole) }],
  [20, { name: 'Finished', by: (puppet, whole) => puppet.clientFinished(whole) }],
  [24, { name: 'KeyUpdate', by: (puppet) => puppet.clientKeyUpdate() }],
])
