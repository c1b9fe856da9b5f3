/** `device show`: what this device is and holds, read without the lock and without the network. */
import { hex } from '@countersign/core/codec'
import { parseCertificate } from '@countersign/core/credential'
import { AdapterError } from '@countersign/core/errors'
import { describe, renewalDue } from './certificate.ts'
import { systemWorld } from './compose.ts'
import { type NarrowFacts, readNarrowFacts } from './portable/narrow/index.ts'
import { coapStateDamaged, readCoapState } from './state/coapState.ts'
import { readReserved } from './state/counter.ts'
import { notEnrolled, stateFiles } from './state/folder.ts'
import { readIdentity } from './state/identity.ts'
import { countWaiting } from './state/outbox.ts'
import type { World } from './world.ts'

export interface ShowOptions {
  readonly state: string
  readonly world?: World
}

export interface DeviceReport {
  /**
   * `enrolling`: begun and not answered. `expired` and `notYetValid` are by this machine's clock.
   */
  readonly status: 'enrolling' | 'enrolled' | 'expired' | 'notYetValid'
  readonly id: string | null
  readonly eui64: string | null
  readonly serial: string
  readonly server: string
  /** null: it was not told. */
  readonly mqtts: string | null
  readonly coap: string | null
  /** What is kept of the channel on coap; null before the first message went that way. */
  readonly channel: ChannelReport | null
  readonly anchor: string
  readonly element: string
  /** Of the key in use; null before the first certificate. */
  readonly slot: number | null
  readonly state: string
  readonly certificate: {
    readonly serial: string
    readonly fingerprint: string
    readonly issuer: string
    readonly notBefore: string
    readonly notAfter: string
    /** When `device run` begins to renew it. */
    readonly renewalFrom: string
    readonly renewing: boolean
  } | null
  readonly readings: {
    /** No reading has this number or a higher one yet. */
    readonly reservedBelow: number
    readonly waiting: number
  }
}

export interface ChannelReport {
  /** null: the next message makes a handshake. */
  readonly context: {
    readonly since: string
    /** It ends with the server's certificate that it was made with. */
    readonly until: string
    /** x5t of the device's certificate that it was made with. */
    readonly credential: string
  } | null
  /** Certificates of the server that a handshake can name. */
  readonly servers: readonly {
    readonly proof: 'signature' | 'static key'
    readonly kid: string | null
    readonly fingerprint: string
    readonly notAfter: string
  }[]
}

/** @example const { status, certificate } = await show({ state: './countersign-device' }) */
export async function show(options: ShowOptions): Promise<DeviceReport> {
  const world = options.world ?? systemWorld()
  const files = stateFiles(options.state)
  const identity = await readIdentity(files.identity)
  if (identity === undefined) throw notEnrolled(options.state)
  const { serial, server, mqtts = null, coap = null, anchor, element, current, pending } = identity
  const readings = {
    reservedBelow: await readReserved(files.counter),
    waiting: await countWaiting(files.outbox),
  }
  const channel = await channelOf(files.coap, world)
  const known = { serial, server, mqtts, coap, channel, anchor, element, state: options.state }
  const common = { ...known, readings }
  if (current === undefined) {
    return { ...common, slot: null, status: 'enrolling', id: null, eui64: null, certificate: null }
  }
  const { certificate, id, eui64 } = describe(current.certificates)
  return {
    ...common,
    slot: current.slot,
    status: validity(certificate, world.clock.now()),
    id,
    eui64,
    certificate: {
      ...certificate,
      renewalFrom: new Date(renewalDue(current.certificates)).toISOString(),
      renewing: pending !== undefined,
    },
  }
}

async function channelOf(path: string, { crypto }: World): Promise<ChannelReport | null> {
  const record = await readCoapState(path)
  if (record === undefined) return null
  const { context, servers } = factsIn(record, path, crypto)
  return {
    context: context === undefined ? null : contextOf(context),
    servers: servers.map(({ kind, kid, leaf }) => ({
      proof: kind,
      kid: kid === undefined ? null : hex(kid),
      fingerprint: hex(crypto.hash('sha256', leaf)),
      notAfter: new Date(parseCertificate(leaf).notAfter).toISOString(),
    })),
  }
}

function factsIn(record: Uint8Array, path: string, crypto: World['crypto']): NarrowFacts {
  try {
    return readNarrowFacts(crypto, record)
  } catch (error) {
    if (error instanceof AdapterError) throw coapStateDamaged(path, error)
    throw error
  }
}

function contextOf({
  since,
  until,
  deviceX5t,
}: NonNullable<NarrowFacts['context']>): NonNullable<ChannelReport['context']> {
  return {
    since: new Date(since).toISOString(),
    until: new Date(until).toISOString(),
    credential: hex(deviceX5t),
  }
}

function validity(
  dates: { readonly notBefore: string; readonly notAfter: string },
  now: number,
): 'enrolled' | 'expired' | 'notYetValid' {
  if (now > Date.parse(dates.notAfter)) return 'expired'
  return now < Date.parse(dates.notBefore) ? 'notYetValid' : 'enrolled'
}
