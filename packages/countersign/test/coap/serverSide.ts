/** The server in a conversation: its real coap door, registry and commands over its real store. */
import { Judge } from '@countersign/core/credential'
import { CallerError } from '@countersign/core/errors'
import type { ChannelCrypto, Milliseconds, Random } from '@countersign/core/ports'
import type { DatagramNetwork, DeedWitness, Mortal } from '@countersign/testbed'
import { Commands } from '../../../server/src/commands/commands.ts'
import { anchorOf } from '../../../server/src/compose/anchors.ts'
import { CoapDoor } from '../../../server/src/frontend/coap/coapDoor.ts'
import type { CoapLimits } from '../../../server/src/frontend/coap/limits.ts'
import type { OpenLink } from '../../../server/src/frontend/coap/udpSocket.ts'
import type { EdhocCredentials, Log, Store } from '../../../server/src/ports.ts'
import { downlinksIn } from '../../../server/src/registry/lifecycle.ts'
import { createNotices } from '../../../server/src/registry/notices.ts'
import { Registry } from '../../../server/src/registry/registry.ts'
import type { House } from '../../../server/test/authority/house.ts'
import type { Process } from './lives.ts'

export const serverAddress = '192.0.2.1:5683'
/** One fsync, so that other datagrams come while a write is on its way. */
const writeMs = 4
const hourMs = 3_600_000

export interface ServerSideParts {
  readonly house: House
  readonly credentials: EdhocCredentials
  readonly network: DatagramNetwork
  readonly crypto: ChannelCrypto
  readonly deeds: DeedWitness
  readonly limits: Partial<CoapLimits>
  /** Of one life. */
  readonly random: () => Random
  readonly failed: (error: unknown) => void
}

interface Open {
  readonly life: Mortal
  readonly commands: Commands
  readonly registry: Registry
}

export class ServerSide {
  readonly #parts: ServerSideParts
  /** Of the life that has opened its door. */
  #open: Open | undefined

  constructor(parts: ServerSideParts) {
    this.#parts = parts
  }

  live = async ({ life, whenGone, toEnd }: Process): Promise<void> => {
    const { house, credentials, crypto, limits } = this.#parts
    const random = this.#parts.random()
    const failed = (error: unknown): void => {
      if (life.alive) this.#parts.failed(error)
    }
    const store = this.#storeOf(life)
    const notices = createNotices(failed)
    const common = { store, notices, clock: life, timers: life, random, failed }
    const registry = new Registry({ ...common, crypto })
    const anchors = (await registry.listAnchors()).map(anchorOf)
    const judge = new Judge({ crypto, clock: life, anchors })
    const commands = new Commands({ ...common, downlinks: downlinksIn })
    const door = new CoapDoor({
      ...common,
      openLink: this.#linkOf(life, whenGone),
      judge,
      registry,
      sealer: house.vault,
      credentials,
      commands,
      crypto,
      log: logOf(failed),
      limits,
    })
    await door.open({ host: '192.0.2.1', port: 5683 })
    this.#open = { life, commands, registry }
    toEnd(async () => {
      await door.close(1000)
      await commands.close()
      await registry.settled()
    })
  }

  /** False: nobody is there to take it; true: it may have come into the store. */
  command(device: string, data: string, now: Milliseconds): boolean {
    const expiresAt = now + 24 * hourMs
    const wish = { device, name: 'act', data, expiresAt, actor: 'operator' }
    return this.#operate(({ commands }) => commands.queue(wish))
  }

  suspend(device: string): boolean {
    return this.#operate(({ registry }) => registry.suspend(device, 'lost'))
  }

  resume(device: string): boolean {
    return this.#operate(({ registry }) => registry.resume(device))
  }

  #operate(act: (open: Open) => Promise<unknown>): boolean {
    const open = this.#open
    if (open?.life.alive !== true) return false
    act(open).catch((error: unknown) => {
      // Said again, it is done already.
      const isSaid = error instanceof CallerError && error.code === 'ERR_DEVICE_STATE'
      if (open.life.alive && !isSaid) this.#parts.failed(error)
    })
    return true
  }

  /** The real one; what this life writes is there whole or not at all. */
  #storeOf(life: Mortal): Store {
    const { house, deeds } = this.#parts
    const apply: Store['apply'] = (change) =>
      life.effect(async () => {
        const applied = await house.store.apply(change)
        for (const { type } of change.messages ?? []) {
          if (type === 'countersign.message') deeds.done('stored')
        }
        return applied
      }, writeMs)
    return new Proxy(house.store, {
      get(target, name): unknown {
        if (name === 'apply') return apply
        const value: unknown = Reflect.get(target, name)
        if (typeof value !== 'function') return value
        return (...given: unknown[]): Promise<unknown> =>
          life.look(async () => await Reflect.apply(value, target, given))
      },
    })
  }

  #linkOf(life: Mortal, whenGone: Process['whenGone']): OpenLink {
    return async (_door, _at, { received }) => {
      const link = this.#parts.network.open(serverAddress, received)
      whenGone(() => link.close())
      return {
        port: 5683,
        send: (datagram, to) => life.act(() => link.send(datagram, to)),
        close: async () => link.close(),
      }
    }
  }
}

const nothing = (): void => undefined

/** Peers do strange things here; what the server says of itself is a mistake of ours. */
function logOf(failed: (error: unknown) => void): Log {
  const error: Log['error'] = ({ code }, message) =>
    failed(new Error(`the server logged ${String(code)}: ${message}`))
  return { debug: nothing, info: nothing, warn: nothing, error }
}
