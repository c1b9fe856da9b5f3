/**
 * A house that gives the nonces of the vectors, a device with the key of the vectors, and what a
 * foreign program composed as the words of its element (vectors/make/attestation-atecc608.py).
 */
import { createPrivateKey, type KeyObject } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { encodeAttestationBundle } from '@countersign/core/attestation'
import { fromHex, parseRfc3339 } from '@countersign/core/codec'
import { attributeOid, createCertificateRequest, statementOid } from '@countersign/core/credential'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { softwareSigner } from '@countersign/element/softwareSigner'
import { Manifests } from '../../src/attestation/manifests.ts'
import type { EstResponse } from '../../src/ports.ts'
import { type Asked, ask, basic, bodyOf, invite } from '../authority/estClient.ts'
import { type House, type HouseOptions, makeHouse } from '../authority/house.ts'

interface Vectors {
  readonly time: string
  readonly serial: string
  readonly nonce: string
  readonly slot: number
  readonly privateKey: string
  readonly otherPublicKey: string
  readonly next: {
    readonly nonce: string
    readonly slot: number
    readonly privateKey: string
    readonly evidence: string
  }
  readonly evidence: string
  readonly certificates: Readonly<Record<string, string>>
  readonly wrong: Readonly<Record<string, string>>
  readonly signedByStranger: string
}

function readVectors(name: string): unknown {
  const file = new URL(`../../../../vectors/${name}.json`, import.meta.url)
  return JSON.parse(readFileSync(file, 'utf8'))
}

export const vectors: Vectors = readVectors('attestation-atecc608') as Vectors

export const manifests: {
  readonly signer: string
  readonly stranger: string
  readonly emulatorSigner: string
  readonly serials: readonly [string, string, string]
  readonly privateKeys: { readonly '0': string; readonly '1': string }
  readonly files: Readonly<Record<string, string>>
  readonly hostile: Readonly<Record<string, { readonly code: string; readonly file: string }>>
} = readVectors('manifest') as typeof manifests

export const serial = 'TH-1'

export function keyOf(pkcs8: string): KeyObject {
  return createPrivateKey({ key: Buffer.from(pkcs8, 'hex'), format: 'der', type: 'pkcs8' })
}

export const deviceKey: KeyObject = keyOf(vectors.privateKey)
export const nextKey: KeyObject = keyOf(vectors.next.privateKey)

/** The vectors' nonces in their order, and zeros after them. */
export function nonces(): { bytes(length: number): Uint8Array } {
  const left = [vectors.nonce, vectors.next.nonce]
  return {
    bytes: (length) => {
      const next = left.shift()
      return next === undefined ? new Uint8Array(length).fill(left.length) : fromHex(next)
    },
  }
}

export interface AttestedHouse {
  readonly house: House
  readonly manifests: Manifests
  close(): Promise<void>
}

export async function attestedHouse(
  roots: readonly string[] = ['root'],
  options: HouseOptions = {},
): Promise<AttestedHouse> {
  const now = parseRfc3339(vectors.time) ?? 0
  const house = await makeHouse({ now, random: nonces(), ...options })
  for (const name of roots) {
    await house.registry.addAnchor({ role: 'attestation', der: certificate(name) })
  }
  const { store, clock } = house
  return {
    house,
    manifests: new Manifests({ store, clock, crypto: nodeCrypto }),
    close: () => house.close(),
  }
}

export function certificate(name: string): Uint8Array {
  return fromHex(vectors.certificates[name] ?? '')
}

/** A request of the device that carries this evidence, with the certificates of its signer. */
export function attestedRequest(
  evidence: string,
  {
    key = deviceKey,
    chain = ['leaf'],
    type = statementOid.atecc608InternalSign,
    name = serial,
  } = {},
): Promise<Uint8Array> {
  const statements = [{ type, statement: fromHex(evidence) }]
  const bundle = { statements, certificates: chain.map(certificate) }
  return request(key, encodeAttestationBundle(bundle), name)
}

export function request(
  key: KeyObject = deviceKey,
  attestation?: Uint8Array,
  name: string = serial,
): Promise<Uint8Array> {
  const subject = [{ type: attributeOid.serialNumber, value: name }]
  const signer = softwareSigner(key)
  return createCertificateRequest({
    subject,
    signer,
    ...(attestation === undefined ? {} : { attestation }),
  })
}

export function askNonce(
  house: House,
  asked: Pick<Asked, 'token' | 'peer' | 'method'>,
): Promise<EstResponse> {
  return house.authority.attestationNonce({
    method: asked.method ?? 'POST',
    operation: '',
    contentType: undefined,
    body: new Uint8Array(0),
    authorization: asked.token === undefined ? undefined : basic(asked.token),
    peer: asked.peer,
    peerAddress: '192.0.2.1',
  })
}

/** Nonce, evidence, request: the whole enrolment by a new token. */
export async function enrolAttested(
  house: House,
  csr: Promise<Uint8Array>,
  product = 'default',
): Promise<EstResponse> {
  const token = await invite(house, { product })
  const given = await askNonce(house, { token })
  if (given.status !== 200) bodyOf(given)
  return ask(house, 'simpleenroll', { csr: await csr, token })
}
