/**
 * A device's connection under the credential it holds now; a change of credential is a new
 * connection.
 */
import { PeerError } from '@countersign/core/errors'
import type { Milliseconds } from '@countersign/core/ports'
import { leafOf } from './certificate.ts'
import type { Answer, Question, ServerConnection } from './connect.ts'
import { openConnection } from './connect.ts'
import type { DeviceErrorCode } from './errors.ts'
import type { Problem } from './problem.ts'
import { type DeviceState, requireEnrolled } from './state/folder.ts'
import type { Credential } from './state/identity.ts'
import { parseTarget } from './target.ts'
import type { Listener, World } from './world.ts'

const refusalHint =
  'On the server "countersign identity why" says why: a suspended device can be resumed there, a revoked one enrols again with a new invitation and an empty state folder.'

function datesHint(now: Milliseconds, notAfter: Milliseconds): string {
  const clock = `the clock of this machine says ${new Date(now).toISOString()}`
  const end = `Its certificate is valid until ${new Date(notAfter).toISOString()}, and ${clock}`
  return `${end}: set the clock if that is wrong; an expired device enrols again with a new invitation and an empty state folder.`
}

export class Link {
  readonly #state: DeviceState
  readonly #world: World
  readonly #listener: Listener
  #open: { readonly slot: number; readonly connection: ServerConnection } | undefined

  constructor(state: DeviceState, world: World, listener: Listener) {
    this.#state = state
    this.#world = world
    this.#listener = listener
  }

  async ask(question: Question): Promise<Answer> {
    const { current } = requireEnrolled(this.#state.folder, this.#state.identity)
    if (this.#open?.slot !== current.slot) {
      this.close()
      this.#open = { slot: current.slot, connection: await this.connectAs(current) }
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
      context: await this.#state.element.tlsContext(slot, certificates),
      onConnected: () => this.#listener({ event: 'connected', server: target.url }),
      onDisconnected: () => this.#listener({ event: 'disconnected', server: target.url }),
    })
  }

  /** Why the server may not let this device in, as far as the device itself can see. */
  refusal(problem: Problem): PeerError<DeviceErrorCode> {
    const { current } = requireEnrolled(this.#state.folder, this.#state.identity)
    const { notBefore, notAfter } = leafOf(current.certificates)
    const now = this.#world.clock.now()
    return new PeerError(
      'ERR_DEVICE_REFUSED',
      `the server refuses this device: ${problem.message}`,
      { status: problem.status, code: problem.code },
      { hint: now < notBefore || now > notAfter ? datesHint(now, notAfter) : refusalHint },
    )
  }

  close(): void {
    this.#open?.connection.close()
    this.#open = undefined
  }
}
