/** What the tests of codec and X.509 syntax share: vectors, foreign programs, refusals, seeds. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { parsePem } from '@countersign/core/codec'
import { PeerError } from '@countersign/core/errors'
import type { Signer } from '@countersign/core/ports'

/** Given by SEED, else drawn; printed by fast-check and by the loops here when they fail. */
export const seed: number = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31))
/** Runs of each property: a slice here, more with PROPERTY_RUNS. */
export const runs: number = Number(process.env['PROPERTY_RUNS'] ?? 200)

/** The call throws a PeerError of this code, at this place of the input if one is named. */
export function refuses(
  call: () => unknown,
  code: string | RegExp,
  where?: string | RegExp,
  context = '',
): PeerError {
  let thrown: unknown
  try {
    call()
  } catch (error) {
    thrown = error
  }
  assert.ok(thrown instanceof PeerError, `expected ${code}, got ${String(thrown)} ${context}`)
  if (typeof code === 'string') assert.equal(thrown.code, code, thrown.message)
  else assert.match(thrown.code, code)
  if (typeof where === 'string') assert.equal(thrown.where, where)
  else if (where !== undefined) assert.match(thrown.where ?? '', where)
  return thrown
}

/** The call returns or throws a PeerError; anything else is our fault. */
export function neverCrashes(call: () => unknown, context: string): boolean {
  try {
    call()
    return true
  } catch (error) {
    if (error instanceof PeerError) return false
    throw new Error(`not a PeerError (${context}, seed ${seed})`, { cause: error })
  }
}

const vectors = new URL('../../../../vectors/', import.meta.url)

export function vectorFile(name: string): string {
  return readFileSync(new URL(name, vectors), 'utf8')
}

export interface AppendixCase {
  readonly id: string
  readonly title: string
  readonly bytes: number
  readonly der: Uint8Array
}

interface AppendixFile {
  readonly cases: readonly (Omit<AppendixCase, 'der'> & { readonly der: string })[]
}

/** Certificates and CRL of RFC 5280 Appendix C. */
export function appendixC(): readonly AppendixCase[] {
  const file: AppendixFile = JSON.parse(vectorFile('rfc5280-appendix-c.json'))
  return file.cases.map((one) => ({ ...one, der: new Uint8Array(Buffer.from(one.der, 'base64')) }))
}

export interface LimboCase {
  readonly id: string
  readonly expected_result: 'SUCCESS' | 'FAILURE'
  readonly trusted_certs: readonly string[]
  readonly untrusted_intermediates: readonly string[]
  readonly peer_certificate: string
  readonly crls?: readonly string[]
}

export function limboCases(): readonly LimboCase[] {
  const file: { readonly testcases: readonly LimboCase[] } = JSON.parse(
    vectorFile('limbo-rfc5280-subset.json'),
  )
  return file.testcases
}

/** Every certificate of a limbo case as DER. */
export function limboCertificates(one: LimboCase): readonly Uint8Array[] {
  const texts = [...one.trusted_certs, ...one.untrusted_intermediates, one.peer_certificate]
  return texts.flatMap((text) => parsePem(text).map(({ der }) => der))
}

/** `{ skip: reason }` when OpenSSL is missing; a failure when PEERS=required. */
export function needsOpenssl(): { skip: string | false } {
  const found = spawnSync('openssl', ['version']).status === 0
  if (found) return { skip: false }
  assert.notEqual(process.env['PEERS'], 'required', 'PEERS=required, and there is no openssl here')
  return { skip: 'no openssl on this machine' }
}

export function openssl(arguments_: readonly string[], input?: Uint8Array | string): Buffer {
  return execFileSync('openssl', arguments_, { input, stdio: ['pipe', 'pipe', 'pipe'] })
}

/** What OpenSSL writes, as plain bytes. */
export function opensslBytes(arguments_: readonly string[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(openssl(arguments_))
}

/** A folder that goes when the file's tests are over. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-x509-'))
  after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export interface TestSigner extends Signer {
  readonly privateKey: KeyObject
}

/** A P-256 key of Node behind the signer port. */
export function p256Signer(encoding: 'der' | 'p1363' = 'der'): TestSigner {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const dsaEncoding = encoding === 'der' ? 'der' : 'ieee-p1363'
  return {
    scheme: { kind: 'ecdsa', hash: 'sha256', encoding },
    spki: new Uint8Array(publicKey.export({ type: 'spki', format: 'der' })),
    privateKey,
    sign: async (message) =>
      new Uint8Array(sign('sha256', message, { key: privateKey, dsaEncoding })),
  }
}
