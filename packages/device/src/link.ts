/**
 * A device's connection under the credential it holds now; a change of credential is a new
 * connection.
 */
import type { PeerError } from '@countersign/core/errors'
import type { Answer, Question, ServerConnection } from './connect.ts'
import { openConnection } from './connect.ts'
import type { DeviceErrorCode } from './errors.ts'
import type { Problem } from './problem.ts'
import { refusalOf } from './refusal.ts'
import { type DeviceState, requireEnrolled } from './state/folder.ts'
import type { Credential } from './state/identity.ts'
import { parseTarget } from './target.ts'
import type { Listener, World } from './world.ts'

export class Link {
  readonly #state: DeviceState
  readonly #world: World
  readonly #listener: Listener
  #open: { readonly as: string; readonly connection: ServerConnection } | undefined

  constructor(state: DeviceState, world: World, listener: Listener) {
    this.#state = state
    this.#world = world
    this.#listener = listener
  }

  async ask(question: Question): Promise<Answer> {
    const { current } = requireEnrolled(this.#state.folder, this.#state.identity)
    // A key may get a new certificate: the slot alone does not say who speaks.
    if (this.#open?.as !== current.certificates) {
      this.close()
      this.#open = { as: current.certificates, connection: await this.connectAs(current) }
    }
    return this.#open.connection.ask(question)
  }

  /** A connection of its own under this credential. The caller closes it. */
  async connectAs(credential: Credential): Promise<ServerConnection> {
    const { identity } = requireEnrolled(this.#state.folder, this.#state.identity)
    const target = parseTarget(identity.server, identity.anchor)
    const { slot, certificates } = credential
    return openConnection({
      world: this.#world,
      target,
      credential: { element: this.#state.element, slot, certificates },
      onConnected: () => this.#listener({ event: 'connected', server: target.url }),
      onDisconnected: () => this.#listener({ event: 'disconnected', server: target.url }),
    })
  }

  refusal(problem: Problem): PeerError<DeviceErrorCode> {
    return refusalOf(this.#state, this.#world, problem)
  }

  close(): void {
    this.#open?.connection.close()
    this.#open = undefined
  }
}
