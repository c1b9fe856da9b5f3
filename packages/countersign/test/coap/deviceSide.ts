/**
 * A device in a conversation: its real session and its real command desk; the outbox around them is
 * as short as it can be. What it has written down lives in this object, everything else in its lives.
 */
import {
  coapCode,
  contentFormatOption,
  sortedOptions,
  uriPath,
  uriQuery,
} from '@countersign/core/coap'
import { hex, utf8 } from '@countersign/core/codec'
import { AdapterError, CallerError, PeerError } from '@countersign/core/errors'
import type { ChannelCrypto, Random } from '@countersign/core/ports'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { softwareCoseSigner } from '@countersign/element/softwareSigner'
import type {
  DatagramNetwork,
  DeedWitness,
  LinkPlans,
  Mortal,
  NetworkEndpoint,
} from '@countersign/testbed'
import { type AskServer, CoapCommands } from '../../../device/src/coapCommands.ts'
import { judgeResponse } from '../../../device/src/coapOutcome.ts'
import { CommandDesk } from '../../../device/src/portable/commandDesk.ts'
import {
  type NarrowLimits,
  type NarrowRequest,
  NarrowSession,
  type NarrowStorage,
  readNarrowFacts,
  trustPinnedIssuer,
} from '../../../device/src/portable/narrow/index.ts'
import { isTransient } from '../../../device/src/retry.ts'
import type { TestDevice } from '../../../server/test/frontend/house.ts'
import type { Process } from './lives.ts'
import { serverAddress } from './serverSide.ts'

/** Flash: other datagrams come while a record is on its way. */
const writeMs = 15
const keepAliveMs = 25_000
const pollMs = 1_000
const refusedMs = 10_000

export interface DeviceSideParts {
  readonly identity: TestDevice
  readonly address: string
  readonly network: DatagramNetwork
  readonly link: Partial<LinkPlans>
  readonly crypto: ChannelCrypto
  readonly deeds: DeedWitness
  /** SHA-256 of the key of the server's issuing CA. */
  readonly anchor: Uint8Array
  readonly method: 0 | 1
  readonly hasClock: boolean
  readonly limits: Partial<NarrowLimits>
  readonly random: () => Random
  readonly failed: (error: unknown) => void
}

export class DeviceSide {
  readonly identity: TestDevice
  /** By number: what was measured, and is kept until the server has it. */
  readonly outbox: Map<number, string> = new Map()
  readonly measured: Map<number, number> = new Map()
  readonly acknowledged: Set<number> = new Set()
  /** How often each command was run. */
  readonly ran: Map<string, number> = new Map()
  readonly #parts: DeviceSideParts
  readonly #begun: Set<string> = new Set()
  #record: Uint8Array | undefined

  constructor(parts: DeviceSideParts) {
    this.#parts = parts
    this.identity = parts.identity
  }

  /** Fingerprints of the server's certificates that it has written down. */
  get known(): readonly string[] {
    if (this.#record === undefined) return []
    const { servers } = readNarrowFacts(nodeCrypto, this.#record)
    return servers.map(({ leaf }) => hex(nodeCrypto.hash('sha256', leaf)))
  }

  measure(length: number): void {
    const number = this.measured.size + 1
    this.measured.set(number, length)
    this.outbox.set(number, textOf(number, length))
  }

  live = async ({ life, whenGone, toEnd }: Process): Promise<void> => {
    const { identity, address, network, crypto, anchor, method, hasClock, limits } = this.#parts
    const commands = new CoapCommands(this.#deskOf(life), () => undefined)
    let link: NetworkEndpoint | undefined
    const session = await NarrowSession.open({
      crypto,
      clock: life,
      timers: life,
      random: this.#parts.random(),
      method,
      hasClock,
      limits,
      timeFloor: identity.leaf.notBefore,
      send: (datagram) => life.act(() => link?.send(datagram, serverAddress)),
      storage: this.#storageOf(life),
      credential: { leaf: identity.leaf.der, signer: softwareCoseSigner(identity.privateKey) },
      trust: trustPinnedIssuer(crypto, anchor),
      serve: async (request) => {
        if (life.alive) this.#parts.deeds.done('served')
        return await commands.serve(request)
      },
      fault: (error) => this.#failed(life, error),
    })
    link = network.open(address, (datagram) => session.receive(datagram), this.#parts.link)
    whenGone(() => link?.close())
    toEnd(() => session.sleep())
    commands.obey().catch((error: unknown) => this.#failed(life, error))
    await this.#speak(life, session, commands)
  }

  /** What is measured, in its order; and something now and then, so that commands find the way. */
  async #speak(life: Mortal, session: NarrowSession, commands: CoapCommands): Promise<never> {
    const ask: AskServer = async (request) => {
      try {
        return await session.request(request)
      } catch (error) {
        throw inWords(error)
      }
    }
    for (let failures = 0, silentMs = keepAliveMs; ; ) {
      const [next] = this.outbox
      if (next === undefined && silentMs < keepAliveMs) {
        await life.wait(pollMs)
        silentMs += pollMs
        continue
      }
      silentMs = 0
      try {
        const response = await ask(next === undefined ? keepAlive : reading(...next))
        commands.begin(ask)
        failures = 0
        const judged = judgeResponse(response, '')
        if (judged.kind === 'later') await life.wait(judged.afterMs ?? pollMs)
        else if (judged.kind === 'taken') await this.#taken(life, next)
        else if (judged.kind === 'refused') await life.wait(refusedMs)
        else throw new Error(`the server answered ${judged.problem.message}`)
      } catch (error) {
        if (!isTransient(error)) this.#failed(life, error)
        await life.wait(pollMs * Math.min(30, 2 ** failures++))
      }
    }
  }

  async #taken(life: Mortal, next: readonly [number, string] | undefined): Promise<void> {
    if (next === undefined) return
    const [number] = next
    this.acknowledged.add(number)
    await life.effect(async () => this.outbox.delete(number), writeMs)
  }

  #deskOf(life: Mortal): CommandDesk {
    return new CommandDesk({
      clock: life,
      listener: () => undefined,
      memory: {
        has: (id) => this.#begun.has(id),
        add: (id) => life.effect(async () => void this.#begun.add(id), writeMs),
      },
      handle: ({ id, data }) =>
        life.effect(async () => {
          this.ran.set(id, (this.ran.get(id) ?? 0) + 1)
          return { contentType: 'application/json', body: utf8(JSON.stringify(data)) }
        }),
    })
  }

  #storageOf(life: Mortal): NarrowStorage {
    return {
      load: () => life.look(async () => this.#record),
      save: (record) => {
        const kept = record.slice()
        return life.effect(async () => void (this.#record = kept), writeMs)
      },
    }
  }

  #failed(life: Mortal, error: unknown): void {
    if (life.alive) this.#parts.failed(error)
  }
}

/** As the road says it: whatever comes of a broken way, a busy server or an enemy passes. */
function inWords(error: unknown): unknown {
  const isClosed = error instanceof CallerError && error.code === 'ERR_NARROW_CLOSED'
  if (!isClosed && !(error instanceof AdapterError) && !(error instanceof PeerError)) return error
  return new AdapterError('ERR_SERVER_TIMEOUT', error.message, {}, { cause: error })
}

const keepAlive: NarrowRequest = {
  code: coapCode.post,
  options: uriQuery('t'),
  payload: new Uint8Array(),
}

/** Says which one it is, wherever it is cut. */
export function textOf(number: number, length: number): string {
  return `${number} `.repeat(length).slice(0, length)
}

function reading(number: number, text: string): NarrowRequest {
  const options = [...uriPath('m', 'room'), contentFormatOption(0), ...uriQuery(`n=${number}`)]
  return { code: coapCode.post, options: sortedOptions(options), payload: utf8(text) }
}
