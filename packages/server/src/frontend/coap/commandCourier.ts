/**
 * Brings a device its commands as requests of the server on the same context (RFC 8613 §3.1, roles
 * swapped): `POST /c/<name>`, one at a time, to where its newest verified message came from. 2.xx:
 * delivered. One that was not goes out again when the device speaks next.
 */
import {
  type CoapEndpoint,
  type CoapMessage,
  coapCode,
  codeText,
  contentFormatOption,
  type OutgoingRequest,
  sendInBlocks,
  uriPath,
} from '@countersign/core/coap'
import { utf8 } from '@countersign/core/codec'
import { InvariantError, isCountersignError } from '@countersign/core/errors'
import { protectRequest, repeatedWithEcho } from '@countersign/core/oscore'
import type { Clock, Random } from '@countersign/core/ports'
import { commandBody } from '../../commandDocument.ts'
import type { CommandRow, DeviceCommands, Log } from '../../ports.ts'
import { isSuccess } from './answers.ts'
import type { Contexts } from './contexts.ts'
import type { CoapLimits } from './limits.ts'
import type { LiveContext } from './liveContext.ts'

export interface CommandCourierParts {
  readonly commands: DeviceCommands
  readonly contexts: Contexts
  readonly request: CoapEndpoint['request']
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly limits: Pick<CoapLimits, 'commandsPerLookMax' | 'couriersMax'>
}

interface Errand {
  /** Somebody called meanwhile. */
  isWoken: boolean
  /** Where the request that is under way went; the way out of waiting for its answer. */
  readonly abort: AbortController
  address: string
}

const json = 50
const noBytes = new Uint8Array()

export class CommandCourier {
  readonly #parts: CommandCourierParts
  readonly #errands: Map<string, Errand> = new Map()
  #isClosed = false

  constructor(parts: CommandCourierParts) {
    this.#parts = parts
  }

  get size(): number {
    return this.#errands.size
  }

  /** The device has spoken: it is there, perhaps somewhere else. */
  heard(context: LiveContext): void {
    if (!context.mayHaveCommands) return
    const errand = this.#errands.get(context.device)
    // Nobody answers where it was.
    if (errand !== undefined && errand.address !== context.address) errand.abort.abort()
    this.wake(context.device)
  }

  /** There is something new, perhaps. */
  wake(device: string): void {
    if (this.#isClosed) return
    const underway = this.#errands.get(device)
    if (underway !== undefined) {
      underway.isWoken = true
      return
    }
    // The device is brought it when it speaks.
    if (this.#errands.size >= this.#parts.limits.couriersMax) return
    const errand = { isWoken: false, abort: new AbortController(), address: '' }
    this.#errands.set(device, errand)
    this.#go(device, errand)
      .catch((error: unknown) => this.#failed(device, error))
      .finally(() => {
        this.#errands.delete(device)
        if (errand.isWoken) this.wake(device)
      })
  }

  close(): void {
    this.#isClosed = true
    for (const { abort } of this.#errands.values()) abort.abort()
  }

  async #go(device: string, errand: Errand): Promise<void> {
    const { contexts } = this.#parts
    const context = await contexts.holdOfDevice(device)
    if (context === undefined) return
    try {
      context.mayHaveCommands = true
      const isDone = await this.#bring(context, errand)
      if (isDone && !errand.isWoken) context.mayHaveCommands = false
    } finally {
      contexts.release(context)
    }
  }

  /** True: nothing waits any more. */
  async #bring(context: LiveContext, errand: Errand): Promise<boolean> {
    const { commands, limits, contexts, clock } = this.#parts
    for (const row of await commands.waiting(context.device, limits.commandsPerLookMax)) {
      // Judged again meanwhile: a suspended device gets nothing.
      const standing = await contexts.standings.ofSilent(context)
      if (standing.kind !== 'admitted' || context.state !== 'live' || this.#isClosed) return false
      if (row.expiresAt <= clock.now()) continue
      if (!(await this.#deliver(context, row, errand))) return false
    }
    return true
  }

  /** False: the device is not there, or asks to be left alone. */
  async #deliver(context: LiveContext, row: CommandRow, errand: Errand): Promise<boolean> {
    const { commands } = this.#parts
    const request: OutgoingRequest = {
      code: coapCode.post,
      options: [...uriPath('c', row.name), contentFormatOption(json)],
      payload: utf8(commandBody(row)),
    }
    const response = await this.#ask(context, request, errand)
    if (response === undefined || response.code >> 5 === 5) return false
    if (isSuccess(response)) {
      await commands.delivered(context.device, row.id)
      return true
    }
    const text = `the device answered with ${codeText(response.code)}`
    const body = Buffer.from(text)
    const refused = { state: 'refused', contentType: 'text/plain', body } as const
    await commands.answered(context.device, row.id, refused)
    return true
  }

  /** Undefined: nobody has answered. A device without a clock has it sent again with an Echo. */
  async #ask(
    context: LiveContext,
    request: OutgoingRequest,
    errand: Errand,
  ): Promise<CoapMessage | undefined> {
    try {
      const first = await this.#inBlocks(context, request, errand)
      const again = repeatedWithEcho(request, first)
      return again === undefined ? first : await this.#inBlocks(context, again, errand)
    } catch (error) {
      const isSilence = isCountersignError(error) && silences.has(error.code)
      if (isSilence || errand.abort.signal.aborted) return undefined
      throw error
    }
  }

  async #inBlocks(
    context: LiveContext,
    request: OutgoingRequest,
    errand: Errand,
  ): Promise<CoapMessage> {
    const { random } = this.#parts
    return await sendInBlocks(request, (part) => this.#exchange(context, part, errand), { random })
  }

  async #exchange(
    context: LiveContext,
    part: OutgoingRequest,
    errand: Errand,
  ): Promise<CoapMessage> {
    const { contexts, request } = this.#parts
    const { sequence } = context.security.sender
    while (sequence.next >= sequence.reserved) await contexts.reserve(context)
    const inner: CoapMessage = { ...part, type: 'CON', messageId: 0, token: noBytes }
    const { message, exchange } = protectRequest(context.security, inner)
    errand.address = context.address
    let verified: CoapMessage | undefined
    await request({ ...message, type: 'CON' }, context.address, {
      signal: errand.abort.signal,
      accept: (response) => {
        try {
          verified = exchange.unprotectResponse(response)
          return true
        } catch (error) {
          if (isCountersignError(error)) return false // not the device's: waiting goes on
          throw error
        }
      },
    })
    if (verified === undefined)
      throw new InvariantError('ERR_COAP_ANSWERED', 'no response is there')
    return verified
  }

  #failed(device: string, error: unknown): void {
    const code = isCountersignError(error) ? error.code : 'ERR_INTERNAL'
    this.#parts.log.error({ code, device }, `a command was not brought on coap: ${String(error)}`)
  }
}

/** The command stays where it is until the device speaks. */
const silences: ReadonlySet<string> = new Set([
  'ERR_COAP_TIMEOUT',
  'ERR_COAP_CLOSED',
  'ERR_COAP_BUSY',
  'ERR_COAP_RESET',
])
