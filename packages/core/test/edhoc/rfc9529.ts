/** Reads vectors/edhoc-rfc9529.json, the traces of RFC 9529: a value by its name and step. */
import { readFileSync } from 'node:fs'
import { fromHex, hex } from '@countersign/core/codec'
import type { EphemeralKey } from '@countersign/core/ports'
import { node, type Provider } from '../providers.ts'

/** One printed value. `kind` is as printed: raw, an item, a sequence, a byte string around it. */
export interface Printed {
  readonly section: string
  readonly name: string
  readonly kind: string | null
  readonly hex: string
  /** Of a number. */
  readonly value?: number
}

export interface Trace {
  readonly id: 'rfc9529-2' | 'rfc9529-3'
  readonly method: number
  readonly suite: number
  readonly steps: readonly Printed[]
}

export interface Invalid {
  readonly section: string
  readonly name: 'Invalid message_1' | 'Invalid message_2' | 'Invalid PLAINTEXT_2'
  readonly hex: string
}

interface TraceFile {
  readonly traces: readonly Trace[]
  readonly invalid: readonly Invalid[]
}

const file: TraceFile = JSON.parse(
  readFileSync(new URL('../../../../vectors/edhoc-rfc9529.json', import.meta.url), 'utf8'),
)

export const traces: readonly Trace[] = file.traces
export const invalid: readonly Invalid[] = file.invalid

/** By the heading in RFC 9529 §4: why an invalid message is refused. */
export const reasons: Readonly<Record<string, string>> = {
  'Surplus array encoding of message': 'ERR_CBOR_KIND',
  'Surplus bstr encoding of connection identifier': 'ERR_CBOR_VALUE',
  'Surplus array encoding of ciphersuite': 'ERR_EDHOC_MESSAGE',
  'Text string encoding of ephemeral key': 'ERR_CBOR_KIND',
  'Wrong number of CBOR sequence elements': 'ERR_CBOR_TRAILING',
  'Surplus map encoding of ID_CRED field': 'ERR_COSE_CREDENTIAL',
  'Surplus bstr encoding of ID_CRED field': 'ERR_CBOR_VALUE',
  'Error in length of ephemeral key': 'ERR_EDHOC_MESSAGE',
  'Error in elliptic curve representation': 'ERR_EDHOC_POINT',
  'Error in elliptic curve point': 'ERR_EDHOC_POINT',
  'Curve point of low order': 'ERR_KEY_SHARE',
  'Error in length of MAC': 'ERR_EDHOC_MESSAGE',
  'Error in elliptic curve encoding': 'ERR_EDHOC_MESSAGE',
  'Unnecessary long encoding': 'ERR_CBOR_MINIMAL',
  'Indefinite-length array encoding': 'ERR_CBOR_MINIMAL',
}

export function traceOf(id: Trace['id']): Trace {
  const found = traces.find((one) => one.id === id)
  if (found === undefined) throw new Error(`no trace ${id}`)
  return found
}

/** The last value of this name: trace 3 begins with a message_1 that is refused. */
export function printed(trace: Trace, name: string, kind?: string): Uint8Array {
  const found = trace.steps.findLast(
    (step) =>
      step.name === name && (kind === undefined || step.kind?.toLowerCase() === kind.toLowerCase()),
  )
  if (found === undefined) throw new Error(`${trace.id} prints no ${name}`)
  return fromHex(found.hex)
}

export type Owner = 'X' | 'Y' | 'I' | 'R'

/** A key pair of the trace, ephemeral (X, Y) or static (I, R), as the port has them. */
export function keyOf(
  trace: Trace,
  owner: Owner,
  { prescribed }: Pick<Provider, 'prescribed'> = node,
): EphemeralKey {
  const isEphemeral = owner === 'X' || owner === 'Y'
  const d = printed(trace, isEphemeral ? owner : `SK_${owner}`)
  return prescribed(trace.suite === 0 ? 'x25519' : 'secp256r1', hex(d))
}
