/**
 * x509-limbo (C2SP), the cases of its RFC 5280 part, judged through the batch face of the command.
 * A case is skipped only by vectors/limbo-skips.json, and only while it is really judged otherwise.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { answerLine } from '../../src/verify/batch.ts'

interface LimboName {
  readonly kind: 'DNS' | 'IP' | 'RFC822'
  readonly value: string
}

interface LimboCase {
  readonly id: string
  readonly validation_kind: 'SERVER' | 'CLIENT'
  readonly trusted_certs: readonly string[]
  readonly untrusted_intermediates: readonly string[]
  readonly peer_certificate: string
  readonly validation_time?: string
  readonly signature_algorithms: readonly string[]
  readonly key_usage: readonly string[]
  readonly extended_key_usage: readonly string[]
  readonly expected_result: 'SUCCESS' | 'FAILURE'
  readonly expected_peer_name?: LimboName
  readonly expected_peer_names: readonly LimboName[]
  readonly max_chain_depth?: number
  readonly crls: readonly string[]
}

const limboFile: { readonly testcases: readonly LimboCase[] } = JSON.parse(
  vectorFile('limbo-rfc5280-subset.json'),
)
const { testcases } = limboFile
const skipFile: readonly { readonly id: string; readonly reason: string }[] = JSON.parse(
  vectorFile('limbo-skips.json'),
)
const skips = new Map(skipFile.map((skip) => [skip.id, skip.reason]))
/** Limbo's certificates without a validation time are good from 1970 to 2969. */
const now = Date.UTC(2026, 10, 23)

for (const limbo of testcases) {
  const skipped = skips.get(limbo.id)
  if (skipped === undefined) {
    test(`limbo ${limbo.id} is judged as ${limbo.expected_result}`, () => {
      const answers = ask(limbo)
      const reasons = JSON.stringify(answers)
      const accepted = answers.every((answer) => answer.ok)
      assert.equal(accepted, limbo.expected_result === 'SUCCESS', reasons)
      for (const { ok, code, where, hint } of answers) {
        if (!ok) assert.ok(code?.startsWith('ERR_C') && where !== null && hint !== null, reasons)
      }
    })
  } else {
    test(`limbo ${limbo.id} is skipped: ${skipped}`, () => {
      const accepted = ask(limbo).every((answer) => answer.ok)
      assert.notEqual(
        accepted,
        limbo.expected_result === 'SUCCESS',
        'it is judged as limbo expects: take it out of limbo-skips.json',
      )
    })
  }
}

test('every skipped limbo case exists and no other case is left out', () => {
  const ids = new Set(testcases.map((limbo) => limbo.id))
  assert.equal(ids.size, testcases.length)
  assert.equal(testcases.length, 131)
  for (const id of skips.keys()) assert.ok(ids.has(id), id)
})

/**
 * One line for each expected name. Anything that the batch cannot express fails instead of being
 * dropped.
 */
function ask(limbo: LimboCase): readonly ReturnType<typeof answerLine>['answer'][] {
  assert.deepEqual(limbo.signature_algorithms, [])
  const purpose = limbo.validation_kind === 'SERVER' ? 'server' : 'device'
  const implied = purpose === 'server' ? 'serverAuth' : 'clientAuth'
  assert.ok(limbo.extended_key_usage.every((usage) => usage === implied))
  // digitalSignature is what either purpose is for.
  assert.ok(limbo.key_usage.every((usage) => usage === 'digitalSignature'))
  const peer = limbo.expected_peer_name
  const names = [...(peer === undefined ? [] : [peer]), ...limbo.expected_peer_names]
  const asked = names.length === 0 ? [undefined] : names
  return asked.map((name) => {
    const line = JSON.stringify({
      id: limbo.id,
      anchors: limbo.trusted_certs,
      intermediates: limbo.untrusted_intermediates,
      leaf: limbo.peer_certificate,
      crls: limbo.crls,
      time: limbo.validation_time,
      purpose,
      name: name && { kind: name.kind === 'RFC822' ? 'email' : name.kind, value: name.value },
      depthMax: limbo.max_chain_depth,
    })
    const { answer, judged } = answerLine(line, { crypto: nodeCrypto, now })
    assert.ok(judged, JSON.stringify(answer))
    assert.equal(answer.id, limbo.id)
    return answer
  })
}

function vectorFile(name: string): string {
  return readFileSync(new URL(`../../../../vectors/${name}`, import.meta.url), 'utf8')
}
