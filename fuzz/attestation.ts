/**
 * Fuzzes the bundle of a request, the evidence of an ATECC608, and the verifier with a signature that
 * always holds. `node fuzz/attestation.ts --seconds N --seed S`
 */
import { readFileSync } from 'node:fs'
import {
  encodeAttestationBundle,
  parseAtecc608Evidence,
  parseAttestationBundle,
  verifyAtecc608,
} from '@countersign/core/attestation'
import { fromHex } from '@countersign/core/codec'
import { parseCertificate, statementOid } from '@countersign/core/credential'
import type { Crypto } from '@countersign/core/ports'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { each, fuzz } from './fuzz.ts'

interface Vectors {
  readonly evidence: string
  readonly overRandom: string
  readonly lockedSlot: string
  readonly certificates: Readonly<Record<string, string>>
  readonly wrong: Readonly<Record<string, string>>
}

const file = new URL('../vectors/attestation-atecc608.json', import.meta.url)
const vectors = JSON.parse(readFileSync(file, 'utf8')) as Vectors
const der = (name: string): Uint8Array => fromHex(vectors.certificates[name] ?? '')

const evidences = [
  vectors.evidence,
  vectors.overRandom,
  vectors.lockedSlot,
  ...Object.values(vectors.wrong),
].map(fromHex)
const bundles = evidences.map((statement) =>
  encodeAttestationBundle({
    statements: [{ type: statementOid.atecc608InternalSign, statement }],
    certificates: [der('leaf'), der('middle')],
  }),
)

/** Nothing of the path through the verifier ends at a signature. */
const crypto: Crypto = { ...nodeCrypto, verify: () => true }
const roots = [parseCertificate(der('root'))]

function verify(evidence: Uint8Array, certificates: readonly Uint8Array[]): void {
  const { nonce, publicKey } = parseAtecc608Evidence(evidence)
  const at = Date.UTC(2026, 5, 1)
  const asked = { nonce, publicKey, certificates, roots, makerKeys: [], at, isDemo: false, crypto }
  verifyAtecc608(evidence, asked)
}

fuzz('attestation', [...evidences, ...bundles], (input) => {
  each([
    () => verify(input, [der('leaf')]),
    () => {
      const { statements, certificates } = parseAttestationBundle(input)
      for (const { statement } of statements) verify(statement, certificates)
    },
  ])
})
