/**
 * The events door: messages as server-sent events (WHATWG HTML §9.2). `id:` is the message's number
 * in the house, `data:` the CloudEvent.
 *
 * A reader without Last-Event-ID begins with the oldest message that is kept; with it, after that
 * message. A stream counts as having had what was written to it: that moves the application's
 * cursor, but messages are kept for a named time beyond that, so that a reader that lost its
 * connection comes back with the last id it saw and misses nothing.
 *
 * A slow reader is not read for: the stream rests until the socket drains and is closed when that
 * takes too long.
 *
 * The console's page reads here too, through a `shape` of its own and without a cursor.
 */
import type { ServerResponse } from 'node:http'
import type { Clock } from '@countersign/core/ports'
import type { EventsQuery, Log, MessageRow, Store, Timers } from '../ports.ts'
import type { Cursors } from './cursors.ts'
import type { ApplicationLimits } from './limits.ts'

export interface EventStreamsParts {
  readonly store: Pick<Store, 'scan'>
  readonly cursors: Cursors
  readonly clock: Clock
  readonly timers: Timers
  readonly log: Log
  readonly limits: ApplicationLimits
  /** Number of the newest message, as far as it is known. */
  readonly head: () => number
  /** A newer one was seen. */
  readonly grown: (throughSeq: number) => void
}

export type Opening = 'open' | 'tooMany'

/** What a browser waits before it comes back. */
const retryMs = 2_000
/** Lines that are joined into one write. */
const writeLengthMax = 65_536

export class EventStreams {
  readonly #parts: EventStreamsParts
  readonly #streams: Set<EventStream> = new Set()
  #beating: { cancel(): void } | undefined

  constructor(parts: EventStreamsParts) {
    this.#parts = parts
  }

  start(): void {
    this.#armHeartbeat()
  }

  /** Number of the newest message, as far as it is known. */
  get head(): number {
    return this.#parts.head()
  }

  /** Takes over the response, whose header is not sent yet. */
  open(query: EventsQuery, response: ServerResponse): Opening {
    const { limits } = this.#parts
    const own = [...this.#streams].filter((stream) => stream.application === query.application)
    if (this.#streams.size >= limits.streamsMax || own.length >= limits.streamsPerApplicationMax)
      return 'tooMany'
    const stream = new EventStream(this.#parts, query, response)
    this.#streams.add(stream)
    response.once('close', () => this.#streams.delete(stream))
    stream.start()
    return 'open'
  }

  wake(): void {
    for (const stream of this.#streams) stream.wake()
  }

  closeOf(application: string): void {
    for (const stream of this.#streams) if (stream.application === application) stream.close()
  }

  close(): void {
    this.#beating?.cancel()
    for (const stream of this.#streams) stream.close()
  }

  #armHeartbeat(): void {
    this.#beating = this.#parts.timers.after(this.#parts.limits.heartbeatMs, () => {
      for (const stream of this.#streams) stream.beat()
      this.#armHeartbeat()
    })
  }
}

class EventStream {
  readonly application: string
  readonly #parts: EventStreamsParts
  readonly #query: EventsQuery
  readonly #response: ServerResponse
  #position: number
  #running = false
  #woken = true
  /** Since when the socket takes nothing more. */
  #stalledSince: number | undefined

  constructor(parts: EventStreamsParts, query: EventsQuery, response: ServerResponse) {
    this.application = query.application
    this.#parts = parts
    this.#query = query
    this.#response = response
    // A number that was never given here is from before a restore: the reader starts anew rather
    // than wait for it.
    const last = query.lastEventId ?? 0
    this.#position = last <= parts.head() ? last : 0
  }

  start(): void {
    this.#response.writeHead(200, {
      'Content-Type': 'text/event-stream; charset=utf-8',
      'Cache-Control': 'no-store',
      'X-Accel-Buffering': 'no',
    })
    this.#response.write(`retry: ${retryMs}\n\n`)
    this.wake()
  }

  wake(): void {
    this.#woken = true
    if (this.#running || this.#response.destroyed) return
    this.#running = true
    this.#run()
      .catch((error: unknown) => {
        this.#parts.log.error(
          { application: this.application },
          `a stream of events broke: ${String(error)}`,
        )
        this.close()
      })
      .finally(() => {
        this.#running = false
        if (this.#woken) this.wake()
      })
  }

  close(): void {
    this.#response.destroy()
  }

  /** Called by the one timer that all streams share. */
  beat(): void {
    const { clock, limits, log } = this.#parts
    if (this.#stalledSince === undefined) return void this.#response.write(':\n\n')
    if (clock.now() - this.#stalledSince < limits.streamStalledMsMax) return
    log.warn(
      { application: this.application },
      'a stream of events was closed: its reader takes nothing',
    )
    this.close()
  }

  async #run(): Promise<void> {
    const { store, cursors, limits } = this.#parts
    while (this.#woken && !this.#response.destroyed) {
      this.#woken = false
      this.#skipThePast()
      const page = await store.scan('message', { after: this.#position, limit: limits.pageMax })
      if (page.length > 0) this.#woken = true
      for (const text of this.#chunks(page)) {
        if (this.#response.destroyed) return
        if (!this.#response.write(text)) await this.#drained()
      }
      if (this.#response.destroyed) return
      this.#position = page.at(-1)?.seq ?? this.#position
      this.#parts.grown(this.#position)
      if (this.#query.movesCursor) cursors.advance(this.application, this.#position)
    }
  }

  #skipThePast(): void {
    const { behindMax } = this.#query
    const head = this.#parts.head()
    if (behindMax === undefined || head - this.#position <= behindMax) return
    this.#position = head
    // WHATWG HTML §9.2.6: an event without data is not dispatched.
    this.#response.write('event: reset\ndata: {}\n\n')
  }

  *#chunks(page: readonly MessageRow[]): Generator<string> {
    let text = ''
    for (const message of page) {
      if (!this.#wants(message)) continue
      const shown = this.#shown(message)
      if (shown === undefined) continue
      text += `id: ${message.seq}\n${shown}\n\n`
      if (text.length < writeLengthMax) continue
      yield text
      text = ''
    }
    if (text !== '') yield text
  }

  #wants({ type, source }: MessageRow): boolean {
    const query = this.#query
    return (query.type ?? type) === type && (query.device ?? source) === source
  }

  #shown(message: MessageRow): string | undefined {
    const { shape } = this.#query
    return shape === undefined ? `data: ${oneLine(message.body)}` : shape(message)
  }

  /** Resolves when the socket takes more, or is gone. */
  #drained(): Promise<void> {
    this.#stalledSince = this.#parts.clock.now()
    return new Promise((resolve) => {
      const done = (): void => {
        this.#stalledSince = undefined
        this.#response.off('drain', done)
        this.#response.off('close', done)
        resolve()
      }
      this.#response.on('drain', done)
      this.#response.on('close', done)
    })
  }
}

/**
 * Line breaks between tokens, as a device may send them, would end a line of the stream; inside
 * strings JSON does not allow them.
 */
function oneLine(json: string): string {
  return json.replace(/[\r\n]+/g, ' ')
}
