/**
 * Fuzzes manifests of elements: the file as it comes, and the payload of a JWS whose signature always
 * holds. `node fuzz/manifest.ts --seconds N --seed S`
 */
import { readFileSync } from 'node:fs'
import { parseManifest } from '@countersign/core/attestation'
import { fromHex } from '@countersign/core/codec'
import { parseCertificate } from '@countersign/core/credential'
import type { Crypto } from '@countersign/core/ports'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { each, fuzz } from './fuzz.ts'

interface Vectors {
  readonly signer: string
  readonly files: Readonly<Record<string, string>>
  readonly hostile: Readonly<Record<string, { readonly file: string }>>
}
interface Jws {
  readonly payload: string
  readonly protected: string
  readonly signature: string
}

const file = new URL('../vectors/manifest.json', import.meta.url)
const vectors = JSON.parse(readFileSync(file, 'utf8')) as Vectors
const signers = [parseCertificate(fromHex(vectors.signer))]
const crypto: Crypto = { ...nodeCrypto, verify: () => true }

const texts = [
  ...Object.values(vectors.files),
  ...Object.values(vectors.hostile).map((hostile) => hostile.file),
]
const [first] = JSON.parse(vectors.files['version 1'] ?? '[]') as Jws[]
const payloads = Object.values(vectors.files)
  .flatMap((text) => JSON.parse(text) as Jws | Jws[])
  .map(({ payload }) => new Uint8Array(Buffer.from(payload, 'base64url')))

function aroundPayload(payload: Uint8Array): string {
  const header = { uniqueId: '0123010203040506ee' }
  return JSON.stringify({ ...first, header, payload: Buffer.from(payload).toString('base64url') })
}

const corpus = [...texts.map((text) => new Uint8Array(Buffer.from(text))), ...payloads]

fuzz('manifest', corpus, (input) => {
  each([
    () => parseManifest(Buffer.from(input).toString('utf8'), signers, crypto),
    () => parseManifest(aroundPayload(input), signers, crypto),
  ])
})
