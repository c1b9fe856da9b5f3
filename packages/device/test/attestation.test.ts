/** What a device sends along when its element can attest, and what it makes of the server's nonce. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { parseAttestationBundle } from '@countersign/core/attestation'
import { fromHex } from '@countersign/core/codec'
import { attributeOid, parseCertificateRequest } from '@countersign/core/credential'
import { elementError, type SecureElement } from '@countersign/core/ports'
import { openSoftwareElement } from '@countersign/element/software'
import type { Answer, Question } from '../src/connect.ts'
import { type EnrollRequest, simpleEnroll } from '../src/est.ts'
import { Later } from '../src/retry.ts'

const folder = await mkdtemp(join(tmpdir(), 'countersign-attest-'))
after(() => rm(folder, { recursive: true }))
const twin = await openSoftwareElement(join(folder, 'element.json'))
await twin.generateKey(0)

const nonce = Buffer.alloc(32, 7)
const evidence = fromHex('300302012a')
const chain = [fromHex('30020500')]

/** A twin that says it can attest. */
function attesting(attest: SecureElement['attest']): SecureElement {
  return {
    info: () => twin.info(),
    state: () => twin.state(),
    slots: () => twin.slots(),
    generateKey: (slot) => twin.generateKey(slot),
    publicKey: (slot) => twin.publicKey(slot),
    sign: (slot, digest) => twin.sign(slot, digest),
    random: (length) => twin.random(length),
    close: () => twin.close(),
    ...(attest === undefined ? {} : { attest }),
  }
}

const asked: { slot: number; nonce: string }[] = []
const chip = attesting(async (slot, given) => {
  asked.push({ slot, nonce: Buffer.from(given).toString('hex') })
  return { format: 'atecc608-internal-sign', evidence, chain }
})

function requestOf(element: SecureElement, token: string | undefined = 'secret'): EnrollRequest {
  return {
    operation: token === undefined ? 'simplereenroll' : 'simpleenroll',
    element,
    slot: 0,
    subject: [{ type: attributeOid.serialNumber, value: 'SN-1' }],
    altNames: [],
    token,
  }
}

/** Answers the nonce so, and refuses the enrolment: what was asked is what counts. */
function server(status: number, body: string, headers = {}) {
  const questions: Question[] = []
  return {
    questions,
    ask: async (question: Question): Promise<Answer> => {
      questions.push(question)
      return question.path.startsWith('/v1/')
        ? { status, headers, body: Buffer.from(body) }
        : { status: 403, headers: {}, body: Buffer.from('{}') }
    },
  }
}

const good = JSON.stringify({ nonce: nonce.toString('base64url'), expires: 'soon' })

function attestationIn(question: Question | undefined): Uint8Array | undefined {
  const text = Buffer.from(question?.body ?? []).toString()
  return parseCertificateRequest(new Uint8Array(Buffer.from(text, 'base64'))).attestation
}

test('the nonce is asked for with the token, and the statement over it travels in the request', async () => {
  const there = server(200, good)
  await assert.rejects(simpleEnroll(there, requestOf(chip)), { code: 'ERR_ENROLL_REFUSED' })
  const [first, second] = there.questions
  assert.deepEqual([first?.method, first?.path], ['POST', '/v1/attestation/nonce'])
  const authorization = `Basic ${Buffer.from('token:secret').toString('base64')}`
  assert.equal(first?.headers?.['authorization'], authorization)
  assert.deepEqual(asked.pop(), { slot: 0, nonce: nonce.toString('hex') })
  const bundle = parseAttestationBundle(attestationIn(second) ?? new Uint8Array())
  // 2.25.<the project's UUID>.16
  const type = '2.25.70566220933101651007110555231231935521.16'
  assert.deepEqual(bundle, { statements: [{ type, statement: evidence }], certificates: chain })
})

test('a renewal asks with its connection alone', async () => {
  const there = server(200, good)
  const renewal = { ...requestOf(chip), operation: 'simplereenroll', token: undefined } as const
  await assert.rejects(simpleEnroll(there, renewal), { code: 'ERR_RENEW_REFUSED' })
  assert.equal(there.questions[0]?.headers?.['authorization'], undefined)
  assert.ok(attestationIn(there.questions[1]))
})

test('an element that cannot attest asks for nothing', async () => {
  const there = server(200, good)
  await assert.rejects(simpleEnroll(there, requestOf(twin)), { code: 'ERR_ENROLL_REFUSED' })
  assert.equal(there.questions.length, 1)
  assert.equal(attestationIn(there.questions[0]), undefined)
})

test('a chip that has no key for it enrols without, and one that fails does not', async () => {
  const blank = attesting(() =>
    Promise.reject(elementError('ERR_ELEMENT_UNSUPPORTED', 'no key that only attests')),
  )
  const there = server(200, good)
  await assert.rejects(simpleEnroll(there, requestOf(blank)), { code: 'ERR_ENROLL_REFUSED' })
  assert.equal(attestationIn(there.questions[1]), undefined)
  const broken = attesting(() => Promise.reject(elementError('ERR_ELEMENT_BUS', 'no answer')))
  await assert.rejects(simpleEnroll(server(200, good), requestOf(broken)), {
    code: 'ERR_ELEMENT_BUS',
  })
})

test('a server without nonces gets a request without evidence', async () => {
  const there = server(404, '')
  await assert.rejects(simpleEnroll(there, requestOf(chip)), { code: 'ERR_ENROLL_REFUSED' })
  assert.equal(attestationIn(there.questions[1]), undefined)
})

test('a refusal of the nonce is the refusal of the enrolment; a busy server is asked again', async () => {
  const problem = JSON.stringify({ code: 'ERR_TOKEN_EXPIRED', detail: 'token 1 has expired' })
  await assert.rejects(simpleEnroll(server(401, problem), requestOf(chip)), (error) => {
    assert.ok(error instanceof Error && error.message.includes('token 1 has expired'))
    return true
  })
  for (const status of [429, 503]) {
    await assert.rejects(simpleEnroll(server(status, '{}'), requestOf(chip)), Later)
  }
})

test('what is no nonce of 32 bytes is never signed', async () => {
  const wrong = [
    '',
    '{}',
    '[]',
    '{"nonce":7}',
    JSON.stringify({ nonce: nonce.subarray(1).toString('base64url') }),
    JSON.stringify({ nonce: `${nonce.toString('base64url')}=` }),
    JSON.stringify({ nonce: nonce.toString('hex') }),
  ]
  for (const body of wrong) {
    await assert.rejects(simpleEnroll(server(200, body), requestOf(chip)), {
      code: 'ERR_SERVER_ANSWER',
    })
  }
  assert.equal(asked.length, 1)
})
