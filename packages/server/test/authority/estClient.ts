/** Asks EST as the https door would, and reads the answers. */
import assert from 'node:assert/strict'
import type { VerifiedPeer } from '@countersign/core/credential'
import { type Certificate, parseCertificate, parseCertsOnly } from '@countersign/core/credential'
import type { EstRequest, EstResponse } from '../../src/ports.ts'
import { type House, hour } from './house.ts'

export const address = '192.0.2.99'

export function basic(token: string, user = 'token'): string {
  return `Basic ${Buffer.from(`${user}:${token}`).toString('base64')}`
}

export function base64(der: Uint8Array): Uint8Array {
  return Buffer.from(Buffer.from(der).toString('base64'))
}

export interface Asked extends Partial<EstRequest> {
  readonly token?: string
  readonly csr?: Uint8Array
}

export function ask(house: House, operation: string, asked: Asked = {}): Promise<EstResponse> {
  const { token, csr, ...rest } = asked
  return house.authority.est({
    method: operation.startsWith('simple') ? 'POST' : 'GET',
    operation,
    contentType: csr === undefined ? undefined : 'application/pkcs10',
    body: csr === undefined ? new Uint8Array(0) : base64(csr),
    authorization: token === undefined ? undefined : basic(token),
    peer: undefined,
    peerAddress: address,
    ...rest,
  })
}

export function bodyOf(answer: EstResponse): Buffer {
  assert.equal(answer.status, 200, String(answer.body))
  return Buffer.from(String(answer.body), 'base64')
}

/** The one certificate of an enrolment. */
export function enrolled(answer: EstResponse): Certificate {
  const certificates = parseCertsOnly(bodyOf(answer))
  assert.equal(certificates.length, 1)
  const [der] = certificates
  assert.ok(der)
  return parseCertificate(der)
}

/** Status and code of a refusal, which must be a problem document with a hint. */
export function refusal(answer: EstResponse): string {
  assert.equal(answer.headers['content-type'], 'application/problem+json')
  const problem: unknown = JSON.parse(String(answer.body))
  assert.ok(typeof problem === 'object' && problem !== null && 'code' in problem)
  assert.ok('hint' in problem && typeof problem.hint === 'string', 'a refusal has a hint')
  assert.ok('status' in problem && problem.status === answer.status)
  return `${answer.status} ${String(problem.code)}`
}

export async function invite(
  house: House,
  invitation: { readonly count?: number; readonly product?: string; readonly serial?: string } = {},
): Promise<string> {
  const { token } = await house.registry.invite({
    product: 'default',
    count: 1,
    expiresAt: house.clock.now() + hour,
    ...invitation,
  })
  return token
}

export async function enrol(
  house: House,
  csr: Uint8Array,
  peer?: VerifiedPeer,
): Promise<Certificate> {
  const token = peer === undefined ? { token: await invite(house) } : { peer }
  return enrolled(await ask(house, 'simpleenroll', { csr, ...token }))
}
