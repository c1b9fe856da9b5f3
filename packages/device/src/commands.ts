/**
 * How a running device gets its commands: over https by polls of their own, on mqtts and coap on
 * the road of its readings.
 */
import { CoapCommands } from './coapCommands.ts'
import { CommandPoll } from './commandPoll.ts'
import { Link } from './link.ts'
import { MqttCommands } from './mqttCommands.ts'
import { CommandDesk, type CommandHandler } from './portable/commandDesk.ts'
import type { RoadCommands, RoadName } from './road.ts'
import { openBegun } from './state/begun.ts'
import { type DeviceState, stateFiles } from './state/folder.ts'
import type { Listener, World } from './world.ts'

export interface CommandOptions {
  readonly onCommand?: CommandHandler
  readonly road?: RoadName
  readonly listener?: Listener
}

/** undefined: none are wanted. */
export async function openCommands(
  { onCommand: handle, road, listener = () => undefined }: CommandOptions,
  state: DeviceState,
  world: World,
): Promise<CommandPoll | RoadCommands | undefined> {
  if (handle === undefined) return undefined
  const memory = await openBegun(stateFiles(state.folder).begun)
  const desk = new CommandDesk({ clock: world.clock, handle, listener, memory })
  if (road === 'mqtts') return new MqttCommands(desk, listener)
  if (road === 'coap') return new CoapCommands(desk, listener)
  // That this second connection comes and goes is no news.
  const link = new Link(state, world, () => undefined)
  return new CommandPoll(link, desk, world.patience?.answerMs)
}
