/**
 * The batch face: lines that are no questions, texts that are no certificates, and answers in the
 * documented form.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { before, test } from 'node:test'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import {
  answerBatch,
  answerLine,
  type BatchAnswer,
  type BatchResult,
} from '../../src/verify/batch.ts'
import { referenceName, verifyChain } from '../../src/verify/chain.ts'

interface Question {
  readonly id: string
  readonly anchors: readonly string[]
  readonly intermediates: readonly string[]
  readonly leaf: string
  readonly crls: readonly string[]
  readonly time: string
  readonly purpose: string
  readonly name: { readonly kind: string; readonly value: string }
}

const context = { crypto: nodeCrypto, now: Date.UTC(2026, 10, 23) }
let sound: Question

before(() => {
  const file: {
    readonly testcases: readonly {
      readonly id: string
      readonly trusted_certs: readonly string[]
      readonly untrusted_intermediates: readonly string[]
      readonly peer_certificate: string
    }[]
  } = JSON.parse(
    readFileSync(new URL('../../../../vectors/limbo-rfc5280-subset.json', import.meta.url), 'utf8'),
  )
  const limbo = file.testcases.find((one) => one.id === 'webpki::cryptographydotio-chain')
  assert.ok(limbo)
  sound = {
    id: 'a',
    anchors: limbo.trusted_certs,
    intermediates: limbo.untrusted_intermediates,
    leaf: limbo.peer_certificate,
    crls: [],
    time: '2023-07-10T00:00:00Z',
    purpose: 'server',
    name: { kind: 'DNS', value: 'cryptography.io' },
  }
})

function ask(change: Readonly<Record<string, unknown>>): BatchResult {
  return answerLine(JSON.stringify({ ...sound, ...change }), context)
}

test('a good chain is answered with its id and nothing against it', () => {
  const expected: BatchAnswer = { id: 'a', ok: true, code: null, where: null, hint: null }
  assert.deepEqual(ask({}), { answer: expected, judged: true })
})

test('a refusal has a code, a place and a hint', () => {
  const { answer, judged } = ask({ time: '2030-01-01T00:00:00+01:00' })
  assert.ok(judged)
  assert.equal(answer.ok, false)
  assert.match(answer.code ?? '', /^ERR_(CERT|CHAIN)_EXPIRED$/)
  assert.match(answer.where ?? '', /^link \d \(.+\): validity\.notAfter$/)
  assert.ok(answer.hint)
})

test('fields that may be left out may be null too', () => {
  const bare = { id: 7, anchors: sound.anchors, leaf: sound.leaf, time: sound.time }
  const line = (more: object): BatchResult =>
    answerLine(JSON.stringify({ ...bare, ...more }), context)
  const { intermediates } = sound
  const nulls = { crls: null, purpose: null, name: null, depthMax: null }
  assert.deepEqual(line({ intermediates }).answer.ok, true)
  assert.deepEqual(line({ intermediates, ...nulls }).answer, {
    id: 7,
    ok: true,
    code: null,
    where: null,
    hint: null,
  })
  assert.equal(line({ intermediates: null }).answer.code, 'ERR_CHAIN_UNKNOWN_ISSUER')
})

const malformed: readonly [
  says: string,
  change: Readonly<Record<string, unknown>>,
  where: string,
][] = [
  ['no anchors', { anchors: undefined }, 'anchors'],
  ['anchors that are a text', { anchors: 'PEM' }, 'anchors'],
  ['an anchor that is a number', { anchors: [1] }, 'anchors[0]'],
  ['no leaf', { leaf: undefined }, 'leaf'],
  ['an unknown purpose', { purpose: 'email' }, 'purpose'],
  ['an unknown kind of name', { name: { kind: 'URI', value: 'x' } }, 'name.kind'],
  ['a negative depth', { depthMax: -1 }, 'depthMax'],
  ['half a depth', { depthMax: 0.5 }, 'depthMax'],
  ['an id that is a list', { id: [] }, 'id'],
]

for (const [says, change, where] of malformed) {
  test(`a line with ${says} is answered as no question`, () => {
    const { answer, judged } = ask(change)
    assert.equal(judged, false)
    assert.equal(answer.id, where === 'id' ? null : 'a')
    assert.equal(answer.ok, false)
    assert.equal(answer.code, 'ERR_BATCH_LINE')
    assert.equal(answer.where, where)
    assert.ok(answer.hint)
  })
}

test('a time that is none is answered as no question', () => {
  for (const time of ['yesterday', '2023-07-10', '2023-02-30T00:00:00Z', '2023-07-10T00:00:00']) {
    const { answer, judged } = ask({ time })
    assert.equal(judged, false, time)
    assert.equal(answer.where, 'time')
  }
})

test('a line that is no object of JSON is answered without an id', () => {
  for (const line of ['{', 'null', '[]', '"x"', '{"id":', '\u0000']) {
    const { answer, judged } = answerLine(line, context)
    assert.equal(judged, false, line)
    assert.equal(answer.id, null)
    assert.equal(answer.code, 'ERR_BATCH_LINE')
  }
})

test('a text that is no PEM is named', () => {
  const broken = sound.leaf.replace('MII', '!!!')
  for (const [change, where] of [
    [{ leaf: 'hello' }, 'leaf'],
    [{ leaf: '' }, 'leaf'],
    [{ leaf: broken }, 'leaf'],
    [{ anchors: [...sound.anchors, broken] }, 'anchors[1]'],
    [{ intermediates: ['-----BEGIN CERTIFICATE-----'] }, 'intermediates[0]'],
  ] as const) {
    const { answer, judged } = ask(change)
    assert.ok(judged)
    assert.equal(answer.code, 'ERR_CERT_MALFORMED')
    assert.ok(answer.where?.startsWith(where), String(answer.where))
  }
})

test('an intermediate that is no certificate is passed over, and named when it is missed', () => {
  const empty = '-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n'
  assert.equal(ask({ intermediates: [empty, ...sound.intermediates] }).answer.ok, true)
  const { answer } = ask({ intermediates: [empty] })
  assert.equal(answer.code, 'ERR_CERT_MALFORMED')
  assert.match(answer.where ?? '', /^intermediates\[0\]: certificate/)
})

test('a leaf that is no certificate is never replaced by the next one', () => {
  const empty = '-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n'
  const { answer } = ask({ leaf: empty + sound.leaf })
  assert.equal(answer.code, 'ERR_CERT_MALFORMED')
  assert.match(answer.where ?? '', /^leaf/)
})

test('a CRL that cannot be read refuses the chain', () => {
  const crl = '-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n'
  const { answer } = ask({ crls: [crl] })
  assert.equal(answer.code, 'ERR_CRL_UNUSABLE')
  assert.match(answer.where ?? '', /^crls\[0\]/)
  assert.equal(ask({ crls: [sound.leaf] }).answer.code, 'ERR_CRL_UNUSABLE')
})

test('certificates may follow the leaf in its text', () => {
  const leaf = sound.leaf + sound.intermediates.join('')
  assert.equal(ask({ leaf, intermediates: [] }).answer.ok, true)
})

test('lines are cut at newlines wherever the stream is cut, and empty ones are skipped', async () => {
  const text = `\n${JSON.stringify({ ...sound, id: 'ä1' })}\r\n\n{\n${JSON.stringify({ ...sound, id: 'b' })}`
  const bytes = Buffer.from(text)
  for (const size of [1, 7, 1000, bytes.length]) {
    const answers = await all(cut(bytes, size))
    assert.deepEqual(
      answers.map(({ answer, judged }) => [answer.id, answer.ok, judged]),
      [
        ['ä1', true, true],
        [null, false, false],
        ['b', true, true],
      ],
    )
  }
})

test('a line over the limit is answered and passed over without being kept', async () => {
  const chunk = Buffer.alloc(1024 * 1024, 0x20)
  async function* flood(): AsyncGenerator<Uint8Array> {
    for (let index = 0; index <= 64; index++) yield chunk
    yield Buffer.from(`\n${JSON.stringify(sound)}\n`)
  }
  const answers = await all(flood())
  assert.deepEqual(
    answers.map(({ answer, judged }) => [answer.id, answer.code, judged]),
    [
      [null, 'ERR_BATCH_LINE', false],
      ['a', null, true],
    ],
  )
})

function sources(where: string, texts: readonly string[]): { where: string; text: string }[] {
  return texts.map((text) => ({ where, text }))
}

test('one chain is answered with its path', () => {
  const answer = verifyChain(
    {
      leaf: { where: 'leaf.pem', text: sound.leaf },
      anchors: sources('anchors.pem', sound.anchors),
      intermediates: sources('intermediates.pem', sound.intermediates),
      crls: [],
      at: Date.parse(sound.time),
      purpose: 'server',
      name: referenceName('cryptography.io'),
    },
    nodeCrypto,
  )
  assert.deepEqual(
    answer.path.map(({ subject }) => subject.replace(/^.*CN=/, '')),
    ['cryptography.io', 'R3', 'ISRG Root X1'],
  )
  assert.match(answer.path[0]?.fingerprint ?? '', /^[0-9a-f]{64}$/)
})

/** As the command reads a file: one character for each byte. */
function derOf(text: string): string {
  return Buffer.from(text.replace(/-----.*-----|\s/g, ''), 'base64').toString('latin1')
}

test('a file may be DER as well as PEM', () => {
  const [anchor] = sound.anchors
  assert.ok(anchor !== undefined)
  assert.equal(ask({ leaf: derOf(sound.leaf), anchors: [derOf(anchor)] }).answer.ok, true)
  assert.equal(ask({ leaf: `${derOf(sound.leaf)}x` }).answer.code, 'ERR_CERT_MALFORMED')
  const beyond = derOf(sound.leaf).replace(/.$/s, (last) =>
    String.fromCharCode(last.charCodeAt(0) + 256),
  )
  const anchors = [derOf(anchor)]
  assert.equal(ask({ leaf: beyond, anchors }).answer.code, 'ERR_CERT_MALFORMED')
})

test('a name on the command line is taken for what it looks like', () => {
  const kinds = ['a.example', '192.0.2.1', '2001:db8::1', 'a@example.com', '1.example'].map(
    (text) => referenceName(text).kind,
  )
  assert.deepEqual(kinds, ['DNS', 'IP', 'IP', 'email', 'DNS'])
})

async function all(input: AsyncIterable<Uint8Array>): Promise<readonly BatchResult[]> {
  const results: BatchResult[] = []
  for await (const result of answerBatch(input, context)) results.push(result)
  return results
}

async function* cut(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size)
}
