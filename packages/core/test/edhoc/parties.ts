/**
 * Handshakes as vectors prescribe them: RFC 9529, vectors/edhoc-x509.json and edhoc-x25519.json. Ephemeral keys are
 * the prescribed ones, and so are ECDSA signatures, where they verify of what is to be signed: Node's
 * own are random.
 */
import assert from 'node:assert/strict'
import { sign } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { CborReader, cbor, fromHex, hex } from '@countersign/core/codec'
import { readCredentialReference } from '@countersign/core/cose'
import { type Certificate, parseCertificate } from '@countersign/core/credential'
import {
  type InitiatorOptions,
  type Method,
  methods,
  type OwnCredential,
  type ResponderOptions,
  suitesOf,
  type TrustedCredential,
  type UsableSuite,
} from '@countersign/core/edhoc'
import type { ChannelCrypto, EphemeralKey, PublicKey, Signer } from '@countersign/core/ports'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { node, type Provider, p256Key, p256Point, pkcs8 } from '../providers.ts'
import { printed, type Trace, traces } from './rfc9529.ts'

export interface Side {
  readonly own: OwnCredential
  readonly trusted: TrustedCredential
}

export interface Script {
  readonly id: string
  readonly method: Method
  readonly suite: UsableSuite
  readonly initiator: InitiatorOptions
  readonly responder: ResponderOptions
  readonly I: Side
  readonly R: Side
  readonly cR: Uint8Array
  /** message_1 to message_4, in hex. */
  readonly messages: readonly [string, string, string, string]
  /** PLAINTEXT_2 and PLAINTEXT_3, in hex. */
  readonly plaintexts: readonly [string, string]
  readonly masterSecret: string
  readonly masterSalt: string
}

interface Vector {
  readonly id: string
  readonly method: number
  readonly suite: number
  readonly pki: string
  readonly X: string
  readonly Y: string
  readonly C_I: string
  readonly C_R: string
  readonly message_1: string
  readonly message_2: string
  readonly message_3: string
  readonly message_4: string
  readonly oscore_master_secret: string
  readonly oscore_master_salt: string
  readonly id_cred: 'x5t' | 'x5chain1'
  readonly intermediate: { readonly PLAINTEXT_2: string; readonly PLAINTEXT_3: string }
}

export interface Certificates {
  readonly cred_i: string
  readonly cred_r: string
  readonly ica: string
}

interface Pki extends Certificates {
  readonly SK_I: string
  readonly SK_R: string
}

interface VectorFile {
  readonly pki: Readonly<Record<string, Pki>>
  readonly vectors: readonly Vector[]
}

function read(name: string): VectorFile {
  const file = new URL(`../../../../vectors/${name}`, import.meta.url)
  return JSON.parse(readFileSync(file, 'utf8'))
}

const files = [read('edhoc-x509.json'), read('edhoc-x25519.json')]
const pkis: ReadonlyMap<string, Pki> = new Map(files.flatMap(({ pki }) => Object.entries(pki)))

/** DER of the certificates of the vectors. */
export function certificatesOf(pki: string): Certificates {
  return pkiOf(pki)
}

function pkiOf(name: string): Pki {
  const found = pkis.get(name)
  assert.ok(found, name)
  return found
}

export function scriptsOn(provider: Provider): readonly Script[] {
  return sources.map((source) => scriptFrom(source, provider))
}

export function scriptOf(id: string, provider: Provider = node): Script {
  const found = sources.find((one) => one.id === id)
  assert.ok(found, id)
  return scriptFrom(found, provider)
}

/** What a script has of its source; bytes in hex. */
interface Source {
  readonly id: string
  readonly method: number
  readonly suite: number
  readonly suitesI: readonly number[]
  readonly ephemeral: { readonly X: string; readonly Y: string }
  readonly cI: string
  readonly cR: string
  readonly sides: Readonly<Record<'I' | 'R', SideSource>>
  readonly messages: Script['messages']
  readonly plaintexts: Script['plaintexts']
  readonly masterSecret: string
  readonly masterSalt: string
}

interface SideSource {
  readonly idCred: string
  readonly credential: Uint8Array
  /** DER; undefined for a claims set. */
  readonly certificate: string | undefined
  readonly privateKey: string
  /** Signature_or_MAC. */
  readonly proof: string
}

const sources: readonly Source[] = [
  ...traces.map(sourceOfTrace),
  ...files.flatMap(({ vectors }) => vectors.map(sourceOfVector)),
]

function sourceOfTrace(trace: Trace): Source {
  const text = (name: string, kind?: string): string => hex(printed(trace, name, kind))
  const sideOf = (side: 'I' | 'R', number: 2 | 3): SideSource => ({
    idCred: text(`ID_CRED_${side}`),
    credential: printed(trace, `CRED_${side}`, 'CBOR Data Item'),
    certificate: trace.suite === 0 ? text(`CRED_${side}`, 'Raw Value') : undefined,
    privateKey: text(`SK_${side}`),
    proof: text(`Signature_or_MAC_${number}`, 'Raw Value'),
  })
  return {
    id: trace.id,
    method: trace.method,
    suite: trace.suite,
    suitesI: trace.suite === 0 ? [0] : [6, 2],
    ephemeral: { X: text('X'), Y: text('Y') },
    cI: text('C_I', 'Raw Value'),
    cR: text('C_R', 'Raw Value'),
    sides: { I: sideOf('I', 3), R: sideOf('R', 2) },
    messages: [text('message_1'), text('message_2'), text('message_3'), text('message_4')],
    plaintexts: [text('PLAINTEXT_2'), text('PLAINTEXT_3')],
    masterSecret: text('OSCORE Master Secret'),
    masterSalt: text('OSCORE Master Salt'),
  }
}

function sourceOfVector(vector: Vector): Source {
  const { cred_i, cred_r, SK_I, SK_R } = pkiOf(vector.pki)
  const { PLAINTEXT_2, PLAINTEXT_3 } = vector.intermediate
  const sideOf = (certificate: string, privateKey: string, plaintext: string): SideSource => ({
    idCred: idCredOf(vector, fromHex(certificate)),
    credential: cbor.byteString(fromHex(certificate)),
    certificate,
    privateKey,
    // Nothing stands behind it in these; of a MAC this is not used.
    proof: plaintext.slice(-128),
  })
  return {
    id: vector.id,
    method: vector.method,
    suite: vector.suite,
    suitesI: [vector.suite],
    ephemeral: vector,
    cI: vector.C_I,
    cR: vector.C_R,
    sides: {
      I: sideOf(cred_i, SK_I, PLAINTEXT_3),
      R: sideOf(cred_r, SK_R, PLAINTEXT_2),
    },
    messages: [vector.message_1, vector.message_2, vector.message_3, vector.message_4],
    plaintexts: [PLAINTEXT_2, PLAINTEXT_3],
    masterSecret: vector.oscore_master_secret,
    masterSalt: vector.oscore_master_salt,
  }
}

/** { 34: [-15, SHA-256/64] } or { 33: certificate } (RFC 9360 §2). */
function idCredOf({ id_cred: kind }: Vector, certificate: Uint8Array): string {
  if (kind === 'x5chain1') return `a11821${hex(cbor.byteString(certificate))}`
  return `a11822822e48${hex(nodeCrypto.hash('sha256', certificate)).slice(0, 16)}`
}

function scriptFrom(source: Source, provider: Provider): Script {
  const { crypto } = provider
  const method = methods.get(source.method)
  const suite = suitesOf(crypto).find(({ number }) => number === source.suite)
  assert.ok(method && suite)
  const { X, Y } = source.ephemeral
  const I = sideFrom(source.sides.I, method.initiator, suite, provider)
  const R = sideFrom(source.sides.R, method.responder, suite, provider)
  return {
    ...source,
    method,
    suite,
    cR: fromHex(source.cR),
    I,
    R,
    initiator: {
      crypto,
      method,
      offer: { suitesI: source.suitesI, suite },
      cI: fromHex(source.cI),
      own: I.own,
      ephemeral: (_, agreements) => ephemeralKey(provider, suite, X, agreements),
    },
    responder: {
      crypto,
      methods: [method.number],
      suites: suitesOf(crypto).filter(({ number }) => number === suite.number),
      ephemeral: (_, agreements) => ephemeralKey(provider, suite, Y, agreements),
    },
  }
}

function sideFrom(
  source: SideSource,
  kind: Side['own']['kind'],
  suite: UsableSuite,
  provider: Provider,
): Side {
  const { credential, certificate, privateKey } = source
  const reader = new CborReader(fromHex(source.idCred), 'ID_CRED')
  const reference = readCredentialReference(reader, 'map', source.idCred)
  const named = { reference, credential }
  const key = certificate === undefined ? undefined : parseCertificate(fromHex(certificate)).spki
  if (kind === 'static key') {
    const g = key === undefined ? xOf(privateKey) : coordinateOf(key)
    return {
      own: {
        ...named,
        kind,
        key: { agree: async (share) => ephemeralKey(provider, suite, privateKey, 1).agree(share) },
      },
      trusted: { credential, kind, g },
    }
  }
  assert.ok(key?.algorithm)
  const publicKey = provider.crypto.importPublicKey(key.der, key.algorithm)
  return {
    own: {
      ...named,
      kind,
      signer: signerOf(provider.crypto, suite, privateKey, publicKey, source.proof),
    },
    trusted: { credential, kind, key: publicKey },
  }
}

function signerOf(
  crypto: ChannelCrypto,
  suite: UsableSuite,
  privateKey: string,
  publicKey: PublicKey,
  prescribed: string,
): Signer {
  const { spki } = publicKey
  if (suite.signature === 'EdDSA') {
    const key = pkcs8(`302e020100300506032b657004220420${privateKey}`)
    return { scheme: { kind: 'ed25519' }, spki, sign: async (data) => sign(null, data, key) }
  }
  const key = p256Key(privateKey)
  const scheme = { kind: 'ecdsa', hash: 'sha256', encoding: 'p1363' } as const
  return {
    scheme,
    spki,
    // Of another message, in tests that change something, a new one.
    sign: async (data) =>
      crypto.verify(publicKey, scheme, data, fromHex(prescribed))
        ? fromHex(prescribed)
        : sign('sha256', data, { key, dsaEncoding: 'ieee-p1363' }),
  }
}

/** A key pair with this private key. */
export function ephemeralKey(
  provider: Provider,
  { curve }: UsableSuite,
  d: string,
  agreements: number,
): EphemeralKey {
  const { group } = curve
  assert.ok(group === 'x25519' || group === 'secp256r1')
  return provider.prescribed(group, d, agreements)
}

/** Of a point its x; a key of X25519 is one coordinate. */
function coordinateOf({ keyBytes, algorithm }: Certificate['spki']): Uint8Array {
  return algorithm?.kind === 'x25519' ? keyBytes.slice() : keyBytes.slice(1, 33)
}

function xOf(d: string): Uint8Array {
  return new Uint8Array(p256Point(d).subarray(1, 33))
}
