/**
 * One device that waits for commands: a long poll, or a stream of server-sent events (WHATWG HTML
 * §9.2; `event: command`, `id:` and `data:` the command's).
 *
 * A stream is kept alive by its reader: with each heartbeat that the socket takes, the session's
 * bound of an answer begins anew; one whose reader stalls runs into it.
 */
import type { ServerResponse } from 'node:http'
import type { Clock } from '@countersign/core/ports'
import { commandBody } from '../commandDocument.ts'
import type { CommandRow, DeviceCommands, Notices, Timers } from '../ports.ts'
import type { HttpSession } from './httpSession.ts'
import type { DoorLimits } from './limits.ts'

export interface CommandsAtDoor extends DeviceCommands {
  /** Undefined: this device has no such command. */
  show(device: string, id: string): Promise<CommandRow | undefined>
}

export interface CommandReadersParts {
  readonly commands: CommandsAtDoor
  readonly notices: Pick<Notices, 'listen'>
  readonly clock: Clock
  readonly timers: Timers
  readonly limits: DoorLimits
  /** Answers for a fault of ours, and logs it. */
  readonly broken: (error: unknown, response: ServerResponse) => void
}

/** What a client waits before it comes back. */
const retryMs = 2_000

export abstract class Reader {
  readonly response: ServerResponse
  protected readonly parts: CommandReadersParts
  protected readonly session: HttpSession
  readonly #device: string
  #woken = false
  #running = false

  constructor(
    parts: CommandReadersParts,
    session: HttpSession,
    device: string,
    response: ServerResponse,
  ) {
    this.parts = parts
    this.session = session
    this.#device = device
    this.response = response
  }

  abstract begin(): void
  /** Everything that waits now, oldest first. */
  protected abstract take(rows: readonly CommandRow[]): void
  abstract tick(now: number): void
  abstract end(): void

  get isOpen(): boolean {
    return !this.response.writableEnded && !this.response.destroyed
  }

  wake(): void {
    this.#woken = true
    if (this.#running) return
    this.#running = true
    this.#look()
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#running = false
        if (this.#woken && this.isOpen) this.wake()
      })
  }

  async #look(): Promise<void> {
    const { commands, limits } = this.parts
    while (this.#woken && this.isOpen) {
      this.#woken = false
      const rows = await commands.waiting(this.#device, limits.commandsPerLookMax)
      const { standing } = this.session
      if (standing.kind === 'pending') {
        // Judged again since we asked: who is refused gets nothing more.
        await standing.settled
        this.#woken = true
      } else if (standing.kind !== 'admitted') return
      else if (this.isOpen) this.take(rows)
    }
  }

  #fail(error: unknown): void {
    this.parts.broken(error, this.response)
    // A stream has sent its header: it can only be cut.
    if (this.isOpen) this.response.destroy()
  }
}

export class Poll extends Reader {
  readonly #until: number

  constructor(
    parts: CommandReadersParts,
    session: HttpSession,
    device: string,
    response: ServerResponse,
    until: number,
  ) {
    super(parts, session, device, response)
    this.#until = until
  }

  begin(): void {
    this.wake()
  }

  protected take(rows: readonly CommandRow[]): void {
    if (rows.length > 0 || this.parts.clock.now() >= this.#until) this.#answer(rows)
  }

  tick(now: number): void {
    if (now >= this.#until) this.end()
  }

  end(): void {
    this.#answer([])
  }

  /** As many as fit, and one in any case; the rest waits for the next poll. */
  #answer(rows: readonly CommandRow[]): void {
    if (!this.isOpen) return
    let body = ''
    for (const row of rows) {
      const next = commandBody(row)
      if (body !== '' && body.length + next.length > this.parts.limits.commandAnswerLengthMax) break
      body += body === '' ? next : `,${next}`
    }
    const bytes = Buffer.from(`[${body}]`)
    this.response.writeHead(200, {
      'Content-Type': 'application/json',
      'Content-Length': bytes.length,
      'Cache-Control': 'no-store',
    })
    this.response.end(bytes)
  }
}

export class Stream extends Reader {
  /** What waits and has been written here. */
  #sent: ReadonlySet<string> = new Set()
  #beatAt = 0

  begin(): void {
    this.response.writeHead(200, {
      'Content-Type': 'text/event-stream; charset=utf-8',
      'Cache-Control': 'no-store',
      'X-Accel-Buffering': 'no',
    })
    this.response.write(`retry: ${retryMs}\n\n`)
    this.response.on('drain', () => this.wake())
    this.#beatAt = this.parts.clock.now() + this.parts.limits.commandHeartbeatMs
    this.wake()
  }

  protected take(rows: readonly CommandRow[]): void {
    const sent = new Set<string>()
    for (const row of rows) {
      const known = this.#sent.has(row.id)
      // A reader that takes nothing gets the rest when it does.
      if (!known && this.response.writableNeedDrain) continue
      if (!known)
        this.response.write(`event: command\nid: ${row.id}\ndata: ${commandBody(row)}\n\n`)
      sent.add(row.id)
    }
    this.#sent = sent
  }

  tick(now: number): void {
    if (now < this.#beatAt || this.response.writableNeedDrain || !this.isOpen) return
    this.#beatAt = now + this.parts.limits.commandHeartbeatMs
    this.session.answering(now)
    this.response.write(':\n\n')
  }

  end(): void {
    if (this.isOpen) this.response.end()
  }
}
