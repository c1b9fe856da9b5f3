/**
 * A road by which readings go to the server. Enrolment and renewal know only https (EST); what is
 * above a road (deliver.ts, run.ts, send.ts) does not see which one it is.
 */
import { CallerError } from '@countersign/core/errors'
import { CoapCommands } from './coapCommands.ts'
import { CoapRoad, type CoapRoadOptions } from './coapRoad.ts'
import type { DeviceErrorCode } from './errors.ts'
import { HttpsRoad } from './httpsRoad.ts'
import type { Link } from './link.ts'
import { MqttCommands } from './mqttCommands.ts'
import { MqttsRoad } from './mqttsRoad.ts'
import type { Problem } from './problem.ts'
import { type DeviceState, requireEnrolled } from './state/folder.ts'
import type { Reading } from './state/outbox.ts'
import { parseTarget, type ServerTarget } from './target.ts'
import type { Listener, World } from './world.ts'

/** What became of a reading. */
export type Outcome =
  | { readonly kind: 'taken'; readonly id: string }
  /** This reading will never be taken. */
  | { readonly kind: 'rejected'; readonly problem: Problem }
  /** This device is not let in. */
  | { readonly kind: 'refused'; readonly problem: Problem }
  | { readonly kind: 'later'; readonly problem: Problem; readonly afterMs: number | undefined }

export interface Road {
  /**
   * One reading at a time; connects when it must. Throws AdapterError when the way is broken,
   * PeerError when the server is not the right one.
   */
  deliver(reading: Reading): Promise<Outcome>
  /**
   * While there is nothing to send. A road that brings commands connects when it must, and throws
   * what ended the connection; any other waits. Resolves when the signal fires.
   */
  attend(signal: AbortSignal): Promise<void>
  /** A refusal in words, with what the device itself can see of its certificate. */
  refusal(problem: Problem): Error
  /** Ends what is under way too; a road that is used again connects again. */
  close(): void
}

export type RoadName = 'https' | 'mqtts' | 'coap'
export const roadNames: readonly RoadName[] = ['https', 'mqtts', 'coap']

export interface RoadOptions {
  /** https by default. */
  readonly road?: RoadName
  /** `mqtts://host:port`; by default what the invitation said. */
  readonly mqtts?: string
  /** `coap://host:port`; likewise. */
  readonly coap?: string
  /** Of the channel on coap; sensible for the Internet when absent. */
  readonly narrow?: CoapRoadOptions
}

/** Those that come on the road of the readings. */
export type RoadCommands = MqttCommands | CoapCommands

export interface RoadParts {
  readonly state: DeviceState
  readonly world: World
  readonly listener: Listener
  /** The device's way to EST, which is the https road too. */
  readonly link: Link
  /** Of a device that takes them on the road of its readings. */
  readonly commands?: RoadCommands | undefined
}

/** Connects nothing yet. The caller closes the road, and the link. */
export function openRoad(options: RoadOptions, { commands, ...parts }: RoadParts): Road {
  switch (options.road) {
    case 'mqtts': {
      const mine = commands instanceof MqttCommands ? commands : undefined
      return new MqttsRoad({ ...parts, commands: mine }, targetOf('mqtts', options, parts.state))
    }
    case 'coap': {
      const mine = commands instanceof CoapCommands ? commands : undefined
      return new CoapRoad(
        { ...parts, commands: mine },
        targetOf('coap', options, parts.state),
        options.narrow,
      )
    }
    default:
      return new HttpsRoad(parts.link)
  }
}

const notTold = { mqtts: 'ERR_NO_MQTTS', coap: 'ERR_NO_COAP' } as const

function targetOf(
  road: 'mqtts' | 'coap',
  given: RoadOptions,
  { folder, identity: found }: DeviceState,
): ServerTarget {
  const { identity } = requireEnrolled(folder, found)
  const url = given[road] ?? identity[road]
  if (url !== undefined) return parseTarget(url, identity.anchor, road)
  throw new CallerError<DeviceErrorCode>(
    notTold[road],
    `this device was not told where its server speaks ${road}`,
    {},
    {
      where: `--${road}`,
      hint: `Give --${road} ${road}://HOST:PORT ("countersign identity invite --json" prints it), or --road https.`,
    },
  )
}
