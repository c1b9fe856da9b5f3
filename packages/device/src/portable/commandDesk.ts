/**
 * Where commands of any road are taken: each is run at most once, in time, and its outcome told.
 *
 * A command is run after this device has told the server that it has it. Where the server answers
 * that word (https), one that knows so gives it to nobody again, and one whose command has ended
 * meanwhile says no; where it does not (the PUBACK of MQTT), the word may be lost. What is given
 * twice is known by its id, which is remembered before the command is begun. A command that was
 * withheld on the way is late by the device's own clock, looked at last, and refused.
 */
import { utf8 } from '@countersign/core/codec'
import { PeerError } from '@countersign/core/errors'
import type { Clock } from '@countersign/core/ports'
import { type Command, parseCommand } from './command.ts'
import { type CommandMemory, RecentCommands } from './commandMemory.ts'

/** What came of a command: a result, or why the device will not do it. */
export type CommandOutcome =
  | { readonly contentType: string; readonly body: Uint8Array }
  | { readonly refused: string }

export type CommandHandler = (command: Command) => Promise<CommandOutcome>

/** A road, as commands see it. Both throw when the way is broken: it is tried again. */
export interface CommandWay {
  /** Says that this device has it. False: it must not be run, now or at all. */
  delivered(id: string): Promise<boolean>
  /** Undefined: the server has it, or wants none any more; else why it does not take this one. */
  answered(id: string, outcome: CommandOutcome): Promise<string | undefined>
}

export type CommandEvent =
  | { readonly event: 'command'; readonly id: string; readonly name: string }
  | { readonly event: 'commandAnswered'; readonly id: string }
  | { readonly event: 'commandRefused'; readonly id: string; readonly reason: string }
  /** What cannot be read, and has no id to refuse it by. */
  | { readonly event: 'commandUnreadable'; readonly reason: string }

export interface CommandDeskParts {
  readonly clock: Clock
  readonly handle: CommandHandler
  readonly listener: (event: CommandEvent) => void
  /** By default one that lives as long as the desk. */
  readonly memory?: CommandMemory
}

/** Like a message: the server takes no more. */
export const commandResultBytesMax: number = 64 * 1024
/** One line of a terminal. */
const reasonLengthMax = 256
/** An empty result on every road: over https no body would say that the device has it, no more. */
const nothing: CommandOutcome = { contentType: 'application/json', body: utf8('null') }

export class CommandDesk {
  readonly #parts: CommandDeskParts
  readonly #memory: CommandMemory
  /**
   * Of which the server may have been told, or not: the answer was lost, and who was told gives it
   * no more. A round ends with such a loss and the next begins here, so that these are few.
   */
  readonly #unsettled: Map<string, string> = new Map()
  /** Outcomes that the server does not have yet. */
  readonly #untold: Map<string, CommandOutcome> = new Map()
  #turn: Promise<unknown> = Promise.resolve()

  constructor(parts: CommandDeskParts) {
    this.#parts = parts
    this.#memory = parts.memory ?? new RecentCommands()
  }

  /**
   * One at a time, in the order of the calls. Throws what `way` throws, and PeerError for a text
   * that is no command and has no id to refuse it by.
   */
  take(text: string, way: CommandWay): Promise<void> {
    return this.#inTurn(() => this.#take(text, way))
  }

  /** Says again what did not get through before: that it has a command, what came of one. */
  flush(way: CommandWay): Promise<void> {
    return this.#inTurn(async () => {
      for (const text of this.#unsettled.values()) await this.#take(text, way)
      for (const [id, outcome] of this.#untold) await this.#tell(id, outcome, way)
    })
  }

  async #take(text: string, way: CommandWay): Promise<void> {
    const command = readable(text)
    const { id } = command
    const isKnown = this.#memory.has(id)
    this.#unsettled.set(id, text)
    const isMine = await way.delivered(id)
    this.#unsettled.delete(id)
    if (!isMine) return
    if (isKnown) {
      const outcome = this.#untold.get(id)
      if (outcome !== undefined) await this.#tell(id, outcome, way)
      return
    }
    await this.#memory.add(id)
    const outcome = 'refused' in command ? refused(command.refused) : await this.#outcomeOf(command)
    this.#untold.set(id, outcome)
    await this.#tell(id, outcome, way)
  }

  async #outcomeOf(command: Command): Promise<CommandOutcome> {
    const { clock, handle, listener } = this.#parts
    const { id, name, expires } = command
    const now = clock.now()
    if (now >= expires) {
      const end = new Date(expires).toISOString()
      return refused(`it expired at ${end}; the clock here says ${new Date(now).toISOString()}`)
    }
    listener({ event: 'command', id, name })
    try {
      const outcome = await handle(command)
      if ('refused' in outcome) return refused(outcome.refused)
      const { length } = outcome.body
      if (length === 0) return nothing
      if (length <= commandResultBytesMax) return outcome
      return refused(`its result of ${length} bytes is more than ${commandResultBytesMax}`)
    } catch (error) {
      return refused(error instanceof Error ? error.message : String(error))
    }
  }

  async #tell(id: string, outcome: CommandOutcome, way: CommandWay): Promise<void> {
    const fault = await way.answered(id, outcome)
    const { listener } = this.#parts
    if (fault !== undefined && !('refused' in outcome)) {
      const refusal = refused(`the server does not take its result: ${fault}`)
      this.#untold.set(id, refusal)
      return this.#tell(id, refusal, way)
    }
    this.#untold.delete(id)
    if ('refused' in outcome) listener({ event: 'commandRefused', id, reason: outcome.refused })
    else listener({ event: 'commandAnswered', id })
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const mine = this.#turn.then(work)
    this.#turn = mine.catch(() => undefined)
    return mine
  }
}

/** A command, or the refusal of one that can be named and not read. */
function readable(text: string): Command | { readonly id: string; readonly refused: string } {
  try {
    return parseCommand(text)
  } catch (error) {
    const id = error instanceof PeerError ? error.details['id'] : undefined
    if (!(error instanceof PeerError) || typeof id !== 'string') throw error
    return { id, refused: error.message }
  }
}

function refused(reason: string): CommandOutcome {
  const line = reason.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, ' ').trim()
  return { refused: line.slice(0, reasonLengthMax) || 'no reason was given' }
}
