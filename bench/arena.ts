/**
 * A made house, a load client and the servers they meet: what benchmarks of connections share.
 */
import { reachHouse } from '@countersign/server'
import { LoadClient } from './load.ts'
import type { Running } from './processes.ts'
import { type MadeHouse, makeHouse } from './servedHouse.ts'

/** `reachHouse` speaks to the server that owns the folder: no key is asked for. */
export type Operator = Awaited<ReturnType<typeof reachHouse>>

export class Arena {
  readonly house: MadeHouse
  readonly client: LoadClient
  readonly #running: Running[] = []

  private constructor(house: MadeHouse, client: LoadClient) {
    this.house = house
    this.client = client
  }

  static async open(devices: number): Promise<Arena> {
    const house = await makeHouse(devices)
    return new Arena(house, await LoadClient.start(house.files.devices, house.files.serverCa))
  }

  /** Stopped when the arena closes. */
  async started<T extends Running>(one: Promise<T>): Promise<T> {
    const server = await one
    this.#running.push(server)
    return server
  }

  /** Over the control socket, as a command has it. */
  operator(): Promise<Operator> {
    return reachHouse(this.house.dir, {
      passphrase: () => Promise.reject(new Error('the server has the keys')),
      warn: () => undefined,
    })
  }

  /** The registry makes a device active at its first accepted handshake: were all of them in? */
  async requireAdmitted(devices: number): Promise<void> {
    const operator = await this.operator()
    const listed = await operator.call('identity.list', { state: 'active', limit: devices })
    await operator.close()
    if (listed.length < devices)
      throw new Error(`${listed.length} of ${devices} devices were admitted`)
  }

  async close(): Promise<void> {
    this.client.stop()
    for (const server of this.#running) await server.stop()
    await this.house.remove()
  }
}
