/**
 * The search for a path in hostile bags (RFC 4158): cycles, decoys, copies, many candidates of one
 * name. Work is counted in signature checks, never in time.
 */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { der } from '@countersign/core/codec'
import {
  attributeOid,
  type Certificate,
  encodeSubjectKeyId,
  validatePath,
} from '@countersign/core/credential'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { signatureChecksMax } from '../../src/credential/signatures.ts'
import { needsOpenssl, temporaryFolder } from '../x509/support.ts'
import {
  countingCrypto,
  day,
  type Entity,
  fingerprint,
  keyId,
  newSigner,
  now,
  opensslAccepts,
  requestOf,
  root,
  verdict,
} from './world.ts'

const { skip } = needsOpenssl()
const folder = temporaryFolder()

let anchor: Entity
let ca: Entity
let leaf: Entity

before(async () => {
  anchor = await root()
  ca = await anchor.issue({ name: 'Test CA', ca: true })
  leaf = await ca.issue({ name: 'leaf' })
})

function pathOf(intermediates: readonly Certificate[]): readonly string[] {
  const { path } = validatePath(
    requestOf({ leaf: leaf.certificate, anchors: [anchor.certificate], intermediates }),
    nodeCrypto,
  )
  return path.map(fingerprint)
}

test('the path is found whatever the order of the bag and however many copies are in it', async () => {
  const other = await anchor.issue({ name: 'Other CA', ca: true })
  const bag = [other.certificate, ca.certificate, ca.certificate, other.certificate]
  const expected = [leaf, ca, anchor].map((one) => fingerprint(one.certificate))
  assert.deepEqual(pathOf(bag), expected)
  assert.deepEqual(pathOf(bag.toReversed()), expected)
})

test('a cycle of CAs that no anchor knows ends at once, without a signature check', async () => {
  const stranger = await root({ name: 'Ring A' })
  const ringB = await stranger.issue({ name: 'Ring B', ca: true })
  const ringA = await ringB.issue({ name: 'Ring A', ca: true, signer: stranger.signer })
  const victim = await ringB.issue({ name: 'victim' })
  const crypto = countingCrypto()
  const chain = {
    leaf: victim.certificate,
    anchors: [anchor.certificate],
    intermediates: [ringA.certificate, ringB.certificate, stranger.certificate],
  }
  assert.match(verdict(chain, crypto), /^ERR_CHAIN_UNKNOWN_ISSUER /)
  assert.equal(crypto.count.verify, 0)
})

test('a cycle that an anchor leads into is left again', async () => {
  const ringA = await anchor.issue({ name: 'Ring A', ca: true })
  const ringB = await ringA.issue({ name: 'Ring B', ca: true })
  const back = await ringB.issue({ name: 'Ring A', ca: true, signer: ringA.signer })
  const end = await ringB.issue({ name: 'leaf' })
  const chain = {
    leaf: end.certificate,
    anchors: [anchor.certificate],
    intermediates: [back.certificate, ringB.certificate, ringA.certificate],
  }
  assert.equal(verdict(chain), 'ok')
  const broken = { ...chain, intermediates: [back.certificate, ringB.certificate] }
  assert.match(verdict(broken), /^ERR_CHAIN_/)
})

test('an expired cross certificate does not hide the good one', async () => {
  const old = await anchor.issue({
    name: 'Test CA',
    ca: true,
    signer: ca.signer,
    notAfter: now - day,
  })
  const expected = [leaf, ca, anchor].map((one) => fingerprint(one.certificate))
  assert.deepEqual(pathOf([old.certificate, ca.certificate]), expected)
  const only = {
    leaf: leaf.certificate,
    anchors: [anchor.certificate],
    intermediates: [old.certificate],
  }
  assert.match(verdict(only), /^ERR_CHAIN_EXPIRED link 1 /)
})

test('a branch that its constraints forbid is left for another', async () => {
  const narrow = await anchor.issue({
    name: 'Test CA',
    ca: true,
    signer: ca.signer,
    permitted: [{ kind: 'directory', value: anchor.certificate.subject }],
  })
  const expected = [leaf, ca, anchor].map((one) => fingerprint(one.certificate))
  assert.deepEqual(pathOf([narrow.certificate, ca.certificate]), expected)
})

test('ten thousand intermediates around the right one cost two signature checks', async () => {
  const decoy = await (await root({ name: 'Elsewhere' })).issue({ name: 'Decoy', ca: true })
  const bag = manyCopies(decoy.certificate, 5_000)
  const near = await anchor.issue({ name: 'Near', ca: true })
  bag.push(...manyCopies(near.certificate, 5_000), ca.certificate)
  const crypto = countingCrypto()
  const chain = { leaf: leaf.certificate, anchors: [anchor.certificate], intermediates: bag }
  assert.equal(verdict(chain, crypto), 'ok')
  assert.equal(crypto.count.verify, 2)
})

test('decoys with the name and key identifier of the right CA exhaust the budget, not the verifier', async () => {
  const fakes: Certificate[] = []
  for (let index = 0; index < signatureChecksMax + 20; index++) {
    const ski = encodeSubjectKeyId(keyId(ca.certificate.spki.der))
    const fake = await anchor.issue({ name: 'Test CA', ca: true, without: ['ski'], extra: [ski] })
    fakes.push(fake.certificate)
  }
  const crypto = countingCrypto()
  const chain = { leaf: leaf.certificate, anchors: [anchor.certificate], intermediates: fakes }
  assert.match(verdict(chain, crypto), /^ERR_CHAIN_LIMIT chain$/)
  assert.equal(crypto.count.verify, signatureChecksMax)
})

test('decoys with another key identifier come last', async () => {
  const fakes: Certificate[] = []
  for (let index = 0; index < signatureChecksMax; index++) {
    fakes.push((await anchor.issue({ name: 'Test CA', ca: true })).certificate)
  }
  const crypto = countingCrypto()
  const chain = {
    leaf: leaf.certificate,
    anchors: [anchor.certificate],
    intermediates: [...fakes, ca.certificate],
  }
  assert.equal(verdict(chain, crypto), 'ok')
  assert.equal(crypto.count.verify, 2)
})

test('a hundred CAs of one name and one key under an anchor are bounded', async () => {
  const twin = newSigner()
  const bag: Certificate[] = []
  const first = await anchor.issue({ name: 'Twin', ca: true, signer: twin, pathLen: 0 })
  bag.push(first.certificate)
  for (let index = 0; index < 99; index++) {
    bag.push((await first.issue({ name: 'Twin', ca: true, signer: twin })).certificate)
  }
  const end = await first.issue({ name: 'leaf', notAfter: now - day })
  const crypto = countingCrypto()
  const chain = { leaf: end.certificate, anchors: [anchor.certificate], intermediates: bag }
  assert.match(verdict(chain, crypto), /^ERR_C/)
  assert.ok(crypto.count.verify <= signatureChecksMax, String(crypto.count.verify))
})

test('two hundred self-issued rollovers with keys of their own are bounded', async () => {
  // Each one signs the next, all have one name: every one is a candidate for every other.
  const bag: Certificate[] = []
  let last = await anchor.issue({ name: 'Roll', ca: true })
  for (let index = 0; index < 200; index++) {
    bag.push(last.certificate)
    last = await last.issue({ name: 'Roll', ca: true })
  }
  const end = await last.issue({ name: 'leaf' })
  const crypto = countingCrypto()
  const intermediates = [...bag, last.certificate]
  const chain = { leaf: end.certificate, anchors: [anchor.certificate], intermediates }
  assert.match(verdict(chain, crypto), /^ERR_CHAIN_(LIMIT|PATH_LENGTH|SIGNATURE)/)
  assert.ok(crypto.count.verify <= signatureChecksMax)
  assert.ok(crypto.count.import <= signatureChecksMax)
})

test('more intermediates than a directory holds are refused before any work', () => {
  const crypto = countingCrypto()
  const intermediates = manyCopies(ca.certificate, 16_385)
  const chain = { leaf: leaf.certificate, anchors: [anchor.certificate], intermediates }
  assert.match(verdict(chain, crypto), /^ERR_CHAIN_LIMIT /)
  assert.equal(crypto.count.verify, 0)
})

test('depth counts intermediates and not the self-issued ones', async () => {
  const rolled = await ca.issue({ name: 'Test CA', ca: true })
  const end = await rolled.issue({ name: 'leaf' })
  const chain = {
    leaf: end.certificate,
    anchors: [anchor.certificate],
    intermediates: [rolled.certificate, ca.certificate],
  }
  assert.equal(verdict({ ...chain, depthMax: 1 }), 'ok')
  assert.match(verdict({ ...chain, depthMax: 0 }), /^ERR_CHAIN_PATH_LENGTH link 2 .*: depth$/)
  const second = await rolled.issue({ name: 'Second CA', ca: true })
  const deeper = {
    ...chain,
    leaf: (await second.issue({ name: 'leaf' })).certificate,
    intermediates: [second.certificate, ...chain.intermediates],
  }
  assert.equal(verdict({ ...deeper, depthMax: 2 }), 'ok')
  assert.match(verdict({ ...deeper, depthMax: 1 }), /^ERR_CHAIN_PATH_LENGTH /)
})

test('without a given depth nine CAs in a row are too many', async () => {
  const bag: Certificate[] = []
  let last: Entity = anchor
  for (let index = 1; index <= 9; index++) {
    last = await last.issue({ name: `Level ${index}`, ca: true })
    bag.push(last.certificate)
    const end = await last.issue({ name: 'leaf' })
    const chain = { leaf: end.certificate, anchors: [anchor.certificate], intermediates: bag }
    assert.equal(verdict(chain).startsWith(index <= 8 ? 'ok' : 'ERR_CHAIN_PATH_LENGTH'), true)
  }
})

test('an intermediate may be the anchor, and the root above it plays no part', async () => {
  const expired = await root({ notAfter: now - day, signer: anchor.signer })
  const chain = {
    leaf: leaf.certificate,
    anchors: [ca.certificate],
    intermediates: [expired.certificate],
  }
  assert.equal(verdict(chain), 'ok')
})

test('a leaf that is an anchor itself is a path of one', () => {
  assert.equal(verdict({ leaf: ca.certificate, anchors: [ca.certificate], asCa: true }), 'ok')
})

/** A name of one common name, written as this string. */
function called(text: Uint8Array): Uint8Array {
  return der.sequence(der.setOf(der.sequence(der.oid(attributeOid.commonName), text)))
}

test('a CA that writes the name of its own issuer in another way is still under it', {
  skip,
}, async () => {
  for (const written of [der.printableString('Test CA'), der.utf8String('TEST  ca')]) {
    const issuer = called(written)
    const chain = {
      leaf: (await ca.issue({ name: 'leaf', issuer })).certificate,
      anchors: [anchor.certificate],
      intermediates: [ca.certificate],
    }
    assert.equal(verdict(chain), 'ok')
    assert.ok(opensslAccepts(folder, chain))
    const crl = await ca.crl({ issuer, revoked: [{ serial: chain.leaf.serial }] })
    assert.match(verdict({ ...chain, crls: [crl] }), /^ERR_CERT_REVOKED /)
    const own = await ca.crl({ revoked: [{ serial: chain.leaf.serial }] })
    assert.match(verdict({ ...chain, crls: [own] }), /^ERR_CERT_REVOKED /)
  }
  const other = await ca.issue({ name: 'leaf', issuer: called(der.utf8String('TestCA')) })
  const chain = { leaf: other.certificate, anchors: [anchor.certificate] }
  assert.match(verdict({ ...chain, intermediates: [ca.certificate] }), /^ERR_CHAIN_UNKNOWN_ISSUER /)
})

test('paths without number that break the same rule are not all judged', async () => {
  const keys = [newSigner(), newSigner(), newSigner()]
  const bag: Certificate[] = []
  for (const signer of keys) {
    bag.push((await anchor.issue({ name: 'Ring', ca: true, signer })).certificate)
    const issuer = await root({ name: 'Ring', signer })
    for (const other of [...keys, ...keys, ...keys, ...keys]) {
      if (other === signer) continue
      bag.push((await issuer.issue({ name: 'Ring', ca: true, signer: other })).certificate)
    }
  }
  const entrance = await root({ name: 'Ring', signer: keys[0] ?? newSigner() })
  const { certificate } = await entrance.issue({ name: 'leaf', notAfter: now - day })
  let judged = 0
  const counted = Object.defineProperty({ ...certificate }, 'notBefore', {
    get: () => (judged++, certificate.notBefore),
  })
  const chain = { leaf: counted, anchors: [anchor.certificate], intermediates: bag }
  assert.match(verdict(chain), /^ERR_C/)
  assert.ok(judged <= 32, `${judged} paths were judged`)
})

test('copies of a CA that is already in the path are not looked at without end', async () => {
  // Three keys of one name that certify each other, some times over: many paths for few signatures,
  // and each end of one meets all copies.
  const keys = [newSigner(), newSigner(), newSigner()]
  const ring: Entity[] = []
  for (const from of keys) {
    const issuer = await root({ name: 'Ring', signer: from })
    for (const signer of [...keys, ...keys, ...keys, ...keys]) {
      if (signer !== from) ring.push(await issuer.issue({ name: 'Ring', ca: true, signer }))
    }
  }
  const door = await anchor.issue({ name: 'Ring', ca: true, signer: newSigner() })
  const [first] = keys
  const entrance = await root({ name: 'Ring', signer: first ?? newSigner() })
  const end = await entrance.issue({ name: 'leaf' })
  let looked = 0
  const copies = manyCopies(entrance.certificate, 16_000).map((copy) => ({
    ...copy,
    get spki() {
      looked++
      return entrance.certificate.spki
    },
  }))
  const bag = [...ring, door].map(({ certificate }) => certificate)
  const chain = {
    leaf: end.certificate,
    anchors: [anchor.certificate],
    intermediates: [...bag, ...copies],
  }
  assert.match(verdict(chain), /^ERR_CHAIN_LIMIT /)
  assert.ok(looked <= 200_000, `${looked} keys compared`)
})

test('the missing issuer is named at the link that lacks it', () => {
  const chain = { leaf: leaf.certificate, anchors: [], intermediates: [ca.certificate] }
  assert.equal(verdict(chain), 'ERR_CHAIN_UNKNOWN_ISSUER link 1 (CN=Test CA): issuer')
})

test('a CA of the same name with another key is told apart from a missing one', async () => {
  const imposter = await root()
  const chain = {
    leaf: leaf.certificate,
    anchors: [imposter.certificate],
    intermediates: [ca.certificate],
  }
  assert.equal(verdict(chain), 'ERR_CHAIN_SIGNATURE link 1 (CN=Test CA): signatureValue')
})

/**
 * The same certificate as other objects with other fingerprints: the bytes behind `der` differ in
 * the signature only.
 */
function manyCopies(certificate: Certificate, count: number): Certificate[] {
  return Array.from({ length: count }, (_, index) => {
    const bytes = Uint8Array.from(certificate.der)
    bytes[bytes.length - 1] = index & 255
    bytes[bytes.length - 2] = index >> 8
    return { ...certificate, der: bytes, signature: bytes.subarray(-certificate.signature.length) }
  })
}
