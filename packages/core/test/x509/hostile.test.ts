/**
 * Hostile bytes for every parser: each bit flipped, each length cut, bombs, and a slice of what the
 * fuzzers do for hours (FUZZ_RUNS inputs each; `node fuzz/<parser>.ts` for more). A parser answers
 * with a value or a PeerError, and quickly.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { der, fromHex, fromUtf8, parsePem, pem, tag } from '@countersign/core/codec'
import {
  createCertificate,
  createCertificateRequest,
  encodeBasicConstraints,
  encodeCrlDistributionPoint,
  encodeCrlNumber,
  encodeExtension,
  encodeExtKeyUsage,
  encodeKeyUsage,
  encodeNameConstraints,
  encodeSubjectAltName,
  euiFromCertificate,
  extensionOid,
  formatName,
  macAddressName,
  parseCertificate,
  parseCertificateList,
  parseCertificateRequest,
  parseCertsOnly,
  parseOcspResponse,
} from '@countersign/core/credential'
import {
  certificates,
  certsOnlyMessages,
  lists,
  ocspResponses,
  requests,
} from '../../../../fuzz/corpus.ts'
import { Dice, mutate } from '../../../../fuzz/mutate.ts'
import { listOf, name, revokedEntry } from './shapes.ts'
import { neverCrashes, p256Signer, refuses, seed } from './support.ts'

const fuzzRuns = Number(process.env['FUZZ_RUNS'] ?? 3000)

/** A certificate with many extensions, signed. */
async function richCertificate(): Promise<Uint8Array> {
  const signer = p256Signer()
  const extensions = [
    encodeBasicConstraints(true, 1),
    encodeKeyUsage(['digitalSignature', 'keyCertSign', 'cRLSign']),
    encodeExtKeyUsage(['1.3.6.1.5.5.7.3.2']),
    encodeSubjectAltName([
      macAddressName(fromHex('0200000000000001')),
      { kind: 'dns', value: 'a.example' },
    ]),
    encodeNameConstraints(
      [{ kind: 'dns', value: 'example' }],
      [{ kind: 'ip', value: fromHex('c0000200ffffff00') }],
    ),
    encodeCrlDistributionPoint(['http://a.example/crl']),
  ]
  const serial = fromHex('0102030405')
  return createCertificate(
    {
      serial,
      issuer: name,
      subject: name,
      notBefore: 0,
      notAfter: 86_400_000,
      spki: signer.spki,
      extensions,
    },
    signer,
  )
}

async function richList(): Promise<Uint8Array> {
  const reason = encodeExtension(extensionOid.reasonCode, false, fromHex('0a0101'))
  const revoked = der.sequence(revokedEntry(300, [reason]), revokedEntry(5))
  return listOf({ revoked, extensions: [encodeCrlNumber(7)] })
}

async function richRequest(): Promise<Uint8Array> {
  const altNames = [
    macAddressName(fromHex('0200000000000001')),
    { kind: 'uri', value: 'urn:a:b' },
  ] as const
  return createCertificateRequest({
    subject: [{ type: '2.5.4.5', value: 'A' }],
    altNames,
    signer: p256Signer(),
  })
}

/** The one with a certificate and several answers. */
async function richResponse(): Promise<Uint8Array> {
  const responses = await ocspResponses()
  return responses.toSorted((a, b) => b.length - a.length)[0] ?? new Uint8Array()
}

const parsers = [
  { title: 'certificate', whole: richCertificate, parse: useCertificate },
  { title: 'request', whole: richRequest, parse: parseCertificateRequest },
  { title: 'CRL', whole: richList, parse: useList },
  { title: 'response of OCSP', whole: richResponse, parse: parseOcspResponse },
] as const

function useCertificate(bytes: Uint8Array): void {
  const certificate = parseCertificate(bytes)
  formatName(certificate.subject)
  euiFromCertificate(certificate)
}

function useList(bytes: Uint8Array): void {
  parseCertificateList(bytes).findRevoked(Uint8Array.of(5))
}

for (const { title, whole, parse } of parsers) {
  test(`a ${title} with any one bit flipped is read or refused, never a crash`, async () => {
    const bytes = await whole()
    parse(bytes)
    let refused = 0
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const bent = bytes.slice()
      bent[bit >> 3] = (bent[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      if (!neverCrashes(() => parse(bent), `bit ${bit}`)) refused++
    }
    assert.ok(refused > bytes.length, 'flips in tags and lengths are refused')
  })

  test(`a ${title} cut anywhere is refused`, async () => {
    const bytes = await whole()
    for (let length = 0; length < bytes.length; length++) {
      refuses(
        () => parse(bytes.subarray(0, length)),
        'ERR_DER_TRUNCATED',
        undefined,
        `cut at ${length}`,
      )
    }
  })

  test(`a ${title} with a bomb in the place of any octet is read or refused`, async () => {
    const bytes = await whole()
    for (const bomb of ['80', '84ffffffff', '847fffffff', '3080', '00', '1f'].map(fromHex)) {
      for (let at = 0; at < bytes.length; at++) {
        const bent = new Uint8Array(
          Buffer.concat([bytes.subarray(0, at), bomb, bytes.subarray(at + 1)]),
        )
        neverCrashes(() => parse(bent), `bomb at ${at}`)
      }
    }
  })
}

test('deep nesting is refused at once by every parser', () => {
  let nested: Uint8Array = new Uint8Array(0)
  for (let depth = 0; depth < 8000; depth++)
    nested = nested.length > 24_000 ? nested : der.element(tag.sequence, nested)
  for (const parse of [
    parseCertificate,
    parseCertificateRequest,
    parseCertificateList,
    parseCertsOnly,
    parseOcspResponse,
  ]) {
    refuses(() => parse(nested), /ERR_DER/)
    refuses(() => parse(new Uint8Array(30_000).fill(0x30)), /ERR_DER/)
    refuses(() => parse(new Uint8Array(30_000).fill(0xa0)), /ERR_DER/)
    refuses(() => parse(new Uint8Array(0)), 'ERR_DER_TRUNCATED')
  }
})

test('a CRL of a hundred thousand entries is read in its order of time', () => {
  const entry = revokedEntry(5)
  const many = der.elementOf(
    tag.sequence,
    Array.from({ length: 100_000 }, () => entry),
  )
  const started = performance.now()
  const list = parseCertificateList(listOf({ revoked: many }))
  assert.equal(list.entryCount, 100_000)
  assert.equal(list.findRevoked(Uint8Array.of(5))?.reason, undefined)
  // 0.1 s on a quiet machine; a list that is searched by comparing all with all would take minutes.
  assert.ok(performance.now() - started < 5000)
})

test('a slice of fuzzing finds nothing', async () => {
  const targets: readonly (readonly [readonly Uint8Array[], (input: Uint8Array) => unknown])[] = [
    [certificates(), useCertificate],
    [await requests(), parseCertificateRequest],
    [await lists(), useList],
    [await ocspResponses(), parseOcspResponse],
    [certsOnlyMessages(), (input) => parseCertsOnly(input).map(parseCertificate)],
    [[Buffer.from(pem('A', new Uint8Array(80)))], (input) => parsePem(fromUtf8(input))],
  ]
  const dice = new Dice(seed)
  for (const [corpus, target] of targets) {
    for (let run = 0; run < fuzzRuns; run++) {
      const input = mutate(dice.pick(corpus), dice, corpus)
      neverCrashes(() => target(input), `run ${run}, ${Buffer.from(input).toString('hex')}`)
    }
  }
})
