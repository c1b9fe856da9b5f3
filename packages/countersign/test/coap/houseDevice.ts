/**
 * A real device, as far as it is portable: its session on the narrow channel and its desk for commands,
 * at the coap door of a test house, with the house's clock and timers.
 */
import {
  type CoapMessage,
  coapCode,
  contentFormatOption,
  parseMessage,
  pathOf,
  sortedOptions,
  uriPath,
  uriQuery,
} from '@countersign/core/coap'
import { parseEdhocPayload } from '@countersign/core/channel'
import { utf8 } from '@countersign/core/codec'
import { parseCertificate } from '@countersign/core/credential'
import { nodeCrypto, randomBytes } from '@countersign/element/nodeCrypto'
import { softwareCoseSigner } from '@countersign/element/softwareSigner'
import { CoapCommands } from '../../../device/src/coapCommands.ts'
import { CommandDesk, type CommandOutcome } from '../../../device/src/portable/commandDesk.ts'
import {
  type NarrowRequest,
  NarrowSession,
  trustPinnedIssuer,
} from '../../../device/src/portable/narrow/index.ts'
import { enrolled, type TestDevice, turn } from '../../../server/test/frontend/house.ts'
import type { CoapHouse } from '../../../server/test/frontend/coap/house.ts'

export interface HouseDeviceOptions {
  readonly serial: string
  readonly method?: 0 | 1
  readonly hasClock?: boolean
  readonly answer?: (data: unknown) => CommandOutcome
}

const stepMs = 250
const turnsPerStep = 20
const json = 'application/json'

export class HouseDevice {
  readonly identity: TestDevice
  readonly house: CoapHouse
  readonly faults: unknown[] = []
  /** What was run: the names of commands, in order. */
  readonly ran: string[] = []
  readonly refused: string[] = []
  /** Lengths of each message_1 that it sent. */
  readonly message1s: number[] = []
  /** Datagrams of the server that do not arrive now. */
  readonly withheld: Uint8Array[] = []
  isWithholding = false
  address: string
  readonly #options: HouseDeviceOptions
  #session: NarrowSession | undefined
  #record: Uint8Array | undefined
  #number = 0

  private constructor(house: CoapHouse, identity: TestDevice, options: HouseDeviceOptions) {
    this.house = house
    this.identity = identity
    this.#options = options
    this.address = `192.0.2.77:${50_000 + Number(options.serial.replace(/\D/g, ''))}`
  }

  /** Enrolled, and awake. */
  static async open(house: CoapHouse, options: HouseDeviceOptions): Promise<HouseDevice> {
    const device = new HouseDevice(house, await enrolled(house.house, options.serial), options)
    await device.wake()
    return device
  }

  get id(): string {
    return this.identity.row.id
  }

  /** The next reading; time passes until it is answered, or cannot be. */
  async says(text = 'x'): Promise<CoapMessage> {
    const number = ++this.#number
    const options = [...uriPath('m', 'room'), contentFormatOption(0), ...uriQuery(`n=${number}`)]
    return await this.ask({
      code: coapCode.post,
      options: sortedOptions(options),
      payload: utf8(text),
    })
  }

  async ask(request: NarrowRequest): Promise<CoapMessage> {
    if (this.#session === undefined) throw new Error('it is asleep')
    return await passing(this.house, this.#session.request(request))
  }

  async sleep(): Promise<void> {
    this.house.net.detach(this.address)
    const session = this.#session
    this.#session = undefined
    if (session !== undefined) await passing(this.house, session.sleep())
  }

  /** With what it has written down, and nothing else. */
  async wake(): Promise<void> {
    const { house, identity } = this
    const { clock } = house.house
    const { timers, net } = house
    const commands = this.#commands()
    const session = await NarrowSession.open({
      crypto: nodeCrypto,
      clock,
      timers,
      random: randomBytes,
      method: this.#options.method ?? 0,
      hasClock: this.#options.hasClock ?? true,
      timeFloor: identity.leaf.notBefore,
      send: (datagram) => {
        this.#note(datagram)
        net.deliver(datagram, this.address)
      },
      storage: {
        load: async () => this.#record,
        save: async (record) => void (this.#record = record.slice()),
      },
      credential: { leaf: identity.leaf.der, signer: softwareCoseSigner(identity.privateKey) },
      trust: trustPinnedIssuer(nodeCrypto, anchorOf(house)),
      serve: (request) => commands.serve(request),
      fault: (error) => this.faults.push(error),
    })
    this.#session = session
    commands.begin((request) => session.request(request))
    net.attach(this.address, this.#receive)
  }

  /** The device is somewhere else from now on. */
  moveTo(address: string): void {
    this.house.net.detach(this.address)
    this.address = address
    this.house.net.attach(address, this.#receive)
  }

  /** What was withheld arrives now. */
  release(): void {
    this.isWithholding = false
    for (const datagram of this.withheld.splice(0)) this.#session?.receive(datagram)
  }

  readonly #receive = (datagram: Uint8Array): void => {
    if (this.isWithholding) this.withheld.push(datagram)
    else this.#session?.receive(datagram)
  }

  #commands(): CoapCommands {
    const desk = new CommandDesk({
      clock: this.house.house.clock,
      listener: (event) => {
        if (event.event === 'commandRefused') this.refused.push(event.reason)
      },
      handle: async ({ name, data }) => {
        this.ran.push(name)
        return this.#options.answer?.(data) ?? { contentType: json, body: utf8('true') }
      },
    })
    return new CoapCommands(desk, () => undefined)
  }

  #note(datagram: Uint8Array): void {
    const message = parseMessage(datagram)
    if (message.code !== coapCode.post || pathOf(message)[0] !== '.well-known') return
    const payload = parseEdhocPayload(message.payload)
    if (payload.kind === 'message_1') this.message1s.push(payload.message.length)
  }
}

/** Time passes until this has come to its end. */
export async function passing<Result>(house: CoapHouse, work: Promise<Result>): Promise<Result> {
  const ended = work.then(
    () => true,
    () => true,
  )
  for (;;) {
    for (let n = 0; n < turnsPerStep; n++) await turn()
    if (await Promise.race([ended, Promise.resolve(false)])) return await work
    house.timers.advance(stepMs)
  }
}

/** SHA-256 of the key of the CA below which the server's certificates are. */
function anchorOf({ house }: CoapHouse): Uint8Array {
  const ca = house.authority
    .cas()
    .find(({ role, status }) => role === 'server' && status === 'active')
  if (ca === undefined) throw new Error('the house has no server CA')
  return nodeCrypto.hash('sha256', parseCertificate(ca.der).spki.der)
}
