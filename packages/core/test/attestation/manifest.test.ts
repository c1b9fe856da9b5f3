/**
 * Manifests of secure elements, signed by a foreign program (vectors/make/manifest.py): what is read
 * of good ones, and what each hostile one is refused for.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { suite, test } from 'node:test'
import { type ManifestElement, manifestLimits, parseManifest } from '@countersign/core/attestation'
import { fromHex, hex } from '@countersign/core/codec'
import { parseCertificate } from '@countersign/core/credential'
import { PeerError } from '@countersign/core/errors'
import { nodeCrypto } from '@countersign/element/nodeCrypto'

interface Vectors {
  readonly signer: string
  readonly stranger: string
  readonly emulatorSigner: string
  readonly serials: readonly [string, string, string]
  readonly points: Readonly<Record<string, string>>
  readonly files: Readonly<Record<string, string>>
  readonly hostile: Readonly<Record<string, { readonly code: string; readonly file: string }>>
  readonly twice: string
}

const file = new URL('../../../../vectors/manifest.json', import.meta.url)
const vectors = JSON.parse(readFileSync(file, 'utf8')) as Vectors
const signers = [parseCertificate(fromHex(vectors.signer))]
const [a, b, c] = vectors.serials

function read(text: string): readonly ManifestElement[] {
  return parseManifest(text, signers, nodeCrypto)
}

function named(name: string): string {
  return vectors.files[name] ?? ''
}

function code(text: string): string {
  try {
    read(text)
    return 'accepted'
  } catch (error) {
    if (error instanceof PeerError) return error.code
    throw error
  }
}

suite('a good manifest', () => {
  test('of version 1 gives the element, its keys by slot, and their chains', () => {
    const [element] = read(named('version 1'))
    assert.equal(element?.serial, a)
    assert.equal(element?.version, 1)
    assert.equal(element?.partNumber, 'ATECC608B-TNGTLSU-B')
    assert.equal(element?.provisioner, 'Example Maker')
    assert.equal(element?.provisionedAt, Date.UTC(2025, 5, 1, 12, 30, 0, 123))
    const keys = element?.keys.map(({ slot, point }) => [String(slot), hex(point)]) ?? []
    assert.deepEqual(Object.fromEntries(keys), vectors.points)
    assert.deepEqual(
      element?.keys.map(({ chain }) => chain.length),
      [2, 0, 0, 0, 0],
    )
  })

  test('of version 2 may be an identity alone', () => {
    const [element] = read(named('version 2, an identity alone'))
    assert.equal(element?.serial, b)
    assert.deepEqual(element?.keys, [])
  })

  test('of version 3, general, or a JWS alone is read alike', () => {
    assert.equal(read(named('version 3'))[0]?.serial, c)
    for (const name of ['general', 'one alone']) assert.equal(read(named(name))[0]?.serial, a)
  })

  test('keeps the JWS as it was written, and the same payload has the same digest in both forms', () => {
    const [flattened] = read(named('three'))
    const [general] = read(named('general'))
    assert.ok(named('three').includes(flattened?.jws ?? 'nothing'))
    assert.notEqual(flattened?.jws, general?.jws)
    assert.equal(flattened?.digest, general?.digest)
    const [other] = read(named('the same element signed of another content'))
    assert.notEqual(other?.digest, flattened?.digest)
  })

  test('of an emulator’s works says so', () => {
    const emulators = [parseCertificate(fromHex(vectors.emulatorSigner))]
    const [element] = parseManifest(named('an emulator'), emulators, nodeCrypto)
    assert.equal(element?.isEmulated, true)
    assert.equal(read(named('three'))[0]?.isEmulated, false)
  })

  test('of ten thousand entries is looked at, and one more is a limit', () => {
    const [entry = ''] = read(named('general')).map(({ jws }) => jws)
    const many = Array.from({ length: manifestLimits.entriesMax + 1 }, () => entry)
    assert.equal(code(`[${many.join(',')}]`), 'ERR_MANIFEST_LIMIT')
    // The second of all those is the first that stands twice: every entry before it was looked at.
    assert.equal(code(`[${many.slice(1).join(',')}]`), 'ERR_MANIFEST_TWICE')
  })
})

suite('a hostile manifest', () => {
  for (const [name, { code: wanted, file: text }] of Object.entries(vectors.hostile)) {
    test(`is refused: ${name}`, () => assert.equal(code(text), wanted))
  }

  test('is refused as a whole, by the entry that is wrong', () => {
    const [good = ''] = read(named('version 3')).map(({ jws }) => jws)
    const bad = vectors.hostile['a signature with one bit changed']?.file.slice(1, -1)
    assert.throws(() => read(`[${good},${bad}]`), { where: 'entry 1' })
  })

  test('is refused when an element stands twice in it', () => {
    assert.equal(code(vectors.twice), 'ERR_MANIFEST_TWICE')
  })

  test('is refused when nobody may sign, or only a stranger', () => {
    for (const some of [[], [parseCertificate(fromHex(vectors.stranger))]]) {
      assert.throws(() => parseManifest(named('three'), some, nodeCrypto), {
        code: 'ERR_MANIFEST_SIGNER',
      })
    }
  })

  test('cut anywhere is refused', () => {
    const text = named('one alone')
    for (let length = 0; length < text.length; length++) {
      assert.match(code(text.slice(0, length)), /^ERR_MANIFEST_/, `${length}`)
    }
  })

  test('with any bit of its JWS flipped is refused', () => {
    const text = named('version 2, an identity alone').slice(1, -1)
    const at = (index: number): number => text.charCodeAt(index)
    for (let index = 0; index < text.length; index++) {
      for (const bit of [1, 2, 4, 8, 16, 32]) {
        const bent = `${text.slice(0, index)}${String.fromCharCode(at(index) ^ bit)}${text.slice(index + 1)}`
        assert.match(code(bent), /^ERR_MANIFEST_/, `${index} ^ ${bit}`)
      }
    }
  })

  test('that is no JSON, empty, too long or too deep is refused', () => {
    const { charactersMax, entryCharactersMax } = manifestLimits
    assert.equal(code(''), 'ERR_MANIFEST_MALFORMED')
    assert.equal(code('[]'), 'ERR_MANIFEST_MALFORMED')
    assert.equal(code('{}'), 'ERR_MANIFEST_MALFORMED')
    assert.equal(code('['.repeat(100_000)), 'ERR_MANIFEST_MALFORMED')
    assert.equal(code(' '.repeat(charactersMax + 1)), 'ERR_MANIFEST_LIMIT')
    assert.equal(code(`["${'a'.repeat(entryCharactersMax)}"]`), 'ERR_MANIFEST_LIMIT')
  })
})
