/**
 * Reads vectors/tls-rfc8448.json, the traces of RFC 8448: a trace by its name, a field by the step
 * and name printed there.
 */
import { createPrivateKey, type KeyObject } from 'node:crypto'
import { readFileSync } from 'node:fs'

export type Actor = 'client' | 'server'

export type TraceName =
  | 'Simple 1-RTT Handshake'
  | 'Resumed 0-RTT Handshake'
  | 'HelloRetryRequest'
  | 'Client Authentication'
  | 'Compatibility Mode'

export interface Field {
  readonly name: string
  /** As printed. */
  readonly octets: number
  readonly hex: string
  readonly note?: string
}

export interface Step {
  readonly actor: Actor
  /** As printed, with its "(same as ...)" if it has one. */
  readonly label: string
  /** Empty for a step that is the same as another. */
  readonly fields: readonly Field[]
}

export interface Trace {
  readonly name: TraceName
  readonly section: string
  readonly steps: readonly Step[]
}

interface TraceFile {
  readonly keys: readonly [{ readonly fields: readonly { name: string; hex: string }[] }]
  readonly traces: readonly Trace[]
}

const file: TraceFile = JSON.parse(
  readFileSync(new URL('../../../../vectors/tls-rfc8448.json', import.meta.url), 'utf8'),
)

export const traces: readonly Trace[] = file.traces

export function trace(name: TraceName): Trace {
  return found(
    traces.find((one) => one.name === name),
    name,
  )
}

/**
 * The steps of this label, in their order, with the fields of the step that they are the same as.
 * The label goes without "(same as ...)".
 *
 * @example stepsOf(trace('HelloRetryRequest'), 'client', 'construct a ClientHello handshake message')
 */
export function stepsOf(from: Trace, actor: Actor, label: string): readonly Step[] {
  return printedSteps(from, actor, label).map((step) => original(from, step))
}

/**
 * The octets of a field of the nth step of this label.
 *
 * @example field(trace('HelloRetryRequest'), 'server', 'send handshake record', 'payload', 1)
 */
export function field(
  from: Trace,
  actor: Actor,
  label: string,
  name: string,
  nth: number = 0,
): Uint8Array<ArrayBuffer> {
  const what = `${from.name}: {${actor}} ${label} [${nth}]`
  return fieldOf(found(stepsOf(from, actor, label)[nth], what), name)
}

export function fieldOf(step: Step, name: string): Uint8Array<ArrayBuffer> {
  const what = `${name} of {${step.actor}} ${step.label}`
  return octets(
    found(
      step.fields.find((one) => one.name === name),
      what,
    ).hex,
  )
}

/** The RSA key of section 2, which the server has in all traces but Client Authentication. */
export function rsaKey(): KeyObject {
  const jwk = {
    kty: 'RSA',
    n: rsaPart('modulus (public)'),
    e: rsaPart('public exponent'),
    d: rsaPart('private exponent'),
    p: rsaPart('prime1'),
    q: rsaPart('prime2'),
    dp: rsaPart('exponent1'),
    dq: rsaPart('exponent2'),
    qi: rsaPart('coefficient'),
  }
  return createPrivateKey({ key: jwk, format: 'jwk' })
}

function rsaPart(name: string): string {
  const part = found(
    file.keys[0].fields.find((one) => one.name === name),
    name,
  )
  return Buffer.from(octets(part.hex)).toString('base64url')
}

const sameAs =
  / \(same as (?<actor>client|server)(?: (?<data>.+ data) (?<way>read|write) traffic keys)?.*\)$/

function printedSteps(from: Trace, actor: Actor, label: string): readonly Step[] {
  return from.steps.filter((one) => one.actor === actor && one.label.replace(sameAs, '') === label)
}

/** The step with the fields: this one, or the one that it is the same as. */
function original(from: Trace, step: Step): Step {
  const named = sameAs.exec(step.label)?.groups
  if (named === undefined) return step
  const { data, way } = named
  const actor: Actor = named['actor'] === 'client' ? 'client' : 'server'
  const label =
    data === undefined ? step.label.replace(sameAs, '') : `derive ${way} traffic keys for ${data}`
  return found(
    printedSteps(from, actor, label).find((one) => one.fields.length > 0),
    `${from.name}: {${step.actor}} ${step.label}`,
  )
}

function octets(hex: string): Uint8Array<ArrayBuffer> {
  if (!/^([0-9a-f]{2})*$/.test(hex)) throw new Error(`not hex: ${hex}`)
  return new Uint8Array(Buffer.from(hex, 'hex'))
}

function found<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`RFC 8448 has no ${what}`)
  return value
}
