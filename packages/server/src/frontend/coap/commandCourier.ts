/**
 * Brings devices their commands: `POST /c/<name>`, one at a time, oldest first; 2.xx: delivered.
 * What could not be brought waits in the store until the device speaks: with thousands of devices
 * that do not answer, a bounded number is tried at a time, and whoever has just spoken goes first.
 * When all are brought, the device is told of the server's next certificate.
 */
import {
  type CoapEndpoint,
  type CoapMessage,
  coapCode,
  contentFormat,
  contentFormatOption,
  isSuccess,
  type OutgoingRequest,
  uriPath,
} from '@countersign/core/coap'
import { utf8 } from '@countersign/core/codec'
import { isCountersignError, PeerError } from '@countersign/core/errors'
import type { Clock, Random } from '@countersign/core/ports'
import { commandBody } from '../../commandDocument.ts'
import type { CommandRow, DeviceCommands, Log, Notice } from '../../ports.ts'
import { Oldest } from '../../recent.ts'
import type { Contexts } from './contexts.ts'
import type { CredentialPush } from './credentialPush.ts'
import { diagnosticOf, isPassing } from './deviceAnswers.ts'
import { Errand } from './errand.ts'
import type { CoapLimits } from './limits.ts'
import type { LiveContext } from './liveContext.ts'
import { Patience } from './patience.ts'

export interface CommandCourierParts {
  readonly commands: DeviceCommands
  readonly contexts: Contexts
  readonly push: Pick<CredentialPush, 'isDue' | 'tell'>
  readonly request: CoapEndpoint['request']
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly limits: Pick<CoapLimits, 'commandsPerLookMax' | 'couriersMax' | 'couriersWaitingMax'>
}

interface Task {
  /** Undefined while its context is looked up. */
  errand: Errand | undefined
  /** The device has just spoken. */
  isThere: boolean
  /** Somebody called meanwhile. */
  isCalled: boolean
  /** Never rejects. */
  done: Promise<void>
}

export class CommandCourier {
  readonly #parts: CommandCourierParts
  readonly #patience: Patience
  readonly #tasks: Map<string, Task> = new Map()
  /** Devices that wait for their turn: those that have spoken, and the others. */
  readonly #present: Set<string> = new Set()
  readonly #absent: Set<string> = new Set()
  readonly #oldestPresent: Oldest<string> = new Oldest(() => this.#present.values())
  readonly #oldestAbsent: Oldest<string> = new Oldest(() => this.#absent.values())
  #isClosed = false

  constructor(parts: CommandCourierParts) {
    this.#parts = parts
    this.#patience = new Patience(parts.clock)
  }

  /** Devices that are being brought something. */
  get size(): number {
    return this.#tasks.size
  }

  /** Those that wait for their turn. */
  get waiting(): number {
    return this.#present.size + this.#absent.size
  }

  /** The device has spoken: it is there, perhaps somewhere else, perhaps with new keys. */
  heard(context: LiveContext): void {
    if (!context.mayHaveCommands && !this.#parts.push.isDue(context)) return
    const task = this.#tasks.get(context.device)
    if (task === undefined) {
      if (this.#patience.mayTry(context)) this.#want(context.device, true)
      return
    }
    task.isThere = true
    const { errand } = task
    if (errand === undefined || errand.context === context) return errand?.heard()
    // With the old keys nobody answers.
    task.isCalled = true
    errand.end()
  }

  noticed(notice: Notice): void {
    switch (notice.kind) {
      case 'commands':
        return this.#wake(notice.device)
      case 'device':
        return this.#doubt(this.#tasks.get(notice.id))
      case 'certificate':
        if (notice.device !== null) this.#doubt(this.#tasks.get(notice.device))
        return
      case 'product':
      case 'anchors':
        for (const task of this.#tasks.values()) this.#doubt(task)
        return
      case 'application':
      case 'messages':
        return
    }
  }

  /** What devices have answered is written down then; nothing more is asked. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#present.clear()
    this.#absent.clear()
    const tasks = [...this.#tasks.values()]
    for (const { errand } of tasks) errand?.end()
    await Promise.all(tasks.map(({ done }) => done))
  }

  /** There is something new, perhaps. */
  #wake(device: string): void {
    for (const context of this.#parts.contexts.inMemory(device)) context.mayHaveCommands = true
    const task = this.#tasks.get(device)
    if (task === undefined) this.#want(device, false)
    else task.isCalled = true
  }

  /** What is under way to a device that may not come in any more goes out no more. */
  #doubt(task: Task | undefined): void {
    const errand = task?.errand
    if (errand === undefined) return
    const { standings } = this.#parts.contexts
    standings
      .ofSilent(errand.context)
      .then(({ kind }) => {
        if (kind !== 'admitted') errand.end()
      })
      .catch((error: unknown) => this.#failed(errand.context.device, error))
  }

  #want(device: string, isThere: boolean): void {
    const { couriersMax, couriersWaitingMax } = this.#parts.limits
    if (this.#isClosed) return
    if (this.#tasks.size < couriersMax) return this.#begin(device, isThere)
    if (this.#present.has(device)) return
    // No room there either: it is brought what waits when it speaks next.
    const queue = isThere ? this.#present : this.#absent
    if (queue.size >= couriersWaitingMax) return
    queue.add(device)
    if (!isThere) return
    this.#absent.delete(device)
    this.#makeRoom()
  }

  /** The one that has been silent for longest waits until it speaks. */
  #makeRoom(): void {
    for (const { errand, isThere } of this.#tasks.values()) {
      if (errand === undefined || isThere || errand.isThere || errand.isOver) continue
      return errand.end()
    }
  }

  #begin(device: string, isThere: boolean): void {
    const done = Promise.resolve()
    const task: Task = { errand: undefined, isThere, isCalled: false, done }
    this.#tasks.set(device, task)
    task.done = this.#go(device, task)
      .catch((error: unknown) => this.#failed(device, error))
      .finally(() => {
        this.#tasks.delete(device)
        if (task.isCalled) this.#want(device, task.isThere)
        this.#next()
      })
  }

  #next(): void {
    while (this.waiting > 0 && this.#tasks.size < this.#parts.limits.couriersMax) {
      const isThere = this.#present.size > 0
      const device = isThere ? this.#oldestPresent.next() : this.#oldestAbsent.next()
      if (device === undefined) return
      this.#present.delete(device)
      this.#absent.delete(device)
      if (!this.#tasks.has(device)) this.#begin(device, isThere)
    }
  }

  async #go(device: string, task: Task): Promise<void> {
    const { contexts, push } = this.#parts
    const context = await contexts.holdOfDevice(device)
    if (context === undefined) return
    try {
      if (this.#isClosed || !this.#patience.mayTry(context)) return
      const errand = new Errand({ ...this.#parts, patience: this.#patience }, context)
      errand.isThere = task.isThere
      task.errand = errand
      context.mayHaveCommands = true
      if (!(await this.#bring(errand))) return
      if (!task.isCalled) context.mayHaveCommands = false
      // One that nobody has heard may be asleep: its successor can wait.
      if (errand.isThere && (await this.#mayHave(errand))) await push.tell(errand, this.#patience)
    } finally {
      contexts.release(context)
    }
  }

  /** True: nothing waits any more. */
  async #bring(errand: Errand): Promise<boolean> {
    const { commands, limits, clock } = this.#parts
    for (const row of await commands.waiting(errand.context.device, limits.commandsPerLookMax)) {
      if (!(await this.#mayHave(errand))) return false
      if (row.expiresAt <= clock.now()) continue
      if (!(await this.#deliver(errand, row))) return false
    }
    return true
  }

  /** Judged again meanwhile: a suspended device gets nothing. */
  async #mayHave(errand: Errand): Promise<boolean> {
    const standing = await this.#parts.contexts.standings.ofSilent(errand.context)
    return standing.kind === 'admitted' && !errand.isOver
  }

  /** False: the device is not there, or asks to be left alone. */
  async #deliver(errand: Errand, row: CommandRow): Promise<boolean> {
    const { commands } = this.#parts
    const { context } = errand
    const request: OutgoingRequest = {
      code: coapCode.post,
      options: [...uriPath('c', row.name), contentFormatOption(contentFormat.json)],
      payload: utf8(commandBody(row)),
    }
    const response = await this.#answerOf(errand, request)
    if (response === undefined) return false
    if (typeof response === 'string') await this.#refused(row, response)
    else if (isSuccess(response.code)) await commands.delivered(context.device, row.id)
    else if (isPassing(response)) {
      this.#patience.postponed(context, response)
      return false
    } else await this.#refused(row, `the device answered with ${diagnosticOf(response)}`)
    return true
  }

  /** A text: why there can be no answer. */
  async #answerOf(
    errand: Errand,
    request: OutgoingRequest,
  ): Promise<CoapMessage | string | undefined> {
    try {
      return await errand.ask(request)
    } catch (error) {
      if (error instanceof PeerError) return `the device's answer cannot be read: ${error.message}`
      throw error
    }
  }

  async #refused({ device, id }: CommandRow, reason: string): Promise<void> {
    const body = Buffer.from(reason)
    const answer = { state: 'refused', contentType: 'text/plain; charset=utf-8', body } as const
    await this.#parts.commands.answered(device, id, answer)
  }

  #failed(device: string, error: unknown): void {
    const code = isCountersignError(error) ? error.code : 'ERR_INTERNAL'
    this.#parts.log.error({ code, device }, `a command was not brought on coap: ${String(error)}`)
  }
}
