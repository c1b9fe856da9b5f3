/**
 * The report of a demo, computed from what was observed: the application's doors say what was
 * received, the devices what they offered and when they were refused. Nothing here can be told to
 * be ok.
 */

/** What one device offered, and what the application then saw of it. */
export interface DeviceObservation {
  readonly id: string
  readonly product: string
  readonly element: string
  readonly assurance: number
  readonly road: string
  /**
   * CloudEvents ids of the readings offered while the device was allowed, with the data of each as
   * JSON.
   */
  readonly offered: ReadonlyMap<string, string>
  /** Ids of readings that it offered only after it was refused for good. */
  readonly offeredAfter: ReadonlySet<string>
  /** Attempts that the server refused. */
  readonly refused: number
}

/** One CloudEvent of a device as an application's door gave it. */
export interface ReceivedReading {
  readonly id: string
  readonly source: string
  /** Data as JSON. */
  readonly data: string
  readonly road: string
  readonly assurance: number
}

export interface GatewayObservation {
  readonly frames: number
  readonly tampered: number
  /** Places in the recording where something stands that only the ends should know. */
  readonly plaintext: number
}

export interface RevocationObservation {
  readonly id: string
  readonly road: string
  /**
   * From the operator's word to the end of the live connection, or on coap, which has none, to the
   * first refusal; undefined: it never came.
   */
  readonly milliseconds: number | undefined
  /** Code of the next attempt's refusal in the operator's books. */
  readonly reason: string | undefined
}

/** A command of the application to a device. */
export interface CommandObservation {
  /** Id of the device. */
  readonly device: string
  readonly road: string
  /** How it had to end. */
  readonly wanted: 'answered' | 'expired'
  /** How it ended, as the application was told, and the JSON of its result. */
  readonly state: string
  readonly result: string
  /** JSON of what the device answered, each time that the command came to it. */
  readonly did: readonly string[]
}

export interface StepObservation {
  readonly name: string
  readonly ok: boolean
  readonly milliseconds: number
}

export interface Observations {
  readonly seconds: number
  readonly devices: readonly DeviceObservation[]
  readonly received: readonly ReceivedReading[]
  /** By road. */
  readonly gateways: Readonly<Record<string, GatewayObservation>>
  /** By road: lengths of the messages of one handshake, as the gateway saw them. */
  readonly edhoc: Readonly<Record<string, readonly number[]>>
  readonly revocations: readonly RevocationObservation[]
  readonly commands: readonly CommandObservation[]
  readonly steps: readonly StepObservation[]
}

export interface DemoReport {
  readonly ok: boolean
  readonly seconds: number
  readonly devices: readonly {
    readonly id: string
    readonly product: string
    readonly element: string
    readonly assurance: number
    readonly road: string
    readonly sent: number
    readonly received: number
    readonly refused: number
  }[]
  /** All of them together, and each by its road. */
  readonly gateway: GatewayObservation & {
    readonly roads: Readonly<Record<string, GatewayObservation>>
  }
  readonly edhoc: Readonly<Record<string, readonly number[]>>
  readonly revocation: readonly {
    readonly id: string
    readonly road: string
    readonly milliseconds: number | null
    readonly reason: string | null
  }[]
  readonly steps: readonly StepObservation[]
}

/** A revoked device loses its live connection within this. */
export const revocationMsMax = 2000

export function makeReport(seen: Observations): DemoReport {
  return {
    ok: faults(seen).length === 0,
    seconds: Math.round(seen.seconds * 10) / 10,
    devices: seen.devices.map((device) => ({
      id: device.id,
      product: device.product,
      element: device.element,
      assurance: device.assurance,
      road: device.road,
      sent: device.offered.size,
      received: new Set(readingsOf(seen, device).map((each) => each.id)).size,
      refused: device.refused,
    })),
    gateway: { ...sumOf(Object.values(seen.gateways)), roads: seen.gateways },
    edhoc: seen.edhoc,
    revocation: seen.revocations.map(({ id, road, milliseconds, reason }) => ({
      id,
      road,
      milliseconds: milliseconds ?? null,
      reason: reason ?? null,
    })),
    steps: seen.steps,
  }
}

/** Everything that is not as it should be, in words. Empty: the story holds. */
export function faults(seen: Observations): readonly string[] {
  const found: string[] = []
  if (seen.devices.length === 0) found.push('no device took part')
  if (seen.steps.length === 0) found.push('nothing was done')
  for (const step of seen.steps) if (!step.ok) found.push(`step failed: ${step.name}`)
  for (const device of seen.devices) found.push(...deviceFaults(seen, device))
  const known = new Set(seen.devices.map((device) => device.id))
  for (const { source, id } of seen.received) {
    if (!known.has(source)) found.push(`${id} came from ${source}, which never was allowed`)
  }
  for (const revocation of seen.revocations) found.push(...revocationFaults(seen, revocation))
  for (const command of seen.commands) found.push(...commandFaults(command))
  for (const road of new Set(seen.devices.map((device) => device.road))) {
    found.push(...roadFaults(seen, road))
  }
  return found
}

/** What is to be seen on each road that a device took. */
function roadFaults(seen: Observations, road: string): string[] {
  const { gateways, revocations, commands, edhoc } = seen
  const found: string[] = []
  const isAnswered = commands.some((each) => each.road === road && each.wanted === 'answered')
  if (!isAnswered) found.push(`nobody was commanded on ${road}`)
  if (!revocations.some((each) => each.road === road)) found.push(`nobody was revoked on ${road}`)
  const { frames, tampered, plaintext } = gateways[road] ?? nothing
  const gateway = `the gateway of ${road}`
  if (frames === 0) found.push(`nothing went through ${gateway}`)
  if (tampered === 0) found.push(`${gateway} tampered with nothing: its attacks prove nothing`)
  if (plaintext > 0) found.push(`${gateway} could read ${plaintext} places`)
  if (road === 'coap') found.push(...handshakeFaults(edhoc[road] ?? []))
  return found
}

/** With both certificates by their names; one by value alone is longer. */
const edhocBytesMax = 256

function handshakeFaults(lengths: readonly number[]): string[] {
  if (lengths.length !== 3) return ['the gateway of coap saw no handshake']
  const bytes = lengths.reduce((sum, length) => sum + length)
  return bytes <= edhocBytesMax ? [] : [`no handshake on coap took less than ${bytes} bytes`]
}

const nothing: GatewayObservation = { frames: 0, tampered: 0, plaintext: 0 }

function sumOf(all: readonly GatewayObservation[]): GatewayObservation {
  return all.reduce(
    (sum, each) => ({
      frames: sum.frames + each.frames,
      tampered: sum.tampered + each.tampered,
      plaintext: sum.plaintext + each.plaintext,
    }),
    nothing,
  )
}

function deviceFaults(seen: Observations, device: DeviceObservation): string[] {
  const found: string[] = []
  if (device.offered.size === 0) found.push(`${device.id} offered nothing`)
  const received = new Map<string, ReceivedReading>()
  for (const reading of readingsOf(seen, device)) {
    const before = received.get(reading.id)
    if (before !== undefined && before.data !== reading.data) {
      found.push(`${reading.id} was received with two contents`)
    }
    received.set(reading.id, reading)
  }
  for (const [id, data] of device.offered) {
    const got = received.get(id)
    if (got === undefined) found.push(`${id} was offered and never received`)
    else if (got.data !== data) found.push(`${id} was received with another content`)
  }
  for (const [id, { road, assurance }] of received) {
    if (device.offeredAfter.has(id)) found.push(`${id} was received though its device was revoked`)
    else if (!device.offered.has(id)) found.push(`${id} was received and never offered`)
    if (road !== device.road) found.push(`${id} came by ${road} and not by ${device.road}`)
    if (assurance !== device.assurance) found.push(`${id} came with assurance ${assurance}`)
  }
  return found
}

function revocationFaults(seen: Observations, revocation: RevocationObservation): string[] {
  const { id, road, milliseconds, reason } = revocation
  const found: string[] = []
  if (milliseconds === undefined) found.push(`${id} was not cut off after its revocation`)
  else if (!(milliseconds <= revocationMsMax))
    found.push(`${id} was cut off after ${milliseconds} ms`)
  if (reason === undefined || !/^ERR_[A-Z_]*(REVOKED|RETIRED)$/.test(reason)) {
    found.push(`the books do not say that ${id} was revoked`)
  }
  const device = seen.devices.find((each) => each.id === id && each.road === road)
  if (device === undefined || device.refused === 0) {
    found.push(`${id} was not refused after its revocation`)
  }
  return found
}

export function commandFaults(command: CommandObservation): readonly string[] {
  const { device, wanted, state, result, did } = command
  const found: string[] = []
  if (state !== wanted) found.push(`a command to ${device} ended ${state} and not ${wanted}`)
  const runs = wanted === 'answered' ? 1 : 0
  if (did.length !== runs) found.push(`${device} took a command ${did.length} times, not ${runs}`)
  if (runs === 1 && did.at(-1) !== result)
    found.push(`the answer of ${device} to a command was told as another`)
  return found
}

function readingsOf(seen: Observations, device: DeviceObservation): readonly ReceivedReading[] {
  return seen.received.filter((reading) => reading.source === device.id)
}
