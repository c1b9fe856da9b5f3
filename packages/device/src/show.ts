/** `device show`: what this device is and holds, read without the lock and without the network. */
import { describe, renewalDue } from './certificate.ts'
import { systemWorld } from './compose.ts'
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
  const common = { serial, server, mqtts, coap, anchor, element, state: options.state, readings }
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

function validity(
  dates: { readonly notBefore: string; readonly notAfter: string },
  now: number,
): 'enrolled' | 'expired' | 'notYetValid' {
  if (now > Date.parse(dates.notAfter)) return 'expired'
  return now < Date.parse(dates.notBefore) ? 'notYetValid' : 'enrolled'
}
