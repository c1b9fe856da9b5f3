/**
 * `device send`: one reading, kept first, then delivered together with whatever waited before it.
 */
import { AdapterError, PeerError } from '@countersign/core/errors'
import { systemWorld } from './compose.ts'
import { drain, rejected } from './deliver.ts'
import { Link } from './link.ts'
import { isOutside, persist } from './retry.ts'
import { openRoad, type RoadOptions } from './road.ts'
import { type Sample, sampleBytesMax, tooLarge } from './source.ts'
import { type DeviceState, openState, requireEnrolled } from './state/folder.ts'
import { requireTopic } from './topic.ts'
import type { DeviceEvent, Listener, World } from './world.ts'

export interface SendOptions extends RoadOptions {
  readonly state: string
  readonly topic: string
  readonly sample: Sample
  readonly listener?: Listener
  readonly world?: World
}

export interface SendResult {
  /** The CloudEvents id that the server gave this reading. */
  readonly id: string
  readonly number: number
  readonly topic: string
  /** Readings delivered now, this one included. */
  readonly delivered: number
}

/** Attempts of one command before it gives the terminal back; the reading stays in the outbox. */
const attemptsMax = 5
/** Enough for coap to have tried a new handshake too: see `unansweredMax` of the narrow channel. */
const silencesMax = 3

/**
 * Resolves when the server has stored the reading. When it throws for a broken connection, the
 * reading waits in the outbox.
 * @example await send({ state: './countersign-device', topic: 'room/temperature', sample: textSample('{"celsius":21.5}') })
 */
export async function send(options: SendOptions): Promise<SendResult> {
  const { topic, sample } = options
  requireTopic(topic, options.road)
  if (sample.data.length > sampleBytesMax) throw tooLarge(sample.data.length)
  const world = options.world ?? systemWorld()
  const state = await openState(options.state, world, { create: false })
  try {
    requireEnrolled(state.folder, state.identity)
    return await keepAndDeliver(options, state, world)
  } finally {
    await state.close()
  }
}

async function keepAndDeliver(
  options: SendOptions,
  state: DeviceState,
  world: World,
): Promise<SendResult> {
  const { topic, sample } = options
  const events: DeviceEvent[] = []
  const listener: Listener = (event) => {
    events.push(event)
    options.listener?.(event)
  }
  const link = new Link(state, world, listener)
  // Before the reading gets its number: a road that cannot be is the caller's mistake.
  const road = openRoad(options, { state, world, listener, link })
  try {
    const number = await state.counter.next()
    const dropped = await state.outbox.add({ number, topic, ...sample })
    if (dropped.length > 0) listener({ event: 'dropped', numbers: dropped })
    const patience = { attemptsMax, silencesMax, world, listener, signal: undefined }
    await persist(() => drain(road, state.outbox, listener), patience).catch((error: unknown) => {
      throw withKept(error, number)
    })
    return resultOf(events, number, topic)
  } finally {
    road.close()
    link.close()
  }
}

/** Says that the reading is not lost, which is the first thing that its sender wants to know. */
function withKept(error: unknown, number: number): unknown {
  if (!isOutside(error)) return error
  const { code, message, where } = error
  const details = { ...error.details, number }
  const about = {
    ...(where === undefined ? {} : { where }),
    hint: `The reading is kept as number ${number} and goes with the next "device send" or "device run". ${error.hint ?? ''}`.trimEnd(),
    cause: error,
  }
  return error instanceof PeerError
    ? new PeerError(code, message, details, about)
    : new AdapterError(code, message, details, about)
}

function resultOf(events: readonly DeviceEvent[], number: number, topic: string): SendResult {
  let id = ''
  let delivered = 0
  for (const event of events) {
    if (event.event === 'sent') {
      delivered++
      if (event.number === number) id = event.id
    }
    if (event.event === 'rejected' && event.number === number) {
      throw rejected(number, event.status, event.reason)
    }
  }
  return { id, number, topic, delivered }
}
