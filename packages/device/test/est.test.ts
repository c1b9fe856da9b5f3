import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fromHex } from '@countersign/core/codec'
import {
  attributeOid,
  createCertificate,
  encodeBasicConstraints,
  encodeCertsOnly,
  encodeName,
  encodeSubjectAltName,
  macAddressName,
  parseCertificateRequest,
  serialNumberOf,
} from '@countersign/core/credential'
import { elementSigner, spkiOfPoint } from '@countersign/element/signer'
import { openSoftwareElement } from '@countersign/element/software'
import type { Answer, Question } from '../src/connect.ts'
import { type EnrollRequest, simpleEnroll } from '../src/est.ts'
import { Later } from '../src/retry.ts'

/**
 * What a device does with the answers of a server that it trusts, and that is wrong all the same.
 */
const folder = await mkdtemp(join(tmpdir(), 'countersign-est-'))
after(() => rm(folder, { recursive: true }))
const element = await openSoftwareElement(join(folder, 'element.json'))
for (const slot of [0, 1, 2]) await element.generateKey(slot)
const issuer = await elementSigner(element, 2)

const request: EnrollRequest = {
  operation: 'simpleenroll',
  element,
  slot: 0,
  subject: [{ type: attributeOid.serialNumber, value: 'SN-1' }],
  altNames: [],
  token: 'secret',
}

const eui64 = fromHex('0200000000000001')
const anotherEui64 = fromHex('0200000000000002')

async function certificate(
  slot: number,
  serial: string,
  extensions: readonly Uint8Array[] = [encodeBasicConstraints(false)],
): Promise<Uint8Array> {
  return await createCertificate(
    {
      serial: Uint8Array.of(1),
      issuer: encodeName([{ type: attributeOid.commonName, value: 'CA' }]),
      subject: encodeName([{ type: attributeOid.serialNumber, value: serial }]),
      notBefore: 0,
      notAfter: 86_400_000,
      spki: spkiOfPoint(await element.publicKey(slot)),
      extensions,
    },
    issuer,
  )
}

function answering(
  status: number,
  body: string,
  headers = {},
): { asked: Question[]; ask: (question: Question) => Promise<Answer> } {
  const asked: Question[] = []
  return {
    asked,
    ask: async (question) => {
      asked.push(question)
      return { status, headers, body: Buffer.from(body) }
    },
  }
}

const inBase64 = (der: Uint8Array): string => Buffer.from(der).toString('base64')

test('the request carries the token, and is signed by the key that it names', async () => {
  const ours = await certificate(0, 'SN-1')
  const other = await certificate(2, 'CA')
  // With line breaks, as RFC 7030 servers write them, and with the CA in front.
  const body = inBase64(encodeCertsOnly([other, ours])).replace(/.{64}/g, '$&\r\n')
  const server = answering(200, body)
  const pem = await simpleEnroll(server, request)
  assert.equal(pem.match(/BEGIN CERTIFICATE/g)?.length, 2)
  assert.ok(pem.startsWith('-----BEGIN CERTIFICATE-----\n' + inBase64(ours).slice(0, 64)))
  const [question] = server.asked
  assert.equal(
    question?.headers?.['authorization'],
    `Basic ${Buffer.from('token:secret').toString('base64')}`,
  )
  const text = Buffer.from(question?.body ?? []).toString()
  const csr = parseCertificateRequest(Buffer.from(text, 'base64'))
  assert.equal(serialNumberOf(csr.subject), 'SN-1')
  assert.deepEqual(Buffer.from(csr.spki.der), Buffer.from(spkiOfPoint(await element.publicKey(0))))
})

const wrong: Readonly<Record<string, () => Promise<string>>> = {
  nothing: async () => '',
  'no base64': async () => '<html>hello</html>',
  'no PKCS#7': async () => inBase64(await certificate(0, 'SN-1')),
  'a certificate for another key': async () =>
    inBase64(encodeCertsOnly([await certificate(1, 'SN-1')])),
  'a certificate for another device': async () =>
    inBase64(encodeCertsOnly([await certificate(0, 'SN-2')])),
  'no certificate inside': async () =>
    inBase64(encodeCertsOnly([(await certificate(0, 'SN-1')).with(4, 0)])),
  'a certificate that makes the device a CA': async () =>
    inBase64(encodeCertsOnly([await certificate(0, 'SN-1', [encodeBasicConstraints(true)])])),
  'a certificate with two EUI-64': async () =>
    inBase64(
      encodeCertsOnly([
        await certificate(0, 'SN-1', [
          encodeSubjectAltName([macAddressName(eui64), macAddressName(anotherEui64)]),
        ]),
      ]),
    ),
  'a cut answer': async () =>
    inBase64(encodeCertsOnly([await certificate(0, 'SN-1')])).slice(0, -40),
  'bytes behind the answer': async () =>
    inBase64(Buffer.concat([encodeCertsOnly([await certificate(0, 'SN-1')]), Buffer.of(0)])),
}

for (const [what, body] of Object.entries(wrong)) {
  test(`an answer that is ${what} is not taken`, async () => {
    await assert.rejects(simpleEnroll(answering(200, await body()), request), {
      code: 'ERR_CERT_MISMATCH',
    })
  })
}

async function naming(...extensions: Uint8Array[]): Promise<ReturnType<typeof answering>> {
  return answering(200, inBase64(encodeCertsOnly([await certificate(0, 'SN-1', extensions)])))
}

test('a certificate that names another EUI-64 than was asked for, or none, is not taken', async () => {
  const named: EnrollRequest = { ...request, altNames: [macAddressName(eui64)] }
  const mismatch = { code: 'ERR_CERT_MISMATCH' }
  const other = await naming(encodeSubjectAltName([macAddressName(anotherEui64)]))
  await assert.rejects(simpleEnroll(other, named), mismatch)
  await assert.rejects(simpleEnroll(await naming(), named), mismatch)
  const right = await naming(encodeSubjectAltName([macAddressName(eui64)]))
  await simpleEnroll(right, named)
  // Not asked for: the server has chosen.
  await simpleEnroll(other, request)
})

test('a refusal says what the server said, and a full server is asked again', async () => {
  const problem = JSON.stringify({ code: 'ERR_TOKEN_SPENT', detail: 'it is used up', hint: 'Ask.' })
  await assert.rejects(simpleEnroll(answering(401, problem), request), {
    code: 'ERR_ENROLL_REFUSED',
    message: /it is used up/,
    hint: 'Ask.',
    details: { status: 401, code: 'ERR_TOKEN_SPENT' },
  })
  const renewal: EnrollRequest = { ...request, operation: 'simplereenroll', token: undefined }
  const refusing = answering(403, '')
  await assert.rejects(simpleEnroll(refusing, renewal), { code: 'ERR_RENEW_REFUSED' })
  assert.equal(refusing.asked[0]?.headers?.['authorization'], undefined)
  const full = (): ReturnType<typeof answering> => answering(503, '', { 'retry-after': '3' })
  for (const [asked, message] of [
    [request, /cannot enrol this device now/],
    [renewal, /cannot renew the certificate now/],
  ] as const) {
    await assert.rejects(simpleEnroll(full(), asked), (error) => {
      assert.ok(error instanceof Later)
      assert.equal(error.afterMs, 3000)
      assert.match(error.message, message)
      assert.match(error.hint ?? '', /in 3 seconds/)
      return true
    })
  }
})
