/** OCSPResponse (RFC 6960 §4.2.1) to the letter: each rule of the parser, broken once. */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { contextConstructed, der, fromHex, tag } from '@countersign/core/codec'
import { encodeExtension, parseOcspResponse, x509Limits } from '@countersign/core/credential'
import {
  answer,
  byKey,
  byName,
  certId,
  enumerated,
  good,
  ocspResponse,
  type ResponseShape,
  refusal,
  responseData,
  responseOf,
  revoked,
  statusWithContent,
  wrapped,
} from '../../../../fuzz/ocspResponses.ts'
import { constructed, elementAt, written } from '../x509/derTree.ts'
import { refuses } from '../x509/support.ts'
import { at, type House, house } from './ocspWorld.ts'
import { day } from './world.ts'

let home: House
let id: Uint8Array
let usual: ResponseShape

const ecdsaSha256 = der.sequence(der.oid('1.2.840.10045.4.3.2'))

before(async () => {
  home = await house()
  id = certId(home.leaf.certificate, home.ca.certificate)
  const responder = byName(home.ca.certificate)
  usual = { responder, producedAt: at, answers: [answer({ certId: id, thisUpdate: at })] }
})

/** A response with noise for a signature: the parser checks none. */
function response(more: Partial<ResponseShape> = {}): Uint8Array {
  const shape = { ...usual, ...more }
  return responseOf(responseData(shape), ecdsaSha256, Uint8Array.of(1), shape.certificates)
}

/** A response with one answer that consists of these parts. */
function answered(...parts: readonly Uint8Array[]): Uint8Array {
  return response({ answers: [der.sequence(...parts)] })
}

function syntax(bytes: Uint8Array, where: string, code = 'ERR_X509_SYNTAX'): void {
  refuses(() => parseOcspResponse(bytes), code, where)
}

test('a response is read with all that it says', async () => {
  const extension = encodeExtension('2.25.1', false, der.nullValue())
  const critical = encodeExtension('2.25.2', true, der.nullValue())
  const shape: ResponseShape = {
    responder: byKey(home.delegate.certificate),
    producedAt: Date.UTC(2026, 0, 2, 3, 4, 5),
    answers: [
      answer({ certId: id, thisUpdate: at, nextUpdate: at + day, extensions: [critical] }),
      answer({ certId: id, thisUpdate: at, status: revoked(at - day, 5) }),
    ],
    extensions: [extension, critical],
    certificates: [home.delegate.certificate.der, home.ca.certificate.der],
  }
  const parsed = parseOcspResponse(await ocspResponse(shape, home.delegate.signer))
  assert.equal(parsed.status, 'successful')
  const { basic } = parsed
  assert.deepEqual(basic.tbs, responseData(shape))
  assert.equal(basic.producedAt, Date.UTC(2026, 0, 2, 3, 4, 5))
  assert.equal(basic.responder.kind, 'key')
  assert.deepEqual(basic.unknownCritical, ['2.25.2'])
  assert.deepEqual(
    basic.extensions.map(({ oid }) => oid),
    ['2.25.1', '2.25.2'],
  )
  const [first, second] = basic.responses
  assert.deepEqual(first?.unknownCritical, ['2.25.2'])
  assert.equal(first.nextUpdate, at + day)
  assert.deepEqual(second?.certStatus, {
    kind: 'revoked',
    at: at - day,
    reason: 'cessationOfOperation',
  })
  assert.deepEqual(second.unknownCritical, [])
  assert.deepEqual(
    basic.certificates.map((one) => one.der),
    shape.certificates,
  )
})

test('each refusal of a responder is read by its name', () => {
  const names = ['malformedRequest', 'internalError', 'tryLater', 'sigRequired', 'unauthorized']
  const read = [1, 2, 3, 5, 6].map((status) => parseOcspResponse(refusal(status)).status)
  assert.deepEqual(read, names)
  assert.deepEqual(parseOcspResponse(fromHex('30030a0103')), { status: 'tryLater' })
})

test('a status that is not used is refused', () => {
  syntax(refusal(4), 'ocsp')
  syntax(refusal(7), 'ocsp.responseStatus', 'ERR_DER_VALUE')
  syntax(der.sequence(der.integer(0)), 'ocsp.responseStatus', 'ERR_DER_TAG')
})

test('an answer comes with success, and with nothing else', () => {
  syntax(refusal(0), 'ocsp.responseBytes')
  const bytes = der.explicit(0, der.sequence(der.oid('1.3.6.1.5.5.7.48.1.1'), der.octetString()))
  syntax(der.sequence(enumerated(3), bytes), 'ocsp.responseBytes')
})

test('a response of another type than the basic one is refused', () => {
  const basic = der.sequence(responseData(usual), ecdsaSha256, der.bitString(Uint8Array.of(1)))
  assert.equal(parseOcspResponse(wrapped(basic)).status, 'successful')
  syntax(wrapped(basic, '1.3.6.1.5.5.7.48.1.2'), 'ocsp.responseBytes.responseType')
})

test('nothing may trail, at any level', () => {
  const extensions = [encodeExtension('2.25.1', false, der.nullValue())]
  const status = revoked(at, 1)
  const times = { thisUpdate: at, nextUpdate: at + day }
  const answers = [answer({ certId: id, status, ...times, extensions }), ...usual.answers]
  const certificates = [home.delegate.certificate.der]
  let grown = 0
  for (const responder of [byName(home.ca.certificate), byKey(home.ca.certificate)]) {
    const whole = response({ responder, answers, extensions, certificates })
    parseOcspResponse(whole)
    refuses(() => parseOcspResponse(Buffer.concat([whole, der.nullValue()])), 'ERR_DER_TRAILING')
    const root = elementAt(whole)
    assert.deepEqual(written(root, undefined), whole)
    for (const one of constructed(root)) {
      refuses(() => parseOcspResponse(written(root, one)), /^ERR_(?:DER|X509)_/)
      grown++
    }
  }
  assert.ok(grown > 60, String(grown))
})

function revokedWith(...more: readonly Uint8Array[]): Uint8Array {
  return der.element(contextConstructed(1), der.generalizedTime(at), ...more)
}

test('a version is not written out, neither the first nor another', () => {
  for (const version of [0, 1]) {
    const data = der.sequence(
      der.explicit(0, der.integer(version)),
      usual.responder,
      der.generalizedTime(at),
      der.sequence(...usual.answers),
    )
    const bytes = responseOf(data, ecdsaSha256, Uint8Array.of(1))
    syntax(bytes, 'ocsp.responseBytes.response.version')
  }
})

test('a responder is named by name or by SHA-1', () => {
  const place = 'ocsp.responseBytes.response'
  syntax(response({ responder: der.explicit(2, der.octetString(new Uint8Array(32))) }), place)
  const other = der.explicit(3, der.octetString(new Uint8Array(20)))
  syntax(response({ responder: other }), `${place}.responderID`, 'ERR_DER_TAG')
})

test('a response answers, and not more often than the limit', () => {
  const place = 'ocsp.responseBytes.response.responses'
  syntax(response({ answers: [] }), place)
  const [one] = usual.answers
  assert.ok(one)
  const many = Array.from({ length: x509Limits.ocspResponsesMax + 1 }, () => one)
  assert.equal(parseOcspResponse(response({ answers: many.slice(1) })).status, 'successful')
  syntax(response({ answers: many }), place, 'ERR_X509_LIMIT')
})

test('certificates may be none, not too many, and must be certificates', () => {
  const data = responseData(usual)
  const none = der.explicit(0, der.sequence())
  const signature = der.bitString(Uint8Array.of(1))
  const empty = parseOcspResponse(wrapped(der.sequence(data, ecdsaSha256, signature, none)))
  assert.equal(empty.status, 'successful')
  assert.deepEqual(empty.basic.certificates, [])
  const { der: one } = home.ca.certificate
  const many = Array.from({ length: x509Limits.ocspCertificatesMax + 1 }, () => one)
  const place = 'ocsp.responseBytes.response.certs'
  syntax(response({ certificates: many }), place, 'ERR_X509_LIMIT')
  syntax(response({ certificates: [der.nullValue()] }), `${place}.certificate`, 'ERR_DER_TAG')
  syntax(response({ certificates: [der.sequence()] }), 'certificate', 'ERR_DER_TRUNCATED')
})

test('a response larger than the limit is not read', () => {
  const bytes = new Uint8Array(x509Limits.ocspBytesMax + 1)
  syntax(bytes, 'ocsp', 'ERR_DER_SIZE')
})

test('the hashes of an identifier are as long as their algorithm says', () => {
  const place = 'ocsp.responseBytes.response.responses'
  const { serial } = home.leaf.certificate
  const identifier = (oid: string, octets: number): Uint8Array =>
    der.sequence(
      der.sequence(der.oid(oid)),
      der.octetString(new Uint8Array(octets)),
      der.octetString(new Uint8Array(octets)),
      der.element(tag.integer, serial),
    )
  const time = der.generalizedTime(at)
  syntax(answered(identifier('1.3.14.3.2.26', 32), good, time), place)
  syntax(answered(identifier('2.16.840.1.101.3.4.2.1', 20), good, time), place)
  const unknown = parseOcspResponse(answered(identifier('1.2.3.4', 7), good, time))
  assert.equal(unknown.status, 'successful')
  assert.equal(unknown.basic.responses[0]?.certId.hash, undefined)
})

test('a status is one of three, as it is defined', () => {
  const place = 'ocsp.responseBytes.response.responses'
  const time = der.generalizedTime(at)
  syntax(answered(id, statusWithContent(0), time), `${place}.certStatus`)
  syntax(answered(id, statusWithContent(2), time), `${place}.certStatus`)
  syntax(answered(id, der.nullValue(), time), `${place}.certStatus`, 'ERR_DER_TAG')
  syntax(answered(id, der.explicit(3), time), `${place}.certStatus`, 'ERR_DER_TAG')
  const field = `${place}.revoked.revocationReason`
  syntax(answered(id, revokedWith(der.explicit(0, enumerated(7))), time), field)
  syntax(
    answered(id, revokedWith(der.explicit(0, enumerated(11))), time),
    `${field}.reason`,
    'ERR_DER_VALUE',
  )
})

test('times are GeneralizedTime with seconds and Z', () => {
  const place = 'ocsp.responseBytes.response.responses.thisUpdate'
  syntax(answered(id, good, der.time(at)), place, 'ERR_DER_TAG')
  for (const value of ['202601020304Z', '20260102030405.5Z', '20260102030405+0000']) {
    const time = der.ia5String(value, tag.generalizedTime)
    syntax(answered(id, good, time), place, 'ERR_DER_VALUE')
  }
})

test('extensions are a list with something in it, and nothing twice', () => {
  const place = 'ocsp.responseBytes.response'
  const extension = encodeExtension('2.25.1', false, der.nullValue())
  const time = der.generalizedTime(at)
  const single = `${place}.responses.singleExtensions`
  syntax(answered(id, good, time, der.explicit(1, der.sequence())), single)
  const twice = [extension, extension]
  syntax(answered(id, good, time, der.explicit(1, der.sequence(...twice))), single)
  syntax(response({ extensions: twice }), `${place}.responseExtensions`)
})
