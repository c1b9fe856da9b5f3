/**
 * Our client and a puppet, mouth to ear in memory: what the client sends goes to the puppet, what
 * the puppet says goes to the client, until neither has anything more to say. Nothing here waits for
 * time: whoever has not come to an end by then never will.
 */
import assert from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import { Judge } from '@countersign/core/credential'
import { type AdapterError, type CallerError, PeerError } from '@countersign/core/errors'
import type { ChannelCrypto, EphemeralKey, GroupName, Signer } from '@countersign/core/ports'
import {
  type ClientOptions,
  type Outlet,
  type ResumableSession,
  type Secured,
  TlsClient,
  trustAnchors,
} from '@countersign/core/tls'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { softwareSigner } from '@countersign/element/softwareSigner'
import { now } from '../../judge/world.ts'
import { Puppet, type PuppetOptions, type Step } from '../puppet.ts'
import { type Agreement, p256Agreement, x25519Agreement } from '../puppetKeys.ts'
import { fullFlight } from '../puppetSteps.ts'
import { anchor, clientCa, clientEntity, clientKey, host, identity } from '../puppetWorld.ts'

/** The client's shares: the same in each conversation, so that its bits are. */
const agreements: Partial<Record<GroupName, Agreement>> = {
  x25519: x25519Agreement(2),
  secp256r1: p256Agreement(2),
}

/**
 * The real provider, but for key pairs that are fixed; a share that is no sound one is the real
 * provider's to refuse, in the tests that say so.
 */
export const fixedCrypto: ChannelCrypto = {
  ...nodeCrypto,
  groups: ['x25519', 'secp256r1'],
  generateEphemeral(group): EphemeralKey {
    const agreement = agreements[group]
    if (agreement === undefined) return nodeCrypto.generateEphemeral(group)
    const { share } = agreement
    return { group, share, agree: (peer) => nodeCrypto.importSecret(agreement.with(peer)) }
  },
}

export const clock = { now: (): number => now }

/** Remembers the puppet's chain, so that a family of tests pays for it once. */
export const judge: Judge = new Judge({ crypto: nodeCrypto, clock, anchors: [anchor] })

/** Policy of the families: one share, so that a retry has something to ask for. */
export const policy = { groups: ['x25519', 'secp256r1'], shares: ['x25519'] } as const

const signer: Signer = softwareSigner(clientKey)

export type TalkOptions = Partial<ClientOptions>

/** What a client has said to those above it, and how to make it go on. */
export class Talk {
  readonly puppet: Puppet
  readonly client: TlsClient
  readonly secured: Secured[] = []
  readonly data: Uint8Array[] = []
  readonly sessions: ResumableSession[] = []
  readonly failed: unknown[] = []
  ended = 0
  /** Times that the element was asked. */
  signed = 0
  sentBytes = 0

  /** `also` hears everything after this has. */
  constructor(
    puppet: Partial<PuppetOptions> = {},
    options: TalkOptions = {},
    also: Partial<Outlet> = {},
  ) {
    this.puppet = new Puppet({ identity, flights: [fullFlight], ...puppet })
    const chain = [clientEntity.certificate.der, clientCa.certificate.der]
    const credential = { chain, signer }
    const right: ClientOptions = {
      crypto: fixedCrypto,
      random: { bytes: (length) => new Uint8Array(length).fill(0x5a) },
      clock,
      host,
      trust: trustAnchors(judge, host),
      policy,
      credential,
    }
    const whole: ClientOptions = { ...right, ...options }
    this.client = new TlsClient(
      { ...whole, credential: whole.credential && this.#counted(whole.credential) },
      {
        send: (bytes) => {
          this.sentBytes += bytes.length
          this.puppet.receive(bytes)
          also.send?.(bytes)
        },
        ...(also.sendPieces && {
          sendPieces: (pieces: readonly Uint8Array[]) => {
            for (const piece of pieces) this.puppet.receive(piece)
            also.sendPieces?.(pieces)
          },
        }),
        secured: (secured) => {
          this.secured.push(secured)
          also.secured?.(secured)
        },
        data: (bytes) => {
          assert.equal(this.secured.length, 1, 'data behind `secured` only')
          this.data.push(bytes)
          also.data?.(bytes)
        },
        resumable: (session) => {
          this.sessions.push(session)
          also.resumable?.(session)
        },
        ended: () => {
          this.ended++
          also.ended?.()
        },
        failed: (error) => {
          this.failed.push(error)
          also.failed?.(error)
        },
      },
    )
  }

  #counted(credential: NonNullable<ClientOptions['credential']>): typeof credential {
    const { chain, signer: real } = credential
    const sign = (message: Uint8Array): Promise<Uint8Array> => {
      this.signed++
      return real.sign(message)
    }
    return { chain, signer: { scheme: real.scheme, spki: real.spki, sign } }
  }

  get text(): string {
    return Buffer.concat(this.data).toString()
  }

  /** From the ClientHello until nobody has anything more to say. */
  async start(): Promise<this> {
    this.client.start()
    await this.settle()
    return this
  }

  /** The puppet goes on. */
  async run(...steps: readonly Step[]): Promise<this> {
    this.puppet.run(steps)
    await this.settle()
    return this
  }

  /** Each flight of the puppet arrives as one piece. */
  async settle(): Promise<void> {
    for (;;) {
      await setImmediate()
      const pieces = this.puppet.take()
      if (pieces.length === 0) return
      this.client.receive(new Uint8Array(Buffer.concat(pieces)))
    }
  }
}

/** A conversation from the beginning to where it comes to rest. */
export async function talk(
  puppet: Partial<PuppetOptions> = {},
  options: TalkOptions = {},
): Promise<Talk> {
  return new Talk(puppet, options).start()
}

/** A handshake that went well, and what the puppet did behind it. */
export async function opened(
  steps: readonly Step[] = [],
  puppet: Partial<PuppetOptions> = {},
  options: TalkOptions = {},
): Promise<Talk> {
  const open = await talk(puppet, options)
  assertOpen(open)
  return open.run(...steps)
}

export function assertOpen({ secured, failed, puppet }: Talk, what = ''): void {
  assert.deepEqual(failed, [], what)
  assert.equal(secured.length, 1, what)
  assert.ok(puppet.isOpen, what)
  assert.deepEqual(puppet.complaints, [], what)
  assert.deepEqual(puppet.alerts, [], what)
}

export interface Refusal {
  /** Undefined: the server is told nothing. */
  readonly alert: string | undefined
  readonly code: string
  /** Default: PeerError. */
  readonly by?: typeof PeerError | typeof AdapterError | typeof CallerError
}

/** A handshake that failed before the server had proven itself: it learnt the alert and no more. */
export function assertRefused(refused: Talk, refusal: Refusal, what = ''): void {
  const { secured, data, sessions, signed, puppet } = refused
  assert.deepEqual(secured, [], `${what}: not secured`)
  assert.deepEqual(data, [], `${what}: no data`)
  assert.deepEqual(sessions, [], `${what}: no ticket`)
  assert.equal(signed, 0, `${what}: the element was not asked`)
  const told = puppet.received.filter((name) => name !== 'ClientHello')
  assert.deepEqual(told, [], `${what}: nothing of the client was shown`)
  assertFailed(refused, refusal, what)
}

/** The connection is over, once, for this reason, and stays so. */
export function assertFailed(
  talked: Talk,
  { alert, code, by = PeerError }: Refusal,
  what = '',
): void {
  const { failed, puppet } = talked
  assert.equal(failed.length, 1, `${what}: failed once`)
  const [error] = failed
  assert.ok(error instanceof by, `${what}: ${String(error)}`)
  assert.equal(error.code, code, `${what}: ${error.message}`)
  assert.deepEqual(
    puppet.alerts.map(({ name }) => name),
    alert === undefined ? [] : [alert],
    `${what}: the alert`,
  )
  for (const { name, level } of puppet.alerts) {
    assert.equal(level, name === 'close_notify' ? 1 : 2, `${what}: the level of ${name}`)
  }
  assert.deepEqual(puppet.complaints, [], what)
  assertOver(talked, what)
}

/** Whatever is done to a client that is over, nothing comes of it. */
export function assertOver(talked: Talk, what = ''): void {
  const { client } = talked
  const before = eventsOf(talked)
  client.receive(Uint8Array.of(22, 3, 3, 0, 1, 2))
  client.end()
  client.abort()
  client.endOfStream()
  const isMisuse = { name: 'CallerError', code: 'ERR_TLS_STATE' }
  assert.throws(() => client.write(Uint8Array.of(1)), isMisuse, what)
  assert.throws(() => client.updateKeys(), isMisuse, what)
  assert.throws(() => client.start(), isMisuse, what)
  assert.deepEqual(eventsOf(talked), before, `${what}: nothing more`)
}

function eventsOf({ secured, data, sessions, failed, ended, signed, sentBytes }: Talk): unknown {
  const lists = [secured, data, sessions, failed].map(({ length }) => length)
  return [...lists, ended, signed, sentBytes]
}
