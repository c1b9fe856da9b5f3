/**
 * The statements that vectors/make/attestation-atecc608.py composed, and the verifier that is asked
 * about them.
 */
import { readFileSync } from 'node:fs'
import {
  type Atecc608Question,
  type MakerKey,
  type Verdict,
  verifyAtecc608,
} from '@countersign/core/attestation'
import { fromHex, parseRfc3339 } from '@countersign/core/codec'
import { parseCertificate } from '@countersign/core/credential'
import { PeerError } from '@countersign/core/errors'
import { nodeCrypto } from '@countersign/element/nodeCrypto'

export interface Vectors {
  readonly time: string
  readonly serial: string
  readonly nonce: string
  readonly otherNonce: string
  readonly slot: number
  readonly attestationSlot: number
  readonly publicKey: string
  readonly otherPublicKey: string
  readonly attestationKey: string
  readonly revision: string
  readonly tempKey: string
  readonly message: string
  readonly signature: string
  readonly evidence: string
  readonly lockedSlot: string
  readonly withoutSource: string
  readonly randOut: string
  /** Version 2: the chip drew a number. */
  readonly overRandom: string
  readonly certificates: Readonly<Record<string, string>>
  readonly wrong: Readonly<Record<string, string>>
  readonly signedByStranger: string
  readonly signedByItself: string
  readonly otherSerial: string
  readonly changedBytes: readonly { readonly byte: number; readonly evidence: string }[]
  readonly configurations: readonly {
    readonly field: 'slot_config' | 'key_config'
    readonly bit: number
    readonly evidence: string
  }[]
}

const file = new URL('../../../../vectors/attestation-atecc608.json', import.meta.url)
export const vectors: Vectors = JSON.parse(readFileSync(file, 'utf8')) as Vectors

export const evidence: Uint8Array = fromHex(vectors.evidence)

export function der(name: string): Uint8Array {
  return fromHex(vectors.certificates[name] ?? '')
}

export interface Asked
  extends Partial<
    Pick<Atecc608Question, 'nonce' | 'publicKey' | 'makerKeys' | 'caps' | 'at' | 'isDemo'>
  > {
  readonly chain?: readonly string[]
  readonly roots?: readonly string[]
}

/** By default: the element's own certificate, under the root that is configured. */
export function verify(bytes: Uint8Array, asked: Asked = {}): Verdict {
  const { chain = ['leaf'], roots = ['root'], ...rest } = asked
  return verifyAtecc608(bytes, {
    nonce: fromHex(vectors.nonce),
    publicKey: fromHex(vectors.publicKey),
    certificates: chain.map(der),
    roots: roots.map((name) => parseCertificate(der(name))),
    makerKeys: [],
    at: parseRfc3339(vectors.time) ?? 0,
    isDemo: false,
    crypto: nodeCrypto,
    ...rest,
  })
}

/** The code of the refusal, or `level n`. */
export function outcome(bytes: Uint8Array, asked: Asked = {}): string {
  try {
    return `level ${verify(bytes, asked).level}`
  } catch (error) {
    if (error instanceof PeerError) return error.code
    throw error
  }
}

/** What a manifest of a part with a known attestation slot says of its slot 1. */
export const makerKey: MakerKey = {
  serial: vectors.serial,
  slot: vectors.attestationSlot,
  point: fromHex(vectors.attestationKey),
  partNumber: 'ATECC608B-TNGTLSU-B',
  signer: 'ab'.repeat(32),
  isEmulated: false,
}
