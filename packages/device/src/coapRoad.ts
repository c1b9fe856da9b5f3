/**
 * Readings on the narrow channel: `POST /m/<topic>?n=<number>` under OSCORE, taken when the answer is
 * 2.04. The context lives in the state folder, so that the next command goes on without a handshake.
 * A device that takes commands keeps its socket, and the way to it open.
 */
import { type CoapMessage, contentFormatOf, type Transmission } from '@countersign/core/coap'
import { equalBytes, fromHex } from '@countersign/core/codec'
import { suitesOf } from '@countersign/core/edhoc'
import { isCountersignError } from '@countersign/core/errors'
import type { Milliseconds, Timers } from '@countersign/core/ports'
import { elementCoseSigner, elementEphemeral } from '@countersign/element/edhoc'
import { describe, leafOf } from './certificate.ts'
import type { CoapCommands } from './coapCommands.ts'
import { judgeResponse } from './coapOutcome.ts'
import { keepAlive, nobody, requestOf, unnumbered } from './coapRequests.ts'
import { inWords } from './coapWords.ts'
import { patienceOf } from './failures.ts'
import {
  type DeviceCredential,
  type NarrowParts,
  type NarrowRequest,
  NarrowSession,
  trustPinnedIssuer,
} from './portable/narrow/index.ts'
import type { Problem } from './problem.ts'
import { refusalOf } from './refusal.ts'
import { Later } from './retry.ts'
import type { Outcome, Road, RoadParts } from './road.ts'
import { CoapState } from './state/coapState.ts'
import { requireEnrolled, stateFiles } from './state/folder.ts'
import type { Credential } from './state/identity.ts'
import type { Reading } from './state/outbox.ts'
import type { ServerTarget } from './target.ts'
import { openUdpLink, type UdpLink } from './udpLink.ts'
import { fired, type World } from './world.ts'

export interface CoapRoadOptions extends Pick<NarrowParts, 'limits' | 'transmission' | 'method'> {
  /** The one cipher suite of EDHOC that is offered; 2, or else 3, where nothing is said. */
  readonly suite?: 2 | 3 | undefined
  /** A NAT forgets a way that nothing goes for 30 seconds, some of them (RFC 8085 §3.5). */
  readonly keepAliveMs?: Milliseconds
  /** Who makes the ephemeral key of each handshake; the host by default. See docs/device-maker/coap.md. */
  readonly ephemeral?: EphemeralsBy
}

export const ephemeralNames = ['host', 'element'] as const
export type EphemeralsBy = (typeof ephemeralNames)[number]

const keepAliveMsDefault: Milliseconds = 25_000

export type CoapRoadParts = Omit<RoadParts, 'commands'> & {
  readonly commands?: CoapCommands | undefined
}

interface Open {
  readonly session: NarrowSession
  readonly storage: CoapState
  link: UdpLink
  /** DER of the leaf it speaks for. */
  leaf: Uint8Array
}

export class CoapRoad implements Road {
  readonly #parts: CoapRoadParts
  readonly #target: ServerTarget
  readonly #options: Pick<
    NarrowParts,
    'limits' | 'transmission' | 'method' | 'suites' | 'ephemeral'
  >
  readonly #keepAliveMs: Milliseconds
  #opening: Promise<Open> | undefined
  #open: Open | undefined
  #closing: AbortController = new AbortController()
  #hasSpoken = false
  /** Why the last attempt came to nothing, in words. */
  #failure: string | undefined
  /** To find the server anew. */
  #attempts = 0

  /** Throws ERR_ELEMENT_UNSUPPORTED for an element that makes no ephemeral keys and shall. */
  constructor(parts: CoapRoadParts, target: ServerTarget, options: CoapRoadOptions = {}) {
    this.#parts = parts
    this.#target = target
    const { keepAliveMs = keepAliveMsDefault, suite, ephemeral: by, ...rest } = options
    this.#keepAliveMs = keepAliveMs
    const { state, world } = parts
    const ephemeral = by === 'element' ? elementEphemeral(state.element, world.crypto) : undefined
    this.#options = {
      ...rest,
      ...suitesOfOne(suite, world),
      ...(ephemeral !== undefined && { ephemeral }),
    }
  }

  async deliver(reading: Reading): Promise<Outcome> {
    const format = contentFormatOf(reading.contentType)
    if (format === undefined) return { kind: 'rejected', problem: unnumbered(reading.contentType) }
    const { eui64 } = describe(this.#credential().certificates)
    const { stopped } = this.#parts.commands ?? {}
    const response = await this.#ask(requestOf(reading, format), stopped)
    return judgeResponse(response, eui64 === '' ? '' : `${eui64}-${reading.number}`)
  }

  /**
   * Each question to the server opens the way for its commands, and tells it where this device is.
   */
  async attend(signal: AbortSignal): Promise<void> {
    const { commands, world } = this.#parts
    if (commands === undefined) return fired(signal)
    while (!signal.aborted) {
      if (this.#hasSpoken) await world.wait(this.#keepAliveMs, signal)
      if (signal.aborted) return
      await this.#keepAlive(signal)
    }
  }

  refusal(problem: Problem): Error {
    return refusalOf(this.#parts.state, this.#parts.world, problem)
  }

  close(): void {
    this.#closing.abort()
    this.#closing = new AbortController()
    this.#opening = undefined
    const open = this.#open
    this.#open = undefined
    const wasConnected = this.#hasSpoken
    this.#hasSpoken = false
    if (open === undefined) return
    open.storage.close()
    open.link.close()
    // Its timers end; what it wanted to write it cannot any more.
    void open.session.sleep()
    if (wasConnected) this.#parts.listener({ event: 'disconnected', server: this.#target.url })
  }

  async #keepAlive(signal: AbortSignal): Promise<void> {
    let response: CoapMessage
    try {
      response = await this.#ask(keepAlive, signal)
    } catch (error) {
      if (signal.aborted) return
      throw error
    }
    const judged = judgeResponse(response, '')
    if (judged.kind === 'refused') throw this.refusal(judged.problem)
    if (judged.kind !== 'later') return
    const { problem, afterMs } = judged
    throw new Later('commands do not come', problem, afterMs, 'The server is asked again.')
  }

  async #ask(request: NarrowRequest, signal?: AbortSignal): Promise<CoapMessage> {
    const closing = this.#closing.signal
    let open: Open | undefined
    try {
      open = await this.#opened()
      const either = signal === undefined ? closing : AbortSignal.any([closing, signal])
      const response = await open.session.request(request, { signal: either })
      this.#speaks(open)
      return response
    } catch (error) {
      const fault = open?.link.fault
      if (open !== undefined && isSilence(error)) await this.#anotherLink(open)
      throw this.#inWords(error, fault)
    }
  }

  /**
   * The server may be elsewhere by now, or what carries the answers may have forgotten this socket.
   */
  async #anotherLink(open: Open): Promise<void> {
    const { session } = open
    let link: UdpLink
    try {
      link = await openUdpLink(this.#target, (one) => session.receive(one), ++this.#attempts)
    } catch (error) {
      // Told by whoever waits in vain; the way of before may come back.
      if (isCountersignError(error)) return
      throw error
    }
    if (this.#open === open) {
      open.link.close()
      open.link = link
    } else link.close()
  }

  #inWords(error: unknown, fault?: unknown): unknown {
    const before = this.#failure
    const worded = inWords(error, { ...this.#parts, target: this.#target, fault, before })
    if (isCountersignError(worded) && !(worded instanceof Later)) this.#failure = worded.message
    return worded
  }

  /** After the first verified answer. */
  #speaks({ session }: Open): void {
    const isFirst = !this.#hasSpoken
    this.#hasSpoken = true
    if (isFirst) this.#parts.listener({ event: 'connected', server: this.#target.url })
    // A result is not given up with what is under way: it is told while a run ends.
    this.#parts.commands?.begin(async (request) => {
      try {
        return await session.request(request)
      } catch (error) {
        throw this.#inWords(error)
      }
    })
  }

  async #opened(): Promise<Open> {
    const credential = this.#credential()
    this.#opening ??= this.#openWith(credential)
    const opening = this.#opening
    try {
      const open = await opening
      const leaf = leafOf(credential.certificates)
      if (!equalBytes(leaf.der, open.leaf)) {
        open.leaf = leaf.der
        open.session.changeCredential(this.#credentialOf(credential))
      }
      return open
    } catch (error) {
      if (this.#opening === opening) this.#opening = undefined
      throw error
    }
  }

  async #openWith(credential: Credential): Promise<Open> {
    const { state, world, commands } = this.#parts
    const { crypto, clock, random } = world
    const closing = this.#closing.signal
    const storage = new CoapState(stateFiles(state.folder).coap)
    const mine = this.#credentialOf(credential)
    let open: Open | undefined
    const session = await NarrowSession.open({
      crypto,
      clock,
      random,
      storage,
      credential: mine,
      timers: timersOf(world),
      send: (datagram) => open?.link.send(datagram),
      transmission: transmissionOf(world),
      trust: trustPinnedIssuer(crypto, fromHex(this.#target.anchor)),
      serve: async (request) => await (commands?.serve(request) ?? nobody()),
      fault: (error) => this.#fault(error),
      ...this.#options,
    })
    const link = await openUdpLink(this.#target, (datagram) => session.receive(datagram))
    open = { session, storage, link, leaf: mine.leaf }
    if (closing.aborted) {
      storage.close()
      link.close()
      throw closing.reason
    }
    this.#open = open
    return open
  }

  #credential(): Credential {
    return requireEnrolled(this.#parts.state.folder, this.#parts.state.identity).current
  }

  #credentialOf({ slot, certificates }: Credential): DeviceCredential {
    const { der, spki } = leafOf(certificates)
    return { leaf: der, signer: elementCoseSigner(this.#parts.state.element, slot, spki.der) }
  }

  /** A command that could not be served stays with the server, which gives it again. */
  #fault(error: unknown): void {
    const reason = isCountersignError(error) ? error.message : String(error)
    this.#parts.listener({ event: 'commandUnreadable', reason })
  }
}

function suitesOfOne(
  suite: CoapRoadOptions['suite'],
  { crypto }: World,
): Pick<NarrowParts, 'suites'> {
  if (suite === undefined) return {}
  return { suites: suitesOf(crypto).filter(({ number }) => number === suite) }
}

function isSilence(error: unknown): boolean {
  return isCountersignError(error) && error.code === 'ERR_NARROW_TIMEOUT'
}

/**
 * RFC 7252 §4.8: three times again, so that a silent server is given as long as on the other roads.
 */
function transmissionOf(world: World): Pick<Transmission, 'ackTimeoutMs' | 'retransmitMax'> {
  return { ackTimeoutMs: patienceOf(world).answerMs / (1 + 2 + 4 + 8), retransmitMax: 3 }
}

function timersOf(world: World): Timers {
  return {
    after(milliseconds, run) {
      const cancelled = new AbortController()
      void world.wait(milliseconds, cancelled.signal).then(() => {
        if (!cancelled.signal.aborted) run()
      })
      return { cancel: () => cancelled.abort() }
    },
  }
}
