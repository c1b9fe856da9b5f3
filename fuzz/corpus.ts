/**
 * What the fuzzers start from: certificates and CRLs of the vectors, and requests and messages made
 * from them.
 */
import { readFileSync } from 'node:fs'
import { der, fromHex, parsePem } from '@countersign/core/codec'
import {
  attributeOid,
  createCertificateList,
  createCertificateRequest,
  encodeCertsOnly,
  encodeCrlNumber,
  encodeName,
  hardwareModuleName,
  macAddressName,
} from '@countersign/core/credential'
import type { Signer } from '@countersign/core/ports'

interface Limbo {
  readonly testcases: readonly {
    readonly trusted_certs: readonly string[]
    readonly peer_certificate: string
    readonly crls?: readonly string[]
  }[]
}
interface AppendixC {
  readonly cases: readonly { readonly id: string; readonly der: string }[]
}

function vector(name: string): string {
  return readFileSync(new URL(`../vectors/${name}`, import.meta.url), 'utf8')
}

const limbo: Limbo = JSON.parse(vector('limbo-rfc5280-subset.json'))
const appendix: AppendixC = JSON.parse(vector('rfc5280-appendix-c.json'))

function appendixCases(list: boolean): readonly Uint8Array[] {
  return appendix.cases
    .filter(({ id }) => (id === 'C.4') === list)
    .map((one) => new Uint8Array(Buffer.from(one.der, 'base64')))
}

function ders(texts: readonly string[]): readonly Uint8Array[] {
  const found = texts.flatMap((text) => parsePem(text).map((block) => block.der))
  return found.filter((bytes) => bytes.length < 4096)
}

/** Certificates: Appendix C, and one root and one leaf of each limbo case. */
export function certificates(): readonly Uint8Array[] {
  const texts = limbo.testcases.flatMap((one) => [
    ...one.trusted_certs.slice(0, 1),
    one.peer_certificate,
  ])
  return [...appendixCases(false), ...ders(texts)]
}

/** No key is needed where nobody verifies. */
const noise: Signer = {
  scheme: { kind: 'ecdsa', hash: 'sha256', encoding: 'der' },
  spki: der.sequence(
    der.sequence(der.oid('1.2.840.10045.2.1'), der.oid('1.2.840.10045.3.1.7')),
    der.bitString(new Uint8Array(65).fill(4)),
  ),
  sign: async () => new Uint8Array(71).fill(1),
}

export async function requests(): Promise<readonly Uint8Array[]> {
  const subject = [{ type: attributeOid.serialNumber, value: 'A-7' }]
  const altNames = [
    macAddressName(fromHex('0200000000000001')),
    hardwareModuleName({ type: '1.3.6.1.4.1.1', serial: fromHex('01') }),
    { kind: 'uri', value: 'urn:dev:mac:0200000000000001' },
    { kind: 'email', value: 'a@b.example' },
    { kind: 'ip', value: fromHex('7f000001') },
  ] as const
  return [
    await createCertificateRequest({ subject, signer: noise }),
    await createCertificateRequest({ subject, altNames, signer: noise }),
  ]
}

export async function lists(): Promise<readonly Uint8Array[]> {
  const entries = Array.from({ length: 20 }, (_, index) => ({
    serial: Uint8Array.of(1 + index, index),
    revokedAt: 1_700_000_000_000 + index * 1000,
    reason: index % 7,
  }))
  const issuer = encodeName([{ type: attributeOid.commonName, value: 'ca' }])
  const dates = { thisUpdate: 1_700_000_000_000, nextUpdate: 1_800_000_000_000 }
  const made = await createCertificateList(
    { issuer, ...dates, entries, extensions: [encodeCrlNumber(7)] },
    noise,
  )
  return [...appendixCases(true), ...ders(limbo.testcases.flatMap(({ crls }) => crls ?? [])), made]
}

export function certsOnlyMessages(): readonly Uint8Array[] {
  const some = certificates()
  return [encodeCertsOnly(some.slice(0, 1)), encodeCertsOnly(some.slice(3, 6))]
}
