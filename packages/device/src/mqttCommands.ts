/**
 * Commands on the device's MQTT connection: `devices/<eui64>/commands/#` is subscribed to on each
 * connection anew, what comes goes to the desk, and what came of it is published below
 * `devices/<eui64>/results/`.
 *
 * PUBACK says that the device has a command, when its turn has come and not before: until then it
 * waits at the server, which lets it expire. Unlike https there is no answer to that word. When it is
 * lost the server gives the command again, and the desk's memory knows it; and a command that ran
 * in its last moment by the device's clock may be over by the server's.
 */
import { isUtf8 } from 'node:buffer'
import { InvariantError, PeerError } from '@countersign/core/errors'
import { unreachable } from './failures.ts'
import type { Arrival } from './mqttArrivals.ts'
import type { MqttConnection, Publication } from './mqttConnection.ts'
import { judgeReason, payloadInvalid, type Said, success, topicInvalid } from './mqttReasons.ts'
import type { CommandDesk, CommandOutcome, CommandWay } from './portable/commandDesk.ts'
import { PushedCommands } from './pushedCommands.ts'
import { Later } from './retry.ts'
import type { ServerTarget } from './target.ts'
import type { Listener } from './world.ts'

interface Current {
  readonly connection: MqttConnection
  readonly eui64: string
  readonly target: ServerTarget
}

export class MqttCommands extends PushedCommands {
  readonly #desk: CommandDesk
  readonly #listener: Listener
  #current: Current | undefined

  constructor(desk: CommandDesk, listener: Listener) {
    super()
    this.#desk = desk
    this.#listener = listener
  }

  /** On a connection that has just been let in. What could not be told before is told now. */
  async begin(current: Current): Promise<Said> {
    this.#current = current
    const { connection, eui64 } = current
    const said = await connection.subscribe(`${commandsOf(eui64)}#`)
    if (said.code === success) this.inHand(this.#desk.flush(this.#wayOf(() => false)))
    return said
  }

  arrived(arrival: Arrival): void {
    this.inHand(this.#take(arrival))
  }

  async #take(arrival: Arrival): Promise<void> {
    const { topic, data } = arrival
    const mine = this.#current === undefined ? undefined : commandsOf(this.#current.eui64)
    if (mine === undefined || !topic.startsWith(mine))
      return this.#unreadable(arrival, topicInvalid, 'it came on a topic that is not asked for')
    if (!isUtf8(data)) return this.#unreadable(arrival, payloadInvalid, 'a command is no UTF-8')
    const way = this.#wayOf(() => !this.stopped.aborted && arrival.acknowledge())
    try {
      await this.#desk.take(Buffer.from(data).toString('utf8'), way)
    } catch (error) {
      if (!(error instanceof PeerError) || error.code !== 'ERR_COMMAND_FORMAT') throw error
      this.#unreadable(arrival, payloadInvalid, error.message)
    }
  }

  /** The server learns by the reason code, and gives it no more. */
  #unreadable(arrival: Arrival, code: number, reason: string): void {
    if (arrival.acknowledge(code)) this.#listener({ event: 'commandUnreadable', reason })
  }

  #wayOf(acknowledge: () => boolean): CommandWay {
    return {
      delivered: async () => acknowledge(),
      answered: (id, outcome) => this.#answer(id, outcome),
    }
  }

  /** On the connection that is there now; the command may have come on one before. */
  async #answer(id: string, outcome: CommandOutcome): Promise<string | undefined> {
    if (this.#current === undefined) throw new InvariantError('ERR_ROAD_CLOSED', 'no command came')
    const { connection, target, eui64 } = this.#current
    if (!connection.isOpen) throw unreachable(target, undefined)
    const topic = `devices/${eui64}/results/${id}`
    const said = await connection.publish(publicationOf(outcome, topic))
    const judged = judgeReason(said, id)
    if (judged.kind === 'taken') return undefined
    if (judged.kind === 'rejected') return judged.problem.message
    // Said again on the next connection, and the run tells why there has to be one.
    connection.abandon(said)
    const hint = 'It is told again.'
    throw new Later('the server cannot take results now', judged.problem, undefined, hint)
  }
}

function commandsOf(eui64: string): string {
  return `devices/${eui64}/commands/`
}

function publicationOf(outcome: CommandOutcome, topic: string): Publication {
  if (!('refused' in outcome))
    return { topic, contentType: outcome.contentType, data: outcome.body }
  const data = Buffer.from(outcome.refused)
  return { topic: `${topic}/refused`, contentType: 'text/plain; charset=utf-8', data }
}
