/**
 * Fuzzes the parser of OCSP responses, and the judgement of a staple behind it with every signature
 * taken for good, so that all rules are reached. `node fuzz/ocsp.ts --seconds N --seed S`
 */
import { checkStaple, parseOcspResponse } from '@countersign/core/credential'
import type { Crypto } from '@countersign/core/ports'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { answeredAt, leafAndIssuer, ocspResponses } from './corpus.ts'
import { each, fuzz } from './fuzz.ts'

const credulous: Crypto = {
  hash: (name, data) => nodeCrypto.hash(name, data),
  importPublicKey: (spki, algorithm) => ({ spki, algorithm }),
  verify: () => true,
}
const [leaf, issuer] = leafAndIssuer()

fuzz('ocsp', await ocspResponses(), (staple) => {
  each([
    () => parseOcspResponse(staple),
    () => checkStaple({ leaf, issuer, staple, at: answeredAt }, credulous),
  ])
})
