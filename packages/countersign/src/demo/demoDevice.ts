/**
 * A device of the demo: the real library with its own state folder, fed by the story, watched
 * through its events.
 */
import { join } from 'node:path'
import {
  type CommandHandler,
  type DeviceEvent,
  enroll,
  run,
  type Sample,
  type Source,
  systemWorld,
  type World,
} from '@countersign/device'
import type { DemoRoad } from './cast.ts'
import type { DeviceObservation } from './report.ts'

export interface DemoDeviceOptions {
  readonly root: string
  readonly serial: string
  readonly product: string
  readonly road: DemoRoad
  readonly topic: string
  readonly isCommanded?: boolean
  /** URL of the element that keeps its key. */
  readonly element: string
}

/** What a device needs to know of its server. */
interface Invitation {
  readonly server: string
  readonly mqtts: string
  readonly coap: string
  readonly token: string
  readonly anchor: string
}

type KeyRecord = Pick<DeviceObservation, 'element' | 'assurance'>

/** On one machine an answer that is not there at once was held back by the gateway. */
const world: World = { ...systemWorld(), patience: { handshakeMs: 1500, answerMs: 1500 } }
/** A demo does not wait a minute for the next attempt. */
const backoff = {
  broken: { firstMs: 40, maxMs: 400 },
  refused: { firstMs: 150, maxMs: 300 },
}
/** Nor for an answer that was lost: all of it is one machine. */
const narrow = {
  transmission: { ackTimeoutMs: 200 },
  limits: { backoffFirstMs: 300, backoffMaxMs: 2000, hintGraceMs: 400 },
}

export class DemoDevice {
  readonly serial: string
  readonly product: string
  readonly road: DemoRoad
  readonly topic: string
  readonly isCommanded: boolean
  readonly #state: string
  readonly #element: string
  readonly #events: DeviceEvent[] = []
  readonly #queue: SampleQueue
  readonly #stop: AbortController = new AbortController()
  /** Data of every reading pushed, in order; a reading's number is not known before it is kept. */
  readonly #pushed: string[] = []
  /** Of commands that it ran, by their ids: JSON. */
  readonly #answers: { readonly id: string; readonly answer: string }[] = []
  /** So many of them were pushed while the device was allowed. */
  #allowed = Number.POSITIVE_INFINITY
  #watchers: ((event: DeviceEvent) => void)[] = []
  #running: Promise<unknown> | undefined
  #eui64 = ''
  #recorded: KeyRecord = { element: 'unknown', assurance: 0 }
  #connected = false

  constructor({ root, isCommanded, element, ...about }: DemoDeviceOptions) {
    const { serial, product, road, topic } = about
    this.serial = serial
    this.product = product
    this.road = road
    this.topic = topic
    this.isCommanded = isCommanded ?? false
    this.#state = join(root, `device-${serial}`)
    this.#element = element
    this.#queue = new SampleQueue(topic)
  }

  get id(): string {
    return `urn:dev:mac:${this.#eui64}`
  }

  get eui64(): string {
    return this.#eui64
  }

  get connected(): boolean {
    return this.#connected
  }

  get refusals(): number {
    return this.#events.filter((event) => event.event === 'refused').length
  }

  async enroll(invitation: Invitation): Promise<void> {
    const { eui64 } = await enroll({
      ...invitation,
      serial: this.serial,
      state: this.#state,
      element: this.#element,
      world,
      signal: this.#stop.signal,
    })
    this.#eui64 = eui64
  }

  /** What the house's books say of its key. */
  recorded(record: KeyRecord): void {
    this.#recorded = record
  }

  start(): void {
    this.#running = run({
      state: this.#state,
      road: this.road,
      source: this.#queue,
      signal: this.#stop.signal,
      backoff,
      narrow,
      world,
      listener: (event) => this.#heard(event),
      ...(this.isCommanded ? { onCommand: this.#obey } : {}),
    })
    // Thrown again by `stop`, which every path awaits.
    this.#running.catch(() => undefined)
  }

  push(reading: Readonly<Record<string, unknown>>): void {
    const text = JSON.stringify(reading)
    this.#pushed.push(text)
    this.#queue.push({ contentType: 'application/json', data: Buffer.from(text) })
  }

  /** JSON of its answer each time that it ran this command; a refusal by itself is one too. */
  didOf(command: string): readonly string[] {
    const refusals = this.#events
      .filter((event) => event.event === 'commandRefused')
      .filter(({ id }) => id === command)
      .map(({ reason }) => JSON.stringify(reason))
    const answers = this.#answers.filter(({ id }) => id === command).map(({ answer }) => answer)
    return [...answers, ...refusals]
  }

  /** What is pushed from now on is offered by a device that is no longer allowed. */
  endAllowance(): void {
    this.#allowed = this.#pushed.length
  }

  /** The next event of this kind, or an error after `milliseconds`. */
  next(kind: DeviceEvent['event'], milliseconds: number): Promise<DeviceEvent> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#watchers = this.#watchers.filter((each) => each !== watch)
        reject(new Error(`${this.serial}: no "${kind}" within ${milliseconds} ms`))
      }, milliseconds)
      const watch = (event: DeviceEvent): void => {
        if (event.event !== kind) return
        clearTimeout(timer)
        this.#watchers = this.#watchers.filter((each) => each !== watch)
        resolve(event)
      }
      this.#watchers.push(watch)
    })
  }

  /** Resolves when the server has taken everything that was pushed. */
  async delivered(milliseconds: number): Promise<void> {
    const late = performance.now() + milliseconds
    while (this.#sent < this.#pushed.length) {
      await this.next('sent', Math.max(1, late - performance.now()))
    }
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  /**
   * A fresh state gives numbers from one, in the order of `push`: that is what makes an id known
   * before anybody has sent it.
   */
  observation(): DeviceObservation {
    const ids = this.#pushed.map((data, index) => [`${this.#eui64}-${index + 1}`, data] as const)
    return {
      id: this.id,
      product: this.product,
      ...this.#recorded,
      road: this.road,
      offered: new Map(ids.slice(0, this.#allowed)),
      offeredAfter: new Set(ids.slice(this.#allowed).map(([id]) => id)),
      refused: this.refusals,
    }
  }

  get #sent(): number {
    return this.#events.filter((event) => event.event === 'sent').length
  }

  readonly #obey: CommandHandler = async ({ id, text }) => {
    const answer = `{"heard":${text}}`
    this.#answers.push({ id, answer })
    return { contentType: 'application/json', body: Buffer.from(answer) }
  }

  #heard(event: DeviceEvent): void {
    this.#events.push(event)
    if (event.event === 'connected') this.#connected = true
    if (event.event === 'disconnected') this.#connected = false
    for (const watch of this.#watchers) watch(event)
  }
}

/** A source that the story feeds. */
class SampleQueue implements Source {
  readonly topic: string
  readonly #waiting: Sample[] = []
  #wake: (() => void) | undefined

  constructor(topic: string) {
    this.topic = topic
  }

  push(sample: Sample): void {
    this.#waiting.push(sample)
    this.#wake?.()
  }

  async *samples(signal: AbortSignal): AsyncGenerator<Sample> {
    signal.addEventListener('abort', () => this.#wake?.(), { once: true })
    while (!signal.aborted) {
      const sample = this.#waiting.shift()
      if (sample !== undefined) yield sample
      else await this.#more()
    }
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }
}
