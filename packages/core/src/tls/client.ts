/**
 * A TLS 1.3 client (RFC 8446) over any byte stream. It has no stream of its own: bytes that arrive
 * go into `receive`; bytes to send, and everything that happens, come out of the `Outlet`. The key
 * of the client's certificate may be anywhere that a `Signer` reaches.
 *
 * Leaves out: 0-RTT, authentication after the handshake, renegotiation, older versions.
 */
import { concat } from '../codec/index.ts'
import { dnsName, ipAddress, type VerifiedPeer } from '../credential/index.ts'
import type { GroupName } from '../ports.ts'
import { alertFor, type AlertName, alertNumbers, alertReceived } from './alerts.ts'
import { encodeKeyUpdate, requireCredential } from './clientAnswer.ts'
import { handshake, type HandshakeWire } from './handshake.ts'
import { Inbound } from './inbound.ts'
import { exportKeyingMaterial } from './keySchedule.ts'
import { postHandshakeMessagesMax, waitingBytesMax, waitingBytesWanted } from './limits.ts'
import type { HandshakeMessage } from './messageReader.ts'
import type { Established, HandshakeOptions } from './negotiation.ts'
import { type PolicyOptions, policyOf } from './policy.ts'
import { RecordWriter } from './recordWriter.ts'
import { contentType, handshakeType, type SuiteName } from './registry.ts'
import type { ResumableSession } from './resumable.ts'
import { parseKeyUpdate, parseNewSessionTicket } from './serverMessages.ts'
import { resumableFrom } from './ticket.ts'
import { canceled, tlsError, useError } from './tlsError.ts'

export interface ClientOptions
  extends Pick<HandshakeOptions, 'crypto' | 'random' | 'clock' | 'trust'>,
    Partial<Pick<HandshakeOptions, 'credential' | 'session'>> {
  /** The name that is asked for (SNI); an address, or undefined, asks for none. */
  readonly host?: string | undefined
  readonly policy?: PolicyOptions
}

/** What a handshake came to. */
export interface Secured {
  readonly peer: VerifiedPeer
  readonly suite: SuiteName
  readonly group: GroupName
  readonly alpn: string | undefined
  readonly isResumed: boolean
  /** The server asked who we are, and was told; now, or when what is resumed began. */
  readonly isAuthenticated: boolean
}

/**
 * Hears everything that a client has to say, in order. It may call the client from within; what it
 * throws ends the connection, and only `failed` has nobody left to throw to.
 */
export interface Outlet {
  /** Bytes for the server. */
  send(bytes: Uint8Array): void
  /**
   * The same in pieces that follow each other, of data that is long. An outlet that has this spares
   * a copy of it all.
   */
  sendPieces?(pieces: readonly Uint8Array[]): void
  /** The handshake is over; `write` may be used. */
  secured(secured: Secured): void
  /** Application data. */
  data(bytes: Uint8Array): void
  /** A ticket has come. Each is for one use. */
  resumable(session: ResumableSession): void
  /** The server sends no more (close_notify). */
  ended(): void
  /** The connection is over; the server was told what it has to know. Comes once at most. */
  failed(error: unknown): void
}

type Phase = 'new' | 'handshake' | 'open' | 'over'

/** Below this a copy costs less than the pieces do. */
const longBytesMin = 2_048

/**
 * @example
 * const client = new TlsClient({ crypto, random, clock, trust, host, credential }, outlet)
 * client.start()
 * socket.on('data', (bytes) => client.receive(bytes))
 */
export class TlsClient {
  readonly #options: HandshakeOptions
  readonly #outlet: Outlet
  readonly #inbound: Inbound
  readonly #writer: RecordWriter = new RecordWriter()
  #phase: Phase = 'new'
  /** The handshake, when it waits for a message. */
  #waiter: ((message: HandshakeMessage) => void) | undefined
  #established: Established | undefined
  #changedCipherSpec: boolean
  /** Records that wait for the next ones. */
  #ahead: Uint8Array | undefined
  #hasEnded = false
  #peerHasEnded = false
  /** Tickets and key updates since the last application data. */
  #postHandshake = 0
  /** The server has asked for one. */
  #owesKeyUpdate = false

  /** Throws CallerError for a policy or a credential that cannot work. */
  constructor(options: ClientOptions, outlet: Outlet) {
    const { crypto, random, clock, trust, credential, session } = options
    const policy = policyOf(crypto, options.policy)
    const serverName = serverNameOf(options.host)
    this.#options = { crypto, random, clock, trust, policy, serverName, credential, session }
    requireCredential(this.#options)
    this.#outlet = outlet
    this.#inbound = new Inbound(policy.recordContentMax)
    this.#changedCipherSpec = !policy.compatibility
  }

  /** False: whoever feeds this client holds further bytes back until `receive` has brought it on. */
  get isHungry(): boolean {
    return this.#inbound.waiting < waitingBytesWanted
  }

  /** Sends the first flight. */
  start(): void {
    if (this.#phase !== 'new') throw misuse('a client starts once')
    this.#phase = 'handshake'
    handshake(this.#options, this.#wire()).then(
      (established) => this.#open(established),
      (error: unknown) => this.#fail(error),
    )
  }

  /** A handshake that was ended goes no further than to its next step, before the element signs. */
  #wire(): HandshakeWire {
    const unlessOver = (step: () => void): void => {
      if (this.#phase === 'over') throw canceled()
      step()
    }
    return {
      message: () => this.#message(),
      send: (...messages) =>
        unlessOver(() => this.#send(contentType.handshake, concat(...messages))),
      changeCipherSpec: () => unlessOver(() => this.#changeCipherSpec()),
      readWith: (protection) => unlessOver(() => this.#inbound.protect(protection)),
      writeWith: (protection) => unlessOver(() => this.#writer.protect(protection)),
      limitTo: (contentMax) => this.#writer.limitTo(contentMax),
    }
  }

  /** Bytes of the server, in pieces of any size; the client keeps them. Throws nothing. */
  receive(bytes: Uint8Array): void {
    if (this.#phase === 'over' || this.#peerHasEnded) return
    this.#guarded(() => {
      this.#inbound.push(bytes)
      this.#pump()
      this.#requireBounded()
    })
  }

  /** Sends nothing for no bytes. Throws CallerError before `secured` and after `end`. */
  write(data: Uint8Array): void {
    if (this.#phase !== 'open' || this.#hasEnded) throw misuse('it is not open for writing')
    if (data.length === 0) return
    const isWornOut = this.#writer.count >= this.#options.policy.recordsPerKeyMax
    if (this.#owesKeyUpdate || isWornOut) this.#ahead = this.#keyUpdate(false)
    if (data.length < longBytesMin || this.#outlet.sendPieces === undefined) {
      return this.#send(contentType.applicationData, data)
    }
    const ahead = this.#ahead
    this.#ahead = undefined
    const pieces = this.#writer.pieces(contentType.applicationData, data)
    this.#outlet.sendPieces(ahead === undefined ? pieces : [ahead, ...pieces])
  }

  /** Says that no more data will come (close_notify). The server's may go on. */
  end(): void {
    if (this.#phase !== 'open' || this.#hasEnded) return
    const farewell = this.#alert('close_notify')
    // Before it goes out: nothing is said behind it, from within the outlet either.
    this.#hasEnded = true
    if (this.#peerHasEnded) this.#close()
    this.#outlet.send(farewell)
  }

  /** The stream below has ended. Without a farewell before it, somebody may have cut it. */
  endOfStream(): void {
    if (this.#peerHasEnded) return
    this.#fail(tlsError('ERR_TLS_TRUNCATED', 'the connection ended without a farewell'))
  }

  /** Ends it at once for a reason of this side, which is what `failed` hears; its wish when none. */
  abort(reason: unknown = canceled()): void {
    this.#fail(reason)
  }

  /**
   * Keying material for the layer above (RFC 8446 §7.5): same label and context, same bytes on both
   * sides.
   */
  exporter(label: string, context: Uint8Array, length: number): Uint8Array {
    if (this.#established === undefined)
      throw misuse('no keying material before the handshake or after the end')
    const { suite, exporter } = this.#established
    return exportKeyingMaterial(this.#options.crypto, suite, exporter, label, context, length)
  }

  /** New keys in our direction (RFC 8446 §4.6.3); in the server's too when `both`. */
  updateKeys(both = false): void {
    if (this.#phase !== 'open' || this.#hasEnded) throw misuse('it is not open for writing')
    this.#outlet.send(this.#keyUpdate(both))
  }

  #message(): Promise<HandshakeMessage> {
    return new Promise((resolve) => {
      this.#waiter = resolve
      this.#guarded(() => this.#pump())
    })
  }

  /** Brings on whoever waits: the handshake takes one message at a time, the open phase all. */
  #pump(): void {
    if (this.#phase === 'handshake') this.#pumpHandshake()
    while (this.#phase === 'open' && !this.#peerHasEnded) {
      const incoming = this.#inbound.next()
      if (incoming === undefined) return
      if (incoming.kind === 'message') this.#postHandshakeMessage(incoming.message)
      else if (incoming.kind === 'data') this.#data(incoming.content)
      else this.#peerEnd()
    }
  }

  #pumpHandshake(): void {
    const waiter = this.#waiter
    if (waiter === undefined) return
    const incoming = this.#inbound.next()
    if (incoming === undefined) return
    if (incoming.kind === 'close') throw alertReceived(alertNumbers.close_notify)
    if (incoming.kind === 'data') {
      throw tlsError('ERR_TLS_UNEXPECTED_MESSAGE', 'application data within the handshake')
    }
    this.#waiter = undefined
    waiter(incoming.message)
  }

  /** What nobody reads now: while the element signs, and of a record that is not whole yet. */
  #requireBounded(): void {
    const { waiting } = this.#inbound
    if (waiting <= waitingBytesMax) return
    throw tlsError('ERR_TLS_LIMIT', `${waiting} bytes wait to be read; ${waitingBytesMax} may`)
  }

  #open(established: Established): void {
    // It was ended while the element signed.
    if (this.#phase !== 'handshake') return
    this.#phase = 'open'
    this.#established = established
    this.#inbound.endOfHandshake()
    const { peer, suite, group, alpn, isResumed, isAuthenticated } = established
    this.#guarded(() => {
      this.#outlet.secured({ peer, suite: suite.name, group, alpn, isResumed, isAuthenticated })
      this.#pump()
    })
  }

  #data(content: Uint8Array): void {
    this.#postHandshake = 0
    this.#outlet.data(content)
  }

  #peerEnd(): void {
    this.#peerHasEnded = true
    // RFC 8446 §6.1: whatever stands behind it is ignored.
    this.#inbound.close()
    if (this.#hasEnded) this.#close()
    this.#outlet.ended()
  }

  #postHandshakeMessage({ type, body }: HandshakeMessage): void {
    this.#postHandshake++
    if (this.#postHandshake > postHandshakeMessagesMax) {
      throw tlsError('ERR_TLS_FLOOD', `more than ${postHandshakeMessagesMax} messages without data`)
    }
    if (type === handshakeType.newSessionTicket) this.#ticket(body)
    else if (type === handshakeType.keyUpdate) this.#peerKeyUpdate(body)
    else {
      throw tlsError(
        'ERR_TLS_UNEXPECTED_MESSAGE',
        `a message of type ${type} on an open connection`,
      )
    }
  }

  #ticket(body: Uint8Array): void {
    const ticket = parseNewSessionTicket(body)
    if (this.#established === undefined || !this.#options.policy.resumption) return
    const session = resumableFrom(ticket, this.#established, this.#options)
    if (session !== undefined) this.#outlet.resumable(session)
  }

  /**
   * RFC 8446 §4.6.3: who is asked for one owes it before the next data, and then one for however many
   * questions. So a server that asks without end and reads nothing fills no buffer of ours.
   */
  #peerKeyUpdate(body: Uint8Array): void {
    if (parseKeyUpdate(body)) this.#owesKeyUpdate = true
    this.#inbound.update()
  }

  /** What follows it is under the new keys, whoever sends it. */
  #keyUpdate(both: boolean): Uint8Array {
    const update = this.#records(contentType.handshake, encodeKeyUpdate(both))
    this.#writer.update()
    if (!both) this.#owesKeyUpdate = false
    return update
  }

  /** RFC 8446 §D.4: before the second flight. It goes out with what follows it, in one piece. */
  #changeCipherSpec(): void {
    if (this.#changedCipherSpec) return
    this.#changedCipherSpec = true
    this.#ahead = this.#writer.write(contentType.changeCipherSpec, Uint8Array.of(1))
  }

  #send(type: number, content: Uint8Array): void {
    this.#outlet.send(this.#records(type, content))
  }

  #records(type: number, content: Uint8Array): Uint8Array {
    const records = this.#writer.write(type, content)
    const ahead = this.#ahead
    if (ahead === undefined) return records
    this.#ahead = undefined
    return concat(ahead, records)
  }

  #alert(name: AlertName): Uint8Array {
    const level = name === 'close_notify' || name === 'user_canceled' ? 1 : 2
    return this.#records(contentType.alert, Uint8Array.of(level, alertNumbers[name]))
  }

  #guarded(step: () => void): void {
    try {
      step()
    } catch (error) {
      this.#fail(error)
    }
  }

  /** The peer learns the minimum, the outlet the reason. */
  #fail(error: unknown): void {
    const phase = this.#phase
    if (phase === 'over') return
    // First of all: whoever hears of it may call again.
    this.#phase = 'over'
    try {
      for (const words of this.#lastWords(error, phase)) this.#outlet.send(words)
    } catch {
      // They do not go out, and what there is to be heard is why it ended.
    }
    this.#close()
    this.#outlet.failed(error)
  }

  /** RFC 8446 §6: the secrets of what is over are forgotten. */
  #close(): void {
    this.#phase = 'over'
    this.#waiter = undefined
    this.#established = undefined
    this.#inbound.close()
    this.#writer.close()
  }

  #lastWords(error: unknown, phase: Phase): readonly Uint8Array[] {
    const alert = alertFor(error)
    // RFC 8446 §4.1.2: the first thing that a server hears is a hello.
    if (alert === undefined || !this.#writer.hasWritten || this.#hasEnded) return []
    if (alert !== 'user_canceled') return [this.#alert(alert)]
    // RFC 8446 §6.1: a handshake is canceled, then the farewell; an open connection has that alone.
    const wish = phase === 'handshake' ? [this.#alert(alert)] : []
    return [...wish, this.#alert('close_notify')]
  }
}

/** RFC 6066 §3: DNS names only, without the dot at the end. */
function serverNameOf(host: string | undefined): string | undefined {
  if (host === undefined || ipAddress(host) !== undefined) return undefined
  const name = host.endsWith('.') ? host.slice(0, -1) : host
  if (dnsName(name) !== undefined) return name
  throw useError('ERR_TLS_POLICY', 'the host is no DNS name and no address', 'Mend the host.')
}

function misuse(what: string): Error {
  return useError('ERR_TLS_STATE', what, 'Wait for `secured`, and write before `end`.')
}
