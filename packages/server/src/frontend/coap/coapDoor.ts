/**
 * The coap door: EDHOC and OSCORE over CoAP on UDP (RFC 9528 Appendix A, RFC 8613, RFC 7252, RFC
 * 9668), with the same certificates, judge, registry and intake as the other doors. The address of
 * a datagram says where an answer goes; it takes no part in who somebody is.
 */
import {
  edhocContentFormat,
  edhocPath,
  isCombined,
  parseEdhocPayload,
  separate,
} from '@countersign/core/channel'
import {
  CoapEndpoint,
  type CoapMessage,
  coapCode,
  contentFormatIn,
  isCritical,
  optionNumber,
  pathOf,
  type Respond,
  type Transmission,
} from '@countersign/core/coap'
import { hex } from '@countersign/core/codec'
import { isErrorMessage, parseError } from '@countersign/core/edhoc'
import { isCountersignError, PeerError } from '@countersign/core/errors'
import { EchoIssuer, oscoreOptionOf } from '@countersign/core/oscore'
import type { ChannelCrypto, Clock, Random, Timers } from '@countersign/core/ports'
import type { ListenAddress } from '../../listen.ts'
import type {
  EdhocCredentials,
  LodgingGatekeeper,
  Log,
  Notice,
  Notices,
  Sealer,
  Store,
} from '../../ports.ts'
import type { CommandsAtDoor } from '../commandReader.ts'
import { Intake } from '../intake.ts'
import { PacedLog } from '../pacedLog.ts'
import { Refusals } from '../refusals.ts'
import type { ChainJudge } from '../roleJudge.ts'
import { SessionNews } from '../sessionNews.ts'
import { type Answer, answer } from './answers.ts'
import { CoapLives } from './coapLives.ts'
import { CommandCourier } from './commandCourier.ts'
import { Contexts } from './contexts.ts'
import { CredentialPush } from './credentialPush.ts'
import { DeviceJudge } from './deviceJudge.ts'
import { Handshakes } from './handshakes.ts'
import { type CoapLimits, coapLimitsOfDoor } from './limits.ts'
import { ProtectedRequests, type Served } from './protectedRequests.ts'
import { Requests } from './requests.ts'
import { Strangers } from './strangers.ts'
import type { DatagramLink, OpenLink } from './udpSocket.ts'

export interface CoapDoorParts {
  /** Opens the socket. */
  readonly openLink: OpenLink
  readonly judge: ChainJudge
  readonly registry: LodgingGatekeeper
  readonly store: Pick<Store, 'get' | 'find' | 'scan' | 'apply'>
  readonly sealer: Sealer
  readonly credentials: EdhocCredentials
  readonly commands: CommandsAtDoor
  readonly notices: Notices
  readonly crypto: ChannelCrypto
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly log: Log
  readonly limits?: Partial<CoapLimits>
  readonly transmission?: Partial<Transmission>
}

/** What happened to strangers: counted, since it is too much and too little to log. */
export interface CoapCounters {
  /** Unprotected answers; those that go on with a handshake are not among them. */
  answered: number
  /** Requests of strangers that nothing was said to. */
  dropped: number
  socketErrors: number
}

/** What it holds at a time: never more than its limits. */
export interface CoapLoad {
  readonly halfOpen: number
  readonly contexts: number
  readonly inFlight: number
  readonly couriers: number
  /** Requests that it would know again. */
  readonly exchanges: number
  /** Of bodies that come or go in blocks. */
  readonly blockBytes: number
}

/** Critical options of a request that is not under OSCORE. */
const understood: ReadonlySet<number> = new Set([
  optionNumber.uriHost,
  optionNumber.uriPort,
  optionNumber.uriPath,
])
const echoKeyBytes = 32
const strangersToldMs = 60_000
const [wellKnown, edhoc] = edhocPath

export class CoapDoor {
  readonly counters: CoapCounters = { answered: 0, dropped: 0, socketErrors: 0 }
  readonly #parts: CoapDoorParts
  readonly #limits: CoapLimits
  readonly #strangers: Strangers
  readonly #inFlight: Set<Promise<void>> = new Set()
  readonly #timers: Map<string, { cancel(): void }> = new Map()
  #rooms: Rooms | undefined
  /** As they were when the log was told last. */
  #toldOf: Readonly<CoapCounters> = { ...this.counters }
  #stopListening: (() => void) | undefined
  #closing: Promise<void> | undefined
  /** What the timer of the rows has begun. */
  #rowWork: Promise<void> = Promise.resolve()

  constructor(parts: CoapDoorParts) {
    this.#parts = { ...parts, log: new PacedLog(parts.log, parts.clock) }
    this.#limits = { ...coapLimitsOfDoor, ...parts.limits }
    this.#strangers = new Strangers(parts.clock, echoOf(parts), this.#limits)
  }

  get load(): CoapLoad {
    return {
      halfOpen: this.#rooms?.handshakes.size ?? 0,
      contexts: this.#rooms?.contexts.size ?? 0,
      inFlight: this.#inFlight.size,
      couriers: this.#rooms?.courier.size ?? 0,
      exchanges: this.#rooms?.endpoint.load.exchanges ?? 0,
      blockBytes: this.#rooms?.requests.blockBytes ?? 0,
    }
  }

  async open(at: ListenAddress): Promise<number> {
    const { openLink, store, notices } = this.#parts
    let receive: ((datagram: Uint8Array, from: string) => void) | undefined
    const socket = await openLink('coap', at, {
      received: (datagram, from) => receive?.(datagram, from),
      failed: () => void this.counters.socketErrors++,
    })
    // After the port: whoever does not get it leaves the life of who has it alone.
    const lives = await CoapLives.begin(store).catch(async (error: unknown) => {
      await socket.close()
      throw error
    })
    const rooms = this.#furnish(socket, lives)
    this.#rooms = rooms
    this.#stopListening = notices.listen((notice) => this.#noticed(rooms, notice))
    receive = (datagram, from) => rooms.endpoint.receive(datagram, from)
    this.#every('sweep', this.#limits.sweepMs, () => {
      rooms.handshakes.sweep()
      rooms.contexts.sweep()
    })
    this.#every('strangers', strangersToldMs, () => this.#tellOfStrangers())
    this.#every('rows', this.#limits.rowSweepMs, () => {
      rooms.contexts.sweepRows()
      this.#rowWork = rooms.contexts
        .settled()
        .then(() => rooms.push.promote())
        .catch((error: unknown) => this.#failed('no certificate was promoted', error))
    })
    return socket.port
  }

  /** What notices and timers have begun is done. */
  async settled(): Promise<void> {
    await this.#rowWork
    await this.#rooms?.contexts.settled()
  }

  /** What is in flight is answered, for at most `graceMs`; then every window is written down. */
  close(graceMs: number): Promise<void> {
    this.#closing ??= this.#close(graceMs)
    return this.#closing
  }

  async #close(graceMs: number): Promise<void> {
    const rooms = this.#rooms
    if (rooms === undefined) return
    for (const timer of this.#timers.values()) timer.cancel()
    const brought = rooms.courier.close()
    await this.#drained(graceMs)
    await brought
    this.#stopListening?.()
    rooms.endpoint.close()
    await rooms.socket.close()
    try {
      await this.#rowWork
      await rooms.contexts.close()
      await rooms.lives.end()
    } catch (error) {
      // The next life asks each device for Echo.
      this.#failed('replay windows were not written down', error)
    }
  }

  async #drained(graceMs: number): Promise<void> {
    if (this.#inFlight.size === 0) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const late = this.#parts.timers.after(graceMs, resolve)
    await Promise.race([Promise.all(this.#inFlight), promise])
    late.cancel()
  }

  #furnish(socket: DatagramLink, lives: CoapLives): Rooms {
    const parts = { ...this.#parts, limits: this.#limits, lives, strangers: this.#strangers }
    const { clock, random, timers, transmission } = parts
    const refusals = new Refusals(parts, 'coap')
    const devices = new DeviceJudge(parts, this.#limits.rolesRememberedMax)
    const news = new SessionNews({ ...parts, road: 'coap' })
    const turnedOut = (device: string): void => requests.forget(device)
    const contexts = new Contexts({ ...parts, devices, refusals, news, turnedOut })
    const endpoint = new CoapEndpoint({
      clock,
      random,
      timers,
      ...(transmission === undefined ? {} : { transmission }),
      send: (datagram, to) => socket.send(datagram, to),
      serve: (request, from, respond) => this.#serve(request, from, respond),
    })
    const push = new CredentialPush(parts)
    const courier = new CommandCourier({
      ...parts,
      contexts,
      push,
      request: (...asked) => endpoint.request(...asked),
    })
    const intake = new Intake({ ...parts, road: 'coap' })
    const requests = new Requests({ ...parts, intake, contexts, refusals })
    return {
      socket,
      lives,
      endpoint,
      contexts,
      courier,
      push,
      handshakes: new Handshakes({ ...parts, devices, contexts, refusals }),
      requests: new ProtectedRequests({
        clock,
        limits: this.#limits,
        contexts,
        refusals,
        echo: echoOf(this.#parts),
        requests,
        spoke: (context) => courier.heard(context),
      }),
    }
  }

  #serve(request: CoapMessage, from: string, respond: Respond): void {
    const rooms = this.#rooms
    if (rooms === undefined || this.#closing !== undefined) return respond(undefined)
    const served = this.#answer(rooms, request, from)
      .catch((error: unknown): Served => {
        this.#failed('a request was not answered', error)
        return { kind: 'dropped', isTold: true }
      })
      .then((done) => {
        const once = done.kind !== 'answer' || done.to === 'unproven'
        respond(this.#say(request, from, done), { once })
      })
      .catch((error: unknown) => this.#failed('an answer was not sent', error))
      .finally(() => this.#inFlight.delete(served))
    this.#inFlight.add(served)
  }

  /** A stranger gets what its budget allows. */
  #say(request: CoapMessage, from: string, served: Served): Answer | undefined {
    if (served.kind === 'answer') return served.answer
    if (served.kind === 'dropped' && served.isTold) return undefined
    const said =
      served.kind === 'stranger' ? this.#strangers.may(request, from, served.answer) : undefined
    if (said === undefined) this.counters.dropped++
    else this.counters.answered++
    return said
  }

  async #answer(rooms: Rooms, request: CoapMessage, from: string): Promise<Served> {
    try {
      if (isCombined(request)) return await this.#combined(rooms, request, from)
      if (hasOption(request, optionNumber.oscore)) return await rooms.requests.serve(request, from)
      const unknown = request.options.find(
        ({ number }) => isCritical(number) && !understood.has(number),
      )
      if (unknown !== undefined) return unprotected(answer(coapCode.badOption))
      return await this.#open(rooms, request, from)
    } catch (error) {
      if (error instanceof PeerError) return unprotected(answer(coapCode.badRequest))
      throw error
    }
  }

  /** What is open to strangers. */
  async #open(rooms: Rooms, request: CoapMessage, from: string): Promise<Served> {
    const [first, second, ...more] = pathOf(request)
    if (first === 'm' || first === 'r') return unprotected(answer(coapCode.unauthorized))
    if (first !== wellKnown || second !== edhoc || more.length > 0) {
      return unprotected(answer(coapCode.notFound))
    }
    if (request.code !== coapCode.post) return unprotected(answer(coapCode.methodNotAllowed))
    const format = contentFormatIn(request)
    if (format !== undefined && format !== edhocContentFormat.withIdentifier) {
      return unprotected(answer(coapCode.unsupportedContentFormat))
    }
    return await this.#handshake(rooms, request, from)
  }

  async #handshake({ handshakes }: Rooms, request: CoapMessage, from: string): Promise<Served> {
    const payload = parseEdhocPayload(request.payload)
    if (payload.kind === 'message_1') {
      const said = await handshakes.start(request, payload.message, from)
      const to = this.#strangers.isProven(request, from) ? 'proven' : 'unproven'
      return said === undefined ? { kind: 'dropped', isTold: false } : spoken(said, to)
    }
    const { cR, message } = payload
    // Nobody has authenticated it: it is a hint, and the handshake ends by itself (RFC 9528 §6).
    if (isErrorMessage(message)) {
      parseError(message)
      return unprotected(answer(coapCode.changed))
    }
    const ending = await handshakes.finish(hex(cR), message, from)
    if (ending === undefined) return unprotected(answer(coapCode.badRequest))
    return ending.kind === 'context'
      ? spoken(ending.message4(), 'proven')
      : unprotected(ending.answer)
  }

  /** RFC 9668 §3.3.1. */
  async #combined(rooms: Rooms, combined: CoapMessage, from: string): Promise<Served> {
    const { message3, request } = separate(combined)
    const { kid } = oscoreOptionOf(request)
    const ending =
      kid === undefined ? undefined : await rooms.handshakes.finish(hex(kid), message3, from)
    if (ending?.kind === 'answer') return unprotected(ending.answer)
    // A handshake may be forgotten before its context: then what OSCORE verifies speaks for itself.
    return await rooms.requests.serve(request, from)
  }

  #noticed({ contexts, courier }: Rooms, notice: Notice): void {
    contexts.noticed(notice)
    courier.noticed(notice)
  }

  /** More than is answered is a flood, or somebody who looks for doors. */
  #tellOfStrangers(): void {
    const before = this.#toldOf
    const now = { ...this.counters }
    this.#toldOf = now
    if (now.dropped === before.dropped) return
    const facts = {
      dropped: now.dropped - before.dropped,
      answered: now.answered - before.answered,
      socketErrors: now.socketErrors - before.socketErrors,
    }
    this.#parts.log.warn(facts, 'coap: strangers sent more than is answered')
  }

  #failed(what: string, error: unknown): void {
    const code = isCountersignError(error) ? error.code : 'ERR_INTERNAL'
    this.#parts.log.error({ code }, `coap: ${what}: ${String(error)}`)
  }

  #every(name: string, milliseconds: number, run: () => void): void {
    const timer = this.#parts.timers.after(milliseconds, () => {
      this.#every(name, milliseconds, run)
      run()
    })
    this.#timers.set(name, timer)
  }
}

interface Rooms {
  readonly socket: DatagramLink
  readonly lives: CoapLives
  readonly endpoint: CoapEndpoint
  readonly contexts: Contexts
  readonly courier: CommandCourier
  readonly push: CredentialPush
  readonly handshakes: Handshakes
  readonly requests: ProtectedRequests
}

/** Each with a key of its own, drawn in this life (RFC 9175 Appendix A). */
function echoOf({ crypto, clock, random }: CoapDoorParts): EchoIssuer {
  const bytes = random.bytes(echoKeyBytes)
  const key = crypto.importSecret(bytes)
  bytes.fill(0)
  return new EchoIssuer({ crypto, clock, key })
}

function hasOption({ options }: CoapMessage, number: number): boolean {
  return options.some((option) => option.number === number)
}

function unprotected(said: Answer): Served {
  return { kind: 'stranger', answer: said }
}

/** A step of a handshake, whose budget it has been through. */
function spoken(said: Answer, to: 'proven' | 'unproven'): Served {
  return { kind: 'answer', answer: said, to }
}
