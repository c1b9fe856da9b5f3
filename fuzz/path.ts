/**
 * Fuzzes the judge of chains behind the parser: a stranger's certificate as leaf, as intermediate
 * and as anchor, with every signature taken for good, so that all rules are reached. `node
 * fuzz/path.ts --seconds N --seed S`
 */
import {
  type Certificate,
  parseCertificate,
  purposes,
  validatePath,
} from '@countersign/core/credential'
import { PeerError } from '@countersign/core/errors'
import type { Crypto } from '@countersign/core/ports'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { certificates } from './corpus.ts'
import { each, fuzz } from './fuzz.ts'

const credulous: Crypto = {
  hash: (name, data) => nodeCrypto.hash(name, data),
  importPublicKey: (spki, algorithm) => ({ spki, algorithm }),
  verify: () => true,
}
const corpus = certificates()
const bag = corpus.flatMap((der) => {
  try {
    return [parseCertificate(der)]
  } catch (error) {
    if (error instanceof PeerError) return []
    throw error
  }
})
const at = Date.UTC(2026, 10, 23)
const extKeyUsage = { oid: purposes.serverAuth, explicit: false }

fuzz('path', corpus, (input) => {
  const certificate = parseCertificate(input)
  const name = { kind: 'DNS', value: 'example.com' } as const
  const asked = [
    { leaf: certificate, intermediates: bag, anchors: bag.slice(0, 40), extKeyUsage, name },
    { leaf: certificate, intermediates: [], anchors: [certificate], asCa: true },
    { leaf: childOf(certificate), intermediates: [certificate], anchors: bag.slice(0, 40) },
    { leaf: childOf(certificate), intermediates: [], anchors: [certificate], extKeyUsage },
  ]
  each(asked.map((request) => () => validatePath({ crls: [], at, ...request }, credulous)))
})

/** Some sound leaf that names this certificate as its issuer. */
function childOf(issuer: Certificate): Certificate {
  const child = bag.find(({ extensions }) => extensions.basicConstraints?.ca !== true) ?? issuer
  return { ...child, issuer: issuer.subject }
}
