/** A coap door and devices that commands wait for, or do not. */
import assert from 'node:assert/strict'
import {
  type CoapMessage,
  type OutgoingResponse,
  optionNumber,
  uintValue,
} from '@countersign/core/coap'
import { utf8 } from '@countersign/core/codec'
import type { CommandRow } from '../../../src/ports.ts'
import type { NarrowDevice, NarrowOptions } from './device.ts'
import { CoapHouse } from './house.ts'

export class CommandScene {
  readonly house: CoapHouse
  /** The number of the last reading. */
  #number = 1

  private constructor(house: CoapHouse) {
    this.house = house
  }

  static async open(): Promise<CommandScene> {
    return new CommandScene(await CoapHouse.create())
  }

  /** Fails for what the door says it did wrong. */
  async close(): Promise<void> {
    const mistakes = this.house.log.lines.filter(({ level }) => level === 'error')
    await this.house.close()
    assert.deepEqual(mistakes, [])
  }

  get nextNumber(): number {
    return ++this.#number
  }

  /** With a context, which no command waits for. */
  async present(options: NarrowOptions = {}): Promise<NarrowDevice> {
    const device = await this.house.device(options)
    await device.first('a', { number: 1 })
    await this.quiet()
    return device
  }

  async asleep(options: NarrowOptions = {}): Promise<NarrowDevice> {
    const device = await this.present(options)
    this.house.net.detach(device.address)
    return device
  }

  speaks(device: NarrowDevice): Promise<CoapMessage> {
    return device.post('a', { number: this.nextNumber })
  }

  async wakes(device: NarrowDevice): Promise<void> {
    device.moveTo(device.address)
    await this.speaks(device)
  }

  /** A request that waits, and the answer of the device, which did not arrive. */
  async answered(): Promise<{
    readonly device: NarrowDevice
    readonly command: CommandRow
    readonly response: Uint8Array
  }> {
    const { house } = this
    const device = await this.present()
    house.net.isDeaf = true
    const command = await house.command(device, 'go')
    await house.until(() => device.served.length === 1)
    await house.rest()
    house.net.isDeaf = false
    const response = device.sent.at(-1)
    assert.ok(response)
    return { device, command, response }
  }

  /** A request of the server is under way. */
  async busy(): Promise<void> {
    await this.house.until(() => this.house.door.load.couriers === 1)
    await this.house.rest()
  }

  /** Nothing more is under way. */
  async quiet(): Promise<void> {
    await this.house.until(() => this.house.door.load.couriers === 0)
  }

  async rowOf({ id }: CommandRow): Promise<CommandRow> {
    const row = await this.house.house.store.get('command', id)
    assert.ok(row)
    return row
  }
}

export const none: Uint8Array = new Uint8Array()

export function answer(code: number, text = ''): OutgoingResponse {
  return { code, options: [], payload: utf8(text) }
}

export function later(code: number, seconds: number): OutgoingResponse {
  const maxAge = { number: optionNumber.maxAge, value: uintValue(seconds) }
  return { ...answer(code), options: [maxAge] }
}
