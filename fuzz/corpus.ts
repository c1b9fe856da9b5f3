/**
 * What the fuzzers start from: certificates and CRLs of the vectors, and requests, messages and
 * responses made from them.
 */
import { readFileSync } from 'node:fs'
import { der, equalBytes, fromHex, parsePem } from '@countersign/core/codec'
import {
  attributeOid,
  type Certificate,
  createCertificate,
  createCertificateList,
  createCertificateRequest,
  encodeAuthorityKeyId,
  encodeCertsOnly,
  encodeCrlNumber,
  encodeExtension,
  encodeExtKeyUsage,
  encodeKeyUsage,
  encodeName,
  hardwareModuleName,
  macAddressName,
  ocspOid,
  parseCertificate,
} from '@countersign/core/credential'
import type { Signer } from '@countersign/core/ports'
import {
  type AnswerShape,
  answer,
  byKey,
  byName,
  certId,
  good,
  ocspResponse,
  type ResponseShape,
  refusal,
  revoked,
  unknown,
} from './ocspResponses.ts'

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

/** A leaf of the vectors with its issuer, for responses that are about somebody. */
export function leafAndIssuer(): readonly [Certificate, Certificate] {
  for (const { trusted_certs, peer_certificate } of limbo.testcases) {
    const [issuer, leaf] = ders([...trusted_certs.slice(0, 1), peer_certificate])
    if (issuer === undefined || leaf === undefined) continue
    const pair = [parseCertificate(leaf), parseCertificate(issuer)] as const
    if (equalBytes(pair[0].issuer.der, pair[1].subject.der)) return pair
  }
  throw new Error('no leaf in the vectors is directly under its anchor')
}

/** Within the dates of the answers below. */
export const answeredAt: number = 1_750_000_000_000

/** OCSP responses about that leaf: by name and by key, of each status, with all that is optional. */
export async function ocspResponses(): Promise<readonly Uint8Array[]> {
  const [leaf, issuer] = leafAndIssuer()
  const delegate = await delegateOf(issuer)
  const times = { thisUpdate: answeredAt - 1000, nextUpdate: answeredAt + 1000 }
  const of = (status: Uint8Array, more: Partial<AnswerShape> = {}): Uint8Array =>
    answer({ certId: certId(leaf, issuer), status, ...times, ...more })
  const extensions = [encodeExtension('1.3.6.1.5.5.7.48.1.2', false, der.octetString(leaf.serial))]
  const producedAt = answeredAt
  const shapes: readonly ResponseShape[] = [
    { responder: byName(issuer), producedAt, answers: [of(good)] },
    { responder: byKey(issuer), producedAt, answers: [of(revoked(answeredAt, 1))], extensions },
    {
      responder: byKey(leaf),
      producedAt,
      answers: [of(unknown, { extensions }), of(revoked(answeredAt), { nextUpdate: undefined })],
      certificates: [leaf.der, issuer.der],
    },
    {
      responder: byName(delegate),
      producedAt,
      answers: [of(good, { certId: certId(leaf, issuer, 'sha256') })],
      certificates: [delegate.der],
    },
  ]
  const made = await Promise.all(shapes.map((shape) => ocspResponse(shape, noise)))
  return [...made, refusal(3)]
}

async function delegateOf(issuer: Certificate): Promise<Certificate> {
  const made = await createCertificate(
    {
      serial: Uint8Array.of(7),
      issuer: issuer.subject.der,
      subject: encodeName([{ type: attributeOid.commonName, value: 'responder' }]),
      notBefore: answeredAt - 1000,
      notAfter: answeredAt + 1000,
      spki: noise.spki,
      extensions: [
        encodeExtKeyUsage([ocspOid.ocspSigning]),
        encodeKeyUsage(['digitalSignature']),
        encodeAuthorityKeyId(Uint8Array.of(1)),
      ],
    },
    noise,
  )
  return parseCertificate(made)
}

export function certsOnlyMessages(): readonly Uint8Array[] {
  const some = certificates()
  return [encodeCertsOnly(some.slice(0, 1)), encodeCertsOnly(some.slice(3, 6))]
}
