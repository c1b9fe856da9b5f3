/**
 * A small authority with a leaf and a delegated responder, at the time of this machine: OpenSSL has
 * no other clock for responses.
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pem } from '@countersign/core/codec'
import { type Certificate, checkStaple, ocspOid } from '@countersign/core/credential'
import { PeerError } from '@countersign/core/errors'
import type { Crypto } from '@countersign/core/ports'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { answer, byName, certId, ocspResponse } from '../../../../fuzz/ocspResponses.ts'
import { day, type Entity, root, type Shape } from './world.ts'

/** Whole seconds, as the times in responses. */
export const at: number = Math.floor(Date.now() / 1000) * 1000

const dates: Shape = { notBefore: at - 10 * day, notAfter: at + 10 * day }
export const signing: Shape = { ...dates, name: 'Responder', extKeyUsage: [ocspOid.ocspSigning] }

export interface House {
  readonly root: Entity
  readonly ca: Entity
  readonly leaf: Entity
  readonly delegate: Entity
}

export async function house(caName = 'Test CA'): Promise<House> {
  const top = await root(dates)
  const ca = await authority(top, { name: caName })
  const leaf = await issue(ca, { name: 'leaf' })
  return { root: top, ca, leaf, delegate: await ca.issue(signing) }
}

export function authority(above: Entity, shape: Shape): Promise<Entity> {
  return above.issue({ ...dates, ca: true, ...shape })
}

export function issue(above: Entity, shape: Shape): Promise<Entity> {
  return above.issue({ ...dates, ...shape })
}

export interface StapleShape {
  /** Whom it is about; the house's leaf. */
  readonly of?: Entity
  /** Who signs; the house's CA. */
  readonly by?: Entity
  readonly responder?: Uint8Array
  /** Certificates beside the answer; the signer's, unless it is the CA. */
  readonly certificates?: readonly Entity[]
  readonly hash?: 'sha1' | 'sha256' | 'sha384'
  readonly certId?: Uint8Array
  readonly status?: Uint8Array
  readonly thisUpdate?: number
  /** `none` leaves it out. */
  readonly nextUpdate?: number | 'none'
  readonly singleExtensions?: readonly Uint8Array[]
  readonly extensions?: readonly Uint8Array[]
  /** Whole answers, instead of the one above. */
  readonly answers?: readonly Uint8Array[]
}

export function answerOf(home: House, shape: StapleShape): Uint8Array {
  const { nextUpdate = at + day } = shape
  return answer({
    certId:
      shape.certId ??
      certId((shape.of ?? home.leaf).certificate, home.ca.certificate, shape.hash ?? 'sha1'),
    ...(shape.status === undefined ? {} : { status: shape.status }),
    thisUpdate: shape.thisUpdate ?? at - day,
    nextUpdate: nextUpdate === 'none' ? undefined : nextUpdate,
    extensions: shape.singleExtensions ?? [],
  })
}

export function stapleOf(home: House, shape: StapleShape = {}): Promise<Uint8Array> {
  const by = shape.by ?? home.ca
  const certificates = shape.certificates ?? (by === home.ca ? [] : [by])
  return ocspResponse(
    {
      responder: shape.responder ?? byName(by.certificate),
      producedAt: at - day,
      answers: shape.answers ?? [answerOf(home, shape)],
      extensions: shape.extensions ?? [],
      certificates: certificates.map(({ certificate }) => certificate.der),
    },
    by.signer,
  )
}

export interface Circumstances {
  readonly leaf?: Entity
  readonly issuer?: Entity
  readonly at?: number
  readonly crypto?: Crypto
}

/** `ok`, or the code and the place of the refusal. */
export function statusVerdict(
  home: House,
  staple: Uint8Array,
  circumstances: Circumstances = {},
): string {
  const refused = statusRefusal(home, staple, circumstances)
  return refused === undefined ? 'ok' : `${refused.code} ${refused.where}`
}

export function statusRefusal(
  home: House,
  staple: Uint8Array,
  circumstances: Circumstances = {},
): PeerError | undefined {
  const leaf = (circumstances.leaf ?? home.leaf).certificate
  const issuer = (circumstances.issuer ?? home.ca).certificate
  const question = { leaf, issuer, staple, at: circumstances.at ?? at }
  try {
    checkStaple(question, circumstances.crypto ?? nodeCrypto)
    return undefined
  } catch (error) {
    assert.ok(error instanceof PeerError, String(error))
    assert.ok(error.where !== undefined && error.hint !== undefined, error.message)
    return error
  }
}

export function certificateFile(folder: string, name: string, certificate: Certificate): string {
  const file = join(folder, `${name}.pem`)
  writeFileSync(file, pem('CERTIFICATE', certificate.der))
  return file
}
