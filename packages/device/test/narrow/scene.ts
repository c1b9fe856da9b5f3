/** A device and an honest server on a network in virtual time, with a witness of nonces. */
import { coapCode, optionNumber, type CoapMessage } from '@countersign/core/coap'
import { hex, utf8 } from '@countersign/core/codec'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import {
  DatagramNetwork,
  type NetworkEndpoint,
  SealWitness,
  seeded,
  seededRandom,
  VirtualTime,
  type Life,
} from '@countersign/testbed'
import {
  type NarrowParts,
  type NarrowRequest,
  type NarrowResponse,
  NarrowSession,
  type NarrowStorage,
  trustPinnedIssuer,
} from '../../src/portable/narrow/index.ts'
import {
  decodeRecord,
  emptyRecord,
  encodeRecord,
  type ServerCredential,
} from '../../src/portable/narrow/record.ts'
import { HonestServer, x5t } from './honestServer.ts'
import { coseSigner, type Leaf, makeAuthority } from './pki.ts'

export const serverAddress = '192.0.2.1:5683'
export const deviceAddress = '10.0.0.7:40000'

const ca = await makeAuthority('Server CA')
const owner = await makeAuthority('Owner CA')
const signs = await ca.issue('server', 'serverEdhocSign')
const agrees = await ca.issue('server', 'serverEdhocDh')
const deviceLeaf = await owner.issue('device', 'clientAuth')
export const certificates = { ca, owner, signs, agrees, deviceLeaf }

/** Replaced as a whole; what a power cut leaves is `bytes`. */
export class MemoryStorage implements NarrowStorage {
  bytes: Uint8Array | undefined
  saves = 0
  /** Before and after each; one that never resolves is a power cut. */
  hook: (moment: 'before' | 'after', number: number) => Promise<void> = async () => undefined

  async load(): Promise<Uint8Array | undefined> {
    return this.bytes
  }

  async save(record: Uint8Array): Promise<void> {
    const number = this.saves++
    await this.hook('before', number)
    this.bytes = record.slice()
    await this.hook('after', number)
  }
}

export interface Device {
  readonly session: NarrowSession
  readonly storage: MemoryStorage
  readonly link: NetworkEndpoint
  readonly life: Life
  readonly faults: unknown[]
  readonly served: CoapMessage[]
  /** As a power cut: memory and timers are gone, the storage is there. */
  readonly cut: () => void
}

export interface Scene {
  readonly time: VirtualTime
  readonly network: DatagramNetwork
  readonly witness: SealWitness
  readonly server: HonestServer
  readonly serverLink: NetworkEndpoint
  /** Another life of the same device, when it is given the storage of the one before. */
  readonly device: (
    given?: Partial<NarrowParts>,
    storage?: MemoryStorage,
    address?: string,
  ) => Promise<Device>
}

export function makeScene(seed = 1): Scene {
  const time = new VirtualTime()
  const network = new DatagramNetwork(time, seeded(seed))
  const witness = new SealWitness()
  const crypto = witness.watch(nodeCrypto)
  network.observe(({ act, datagram }) => {
    if (act === 'sent') witness.see(datagram)
  })
  const server = new HonestServer({
    crypto,
    time,
    random: seededRandom(seeded(seed + 1)),
    send: (datagram, to) => serverLink.send(datagram, to),
    ca,
    owner,
    signs,
    agrees,
  })
  server.known.set(hex(x5t(nodeCrypto, deviceLeaf.der).value), deviceLeaf.der)
  const serverLink: NetworkEndpoint = network.open(serverAddress, (datagram, from) =>
    server.endpoint.receive(datagram, from),
  )
  let lives = 0
  return {
    time,
    network,
    witness,
    server,
    serverLink,
    async device(given = {}, storage = new MemoryStorage(), address = deviceAddress) {
      const life = time.life()
      const faults: unknown[] = []
      const served: CoapMessage[] = []
      const session = await NarrowSession.open({
        crypto,
        clock: life,
        timers: life,
        random: seededRandom(seeded(seed + 2 + lives++)),
        send: (datagram) => link.send(datagram, serverAddress),
        storage,
        credential: credentialOf(deviceLeaf),
        trust: trustPinnedIssuer(nodeCrypto, ca.anchor),
        serve: async (request) => {
          served.push(request)
          return response(coapCode.changed)
        },
        fault: (error) => faults.push(error),
        ...given,
      })
      const link: NetworkEndpoint = network.open(address, (datagram) => session.receive(datagram))
      return {
        session,
        storage,
        link,
        life,
        faults,
        served,
        cut: () => {
          life.end()
          link.close()
        },
      }
    },
  }
}

export function credentialOf({ der, key }: Leaf): NarrowParts['credential'] {
  return { leaf: der, signer: coseSigner(key) }
}

export function reading(number: number, text = `reading ${number}`): NarrowRequest {
  return {
    code: coapCode.post,
    options: [
      { number: optionNumber.uriPath, value: utf8('m') },
      { number: optionNumber.uriPath, value: utf8('room') },
      { number: optionNumber.uriQuery, value: utf8(`n=${number}`) },
    ],
    payload: utf8(text),
  }
}

export function response(code: number, payload: Uint8Array = new Uint8Array()): NarrowResponse {
  return { code, options: [], payload }
}

/** What a device has that knows its server and has no context. */
export async function warmStorage({ time, device }: Scene): Promise<() => MemoryStorage> {
  const { session, storage, cut } = await device({}, undefined, '10.0.0.9:40000')
  await time.until(session.request(reading(0)))
  cut()
  const record = decodeRecord(nodeCrypto, storage.bytes ?? new Uint8Array())
  const bytes = encodeRecord(nodeCrypto, {
    ...record,
    day: emptyRecord.day,
    current: undefined,
  })
  return () => {
    const warm = new MemoryStorage()
    warm.bytes = bytes
    return warm
  }
}

/** Begun in the day that is written down; each has rounds of its own, with a message_1 each. */
export function handshakesOf(storage: MemoryStorage): number {
  return storage.bytes === undefined ? 0 : decodeRecord(nodeCrypto, storage.bytes).day.handshakes
}

/** As they are written down. */
export function serverCredentials(storage: MemoryStorage): readonly ServerCredential[] {
  if (storage.bytes === undefined) return []
  return decodeRecord(nodeCrypto, storage.bytes).servers
}
