/**
 * The evidence of an ATECC608 as it travels, exact DER:
 *
 *   Evidence ::= SEQUENCE { version INTEGER (1 or 2), nonce OCTET STRING (32), slot INTEGER (0..15),
 *     publicKey OCTET STRING (64), attestationSlot INTEGER (0..15), message OCTET STRING (55),
 *     signature OCTET STRING (64), revision OCTET STRING (4),
 *     randOut OCTET STRING (32) -- in version 2, and only there -- }
 *
 * Version 1: the chip took the verifier's nonce as it is. Version 2, for keys with ReqRandom: it drew
 * a number and took the first 20 bytes of the nonce with it.
 *
 * Only the message is signed. The rest says how to read it, and is believed as far as the message
 * bears it out; the revision is the host's word.
 */
import { DerReader, der } from '../codec/index.ts'
import { CallerError, PeerError } from '../errors.ts'
import { attestationError } from './attestationError.ts'

export interface Atecc608Evidence {
  /** The verifier's, 32 bytes. */
  readonly nonce: Uint8Array
  /** Whose key the statement is about. */
  readonly slot: number
  /** X || Y. */
  readonly publicKey: Uint8Array
  /** Whose key signed. */
  readonly attestationSlot: number
  /** What the chip composed and signed, 55 bytes: see atecc608Statement.ts. */
  readonly message: Uint8Array
  /** r || s. */
  readonly signature: Uint8Array
  /** As Info told it. */
  readonly revision: Uint8Array
  /** What the chip drew, 32 bytes; undefined when it took the nonce as it is. */
  readonly randOut?: Uint8Array | undefined
}

const versions = { passThrough: 1, random: 2 } as const
export const slotMax = 15

const lengths = {
  nonce: 32,
  publicKey: 64,
  message: 55,
  signature: 64,
  revision: 4,
  randOut: 32,
} as const

/** All fields have one length: 241 octets in version 1, 276 in version 2. */
export const atecc608EvidenceBytesMax = 288

export function encodeAtecc608Evidence(evidence: Atecc608Evidence): Uint8Array {
  for (const field of fields) requireLength(field, evidence[field])
  for (const slot of [evidence.slot, evidence.attestationSlot]) requireSlot(slot)
  const { randOut } = evidence
  if (randOut !== undefined) requireLength('randOut', randOut)
  return der.sequence(
    der.integer(randOut === undefined ? versions.passThrough : versions.random),
    der.octetString(evidence.nonce),
    der.integer(evidence.slot),
    der.octetString(evidence.publicKey),
    der.integer(evidence.attestationSlot),
    der.octetString(evidence.message),
    der.octetString(evidence.signature),
    der.octetString(evidence.revision),
    ...(randOut === undefined ? [] : [der.octetString(randOut)]),
  )
}

/** Throws PeerError ERR_ATTESTATION_MALFORMED. */
export function parseAtecc608Evidence(bytes: Uint8Array): Atecc608Evidence {
  try {
    return read(new DerReader(bytes, 'evidence', atecc608EvidenceBytesMax))
  } catch (error) {
    if (!(error instanceof PeerError)) throw error
    throw attestationError(
      'ERR_ATTESTATION_MALFORMED',
      `the evidence of an ATECC608 cannot be read: ${error.message}`,
      error.where ?? 'evidence',
      error,
    )
  }
}

function read(whole: DerReader): Atecc608Evidence {
  const fields = whole.sequence('')
  whole.end()
  const version = fields.smallInteger('version', 255)
  if (version !== versions.passThrough && version !== versions.random) {
    throw fields.bad('versions 1 and 2 are known')
  }
  const octets = (field: Field): Uint8Array => {
    const value = fields.octetString(field)
    if (value.length === lengths[field]) return value
    throw fields.bad(`${value.length} bytes instead of ${lengths[field]}`, field)
  }
  const nonce = octets('nonce')
  const slot = fields.smallInteger('slot', slotMax)
  const publicKey = octets('publicKey')
  const attestationSlot = fields.smallInteger('attestationSlot', slotMax)
  const message = octets('message')
  const signature = octets('signature')
  const revision = octets('revision')
  const randOut = version === versions.random ? octets('randOut') : undefined
  fields.end()
  return { nonce, slot, publicKey, attestationSlot, message, signature, revision, randOut }
}

type Field = keyof typeof lengths
const fields = ['nonce', 'publicKey', 'message', 'signature', 'revision'] as const

function requireLength(field: Field, value: Uint8Array): void {
  if (value.length === lengths[field]) return
  throw new CallerError(
    'ERR_ATTESTATION_ARGUMENT',
    `${field} has ${value.length} bytes instead of ${lengths[field]}`,
  )
}

function requireSlot(slot: number): void {
  if (Number.isInteger(slot) && slot >= 0 && slot <= slotMax) return
  throw new CallerError('ERR_ATTESTATION_ARGUMENT', `an ATECC608 has no slot ${slot}`)
}
