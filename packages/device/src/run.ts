/**
 * `device run`: takes readings from a source, keeps each until the server has stored it, comes back
 * after every kind of failure, and renews its certificate in time. Taking and delivering are two
 * loops that meet at the outbox only. Commands, when they are wanted, are asked for by a third (https)
 * or come on the road of the readings (mqtts, coap), which the second then keeps.
 */
import { PeerError } from '@countersign/core/errors'
import type { Milliseconds } from '@countersign/core/ports'
import { type BackoffLimits, backoffMs, brokenBackoff, refusedBackoff } from './backoff.ts'
import { renewalDue } from './certificate.ts'
import { CommandPoll } from './commandPoll.ts'
import { openCommands } from './commands.ts'
import { systemWorld } from './compose.ts'
import { drain } from './deliver.ts'
import { Link } from './link.ts'
import type { CommandHandler } from './portable/commandDesk.ts'
import { renewOver } from './renew.ts'
import { isOutside, Later } from './retry.ts'
import { openRoad, type Road, type RoadCommands, type RoadOptions } from './road.ts'
import type { Source } from './source.ts'
import { type DeviceState, openState, requireEnrolled } from './state/folder.ts'
import type { OutboxLimits } from './state/outbox.ts'
import { requireTopic } from './topic.ts'
import type { Listener, World } from './world.ts'

export interface RunOptions extends RoadOptions {
  readonly state: string
  readonly source: Source
  /** The source's own topic by default. */
  readonly topic?: string
  /**
   * Does what commands ask for, one at a time. Without it the device asks for none; with it a device
   * on mqtts keeps its connection while there is nothing to send.
   */
  readonly onCommand?: CommandHandler
  /** Stops the run; what waits stays in the outbox. */
  readonly signal?: AbortSignal
  readonly listener?: Listener
  readonly world?: World
  readonly outbox?: OutboxLimits
  readonly backoff?: { readonly broken: BackoffLimits; readonly refused: BackoffLimits }
}

export interface RunSummary {
  readonly sent: number
  readonly rejected: number
  readonly dropped: number
  /** Readings that stay in the outbox for the next run. */
  readonly waiting: number
}

/** How often a run looks at the calendar of its certificate while there is nothing to send. */
const renewalLookMs = 60 * 60 * 1000
/** After a renewal that failed. */
const renewalRetryMs = 10 * 60 * 1000

/**
 * Runs until the source ends and everything is delivered, or until the signal fires.
 * @example await run({ state: './countersign-device', source: hostSource(systemWorld(), 10_000) })
 */
export async function run(options: RunOptions): Promise<RunSummary> {
  const world = options.world ?? systemWorld()
  const topic = options.topic ?? options.source.topic
  requireTopic(topic, options.road)
  const state = await openState(options.state, world, {
    create: false,
    ...(options.outbox === undefined ? {} : { outbox: options.outbox }),
  })
  try {
    requireEnrolled(state.folder, state.identity)
    const commands = await openCommands(options, state, world)
    return await new Runner(options, world, state, topic, commands).run()
  } finally {
    await state.close()
  }
}

class Runner {
  readonly #options: RunOptions
  readonly #world: World
  readonly #state: DeviceState
  readonly #topic: string
  /** To EST, whatever road the readings take. */
  readonly #link: Link
  readonly #road: Road
  readonly #commands: CommandPoll | RoadCommands | undefined
  readonly #stop: AbortController = new AbortController()
  readonly #counts = { sent: 0, rejected: 0, dropped: 0 }
  #sourceEnded = false
  #renewalNotBefore = 0
  /** Of delivering, one after the other. */
  #failures = 0
  /** Ends the present rest: there is something to send, or nothing more will come. */
  #wake: AbortController = new AbortController()

  constructor(
    options: RunOptions,
    world: World,
    state: DeviceState,
    topic: string,
    commands: CommandPoll | RoadCommands | undefined,
  ) {
    this.#options = options
    this.#world = world
    this.#state = state
    this.#topic = topic
    const listener: Listener = (event) => this.#tell(event)
    this.#link = new Link(state, world, listener)
    this.#commands = commands
    const parts = { state, world, listener, link: this.#link }
    const onRoad = isOnRoad(commands) ? { commands } : {}
    this.#road = openRoad(options, { ...parts, ...onRoad })
  }

  async run(): Promise<RunSummary> {
    const { signal } = this.#options
    const stop = (): void => this.#end()
    signal?.addEventListener('abort', stop, { once: true })
    if (signal?.aborted === true) stop()
    const taking = this.#take()
    const obeying = this.#obey()
    // Its failure ends the run and is thrown below.
    obeying.catch(() => this.#end())
    try {
      await this.#deliver()
      await taking
      this.#end()
      await obeying
    } finally {
      this.#end()
      signal?.removeEventListener('abort', stop)
      // The loops use the state: they are over before it closes. Their own failures were thrown
      // above.
      await Promise.allSettled([taking, obeying])
    }
    return { ...this.#counts, waiting: this.#state.outbox.size }
  }

  #end(): void {
    this.#stop.abort()
    this.#link.close()
    this.#commands?.stop()
    this.#wake.abort()
    // What came of the command in hand goes by the road: `#obey` closes it then.
    if (!isOnRoad(this.#commands)) this.#road.close()
  }

  async #take(): Promise<void> {
    try {
      for await (const sample of this.#options.source.samples(this.#stop.signal)) {
        const number = await this.#state.counter.next()
        const numbers = await this.#state.outbox.add({ number, topic: this.#topic, ...sample })
        if (numbers.length > 0) this.#tell({ event: 'dropped', numbers })
        this.#wake.abort()
        if (this.#stop.signal.aborted) return
      }
    } finally {
      this.#sourceEnded = true
      this.#wake.abort()
    }
  }

  async #deliver(): Promise<void> {
    const { outbox } = this.#state
    while (!this.#stop.signal.aborted) {
      try {
        await this.#renewWhenDue()
        const isIdle = outbox.size === 0
        await drain(this.#road, outbox, (event) => this.#tell(event), this.#stop.signal)
        // That there was nothing to send is no success.
        if (!isIdle) this.#failures = 0
        if (this.#sourceEnded && outbox.size === 0) return
        await this.#rest(renewalLookMs)
      } catch (error) {
        if (this.#stop.signal.aborted) return
        await this.#afterFailure(error, this.#failures++)
      }
    }
  }

  async #obey(): Promise<void> {
    try {
      await this.#commands?.obey((error, failures) => this.#afterFailure(error, failures))
    } finally {
      if (isOnRoad(this.#commands)) this.#road.close()
    }
  }

  /**
   * Waits until there is work. A wake that came before this call counts. Throws what broke a road
   * that is kept open meanwhile.
   */
  async #rest(milliseconds: Milliseconds): Promise<void> {
    const broken = new AbortController()
    const rested = new AbortController()
    const waiting = AbortSignal.any([this.#wake.signal, broken.signal])
    void this.#world.wait(milliseconds, waiting).then(() => rested.abort())
    const began = this.#world.clock.now()
    try {
      await this.#road.attend(rested.signal)
    } catch (error) {
      // One that is cut off at once, again and again, waits longer and longer.
      if (this.#world.clock.now() - began >= brokenBackoff.maxMs) this.#failures = 0
      throw error
    } finally {
      broken.abort()
    }
    this.#wake = new AbortController()
    if (this.#sourceEnded || this.#stop.signal.aborted) this.#wake.abort()
  }

  async #afterFailure(error: unknown, failures: number): Promise<void> {
    if (!isOutside(error)) throw error
    const limits = this.#options.backoff ?? { broken: brokenBackoff, refused: refusedBackoff }
    const refused = error.code === 'ERR_DEVICE_REFUSED'
    // Who turns this device away, or is the wrong one, will do so again in a moment.
    const patience = error instanceof PeerError ? limits.refused : limits.broken
    const own = backoffMs(failures, patience, this.#world.random)
    const retryInMs = error instanceof Later ? Math.max(own, error.afterMs ?? 0) : own
    const { code, message, hint } = error
    this.#tell({ event: refused ? 'refused' : 'unreachable', code, message, hint, retryInMs })
    await this.#world.wait(retryInMs, this.#stop.signal)
  }

  /** A renewal that fails is tried again later: the present certificate still works. */
  async #renewWhenDue(): Promise<void> {
    const { identity, current } = requireEnrolled(this.#state.folder, this.#state.identity)
    const now = this.#world.clock.now()
    // An interrupted renewal goes first: the server may already have put the new certificate in the
    // old one's place.
    const due = identity.pending !== undefined || now >= renewalDue(current.certificates)
    if (!due || now < this.#renewalNotBefore) return
    try {
      const { certificate } = await renewOver(this.#link, this.#state)
      this.#tell({ event: 'renewed', notAfter: certificate.notAfter })
    } catch (error) {
      if (!isOutside(error)) throw error
      this.#renewalNotBefore = now + renewalRetryMs
      this.#tell({ event: 'renewalFailed', code: error.code, message: error.message })
    } finally {
      // Nothing else goes that way until the next renewal.
      if (this.#options.road !== 'https') this.#link.close()
    }
  }

  #tell(event: Parameters<Listener>[0]): void {
    if (event.event === 'sent') this.#counts.sent++
    if (event.event === 'rejected') this.#counts.rejected++
    if (event.event === 'dropped') this.#counts.dropped += event.numbers.length
    this.#options.listener?.(event)
  }
}

function isOnRoad(commands: CommandPoll | RoadCommands | undefined): commands is RoadCommands {
  return commands !== undefined && !(commands instanceof CommandPoll)
}
