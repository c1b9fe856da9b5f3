/**
 * CRLs of a path (RFC 5280 §6.3): whose list is asked, what makes it unusable, and that a sound
 * list that names a certificate always refuses it.
 */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { der } from '@countersign/core/codec'
import {
  type CertificateList,
  encodeAuthorityKeyId,
  encodeCrlNumber,
  encodeExtension,
  encodeIssuingDistributionPoint,
} from '@countersign/core/credential'
import { needsOpenssl, temporaryFolder } from '../x509/support.ts'
import {
  type CrlShape,
  day,
  type Entity,
  keyId,
  newSigner,
  now,
  opensslAccepts,
  root,
  serialOf,
  verdict,
} from './world.ts'

let anchor: Entity
let ca: Entity
let leaf: Entity
let revoked: readonly { readonly serial: Uint8Array }[]

before(async () => {
  anchor = await root()
  ca = await anchor.issue({ name: 'Test CA', ca: true })
  leaf = await ca.issue({ name: 'leaf' })
  revoked = [{ serial: leaf.certificate.serial }]
})

const { skip } = needsOpenssl()
const folder = temporaryFolder()
const atLeaf = 'link 0 (CN=leaf)'

function judged(crls: readonly CertificateList[]): string {
  return verdict({
    leaf: leaf.certificate,
    intermediates: [ca.certificate],
    anchors: [anchor.certificate],
    crls,
  })
}

function withExtensions(...extra: readonly Uint8Array[]): CrlShape {
  const aki = encodeAuthorityKeyId(keyId(ca.certificate.spki.der))
  return { extensions: [aki, encodeCrlNumber(1), ...extra] }
}

/** The judge's verdict, and OpenSSL's yes or no to the same list unless the reason says why not. */
async function crlCase(shape: CrlShape, expected: string, differs?: string): Promise<void> {
  const crl = await ca.crl(shape)
  assert.equal(judged([crl]), expected)
  if (skip !== false || differs !== undefined) return
  const chain = {
    leaf: leaf.certificate,
    intermediates: [ca.certificate],
    anchors: [anchor.certificate],
    crls: [crl],
  }
  assert.equal(opensslAccepts(folder, chain), expected === 'ok')
}

test('a certificate that the list does not name is accepted', () =>
  crlCase({ revoked: [{ serial: serialOf(1) }] }, 'ok'))

test('a revoked leaf is refused', () =>
  crlCase({ revoked }, `ERR_CERT_REVOKED ${atLeaf}: serialNumber`))

test('a leaf on hold is refused, a released one is not', async () => {
  const { serial } = leaf.certificate
  await crlCase({ revoked: [{ serial, reason: 6 }] }, `ERR_CERT_REVOKED ${atLeaf}: serialNumber`)
  await crlCase({ revoked: [{ serial, reason: 8 }] }, 'ok', 'removeFromCRL stands in deltas only')
})

test('a revoked intermediate is refused', async () => {
  const crl = await anchor.crl({ revoked: [{ serial: ca.certificate.serial }] })
  assert.equal(judged([crl]), 'ERR_CERT_REVOKED link 1 (CN=Test CA): serialNumber')
})

test('a list of another issuer is ignored, whatever it says', async () => {
  const other = await root({ name: 'Other' })
  assert.equal(judged([await other.crl({ revoked })]), 'ok')
  assert.equal(judged([await other.crl({ revoked, nextUpdate: now - day })]), 'ok')
})

test('a list past its next update does not clear a certificate', () =>
  crlCase({ thisUpdate: now - 2 * day, nextUpdate: now - day }, `ERR_CRL_STALE ${atLeaf}: CRL`))

test('a list of the future does not clear a certificate', () =>
  crlCase({ thisUpdate: now + day, nextUpdate: now + 2 * day }, `ERR_CRL_STALE ${atLeaf}: CRL`))

test('an old list still revokes', () =>
  crlCase(
    { revoked, thisUpdate: now - 2 * day, nextUpdate: now - day },
    `ERR_CERT_REVOKED ${atLeaf}: serialNumber`,
  ))

test('a list with a wrong signature is unusable, also to revoke', async () => {
  const signer = newSigner()
  await crlCase({ signer }, `ERR_CRL_UNUSABLE ${atLeaf}: CRL`)
  await crlCase({ signer, revoked }, `ERR_CRL_UNUSABLE ${atLeaf}: CRL`)
})

test('a list signed by a CA that may not sign lists is unusable', async () => {
  const mute = await anchor.issue({ name: 'Mute CA', ca: true, keyUsage: ['keyCertSign'] })
  const end = await mute.issue({ name: 'leaf' })
  const chain = {
    leaf: end.certificate,
    intermediates: [mute.certificate],
    anchors: [anchor.certificate],
    crls: [await mute.crl()],
  }
  assert.equal(verdict(chain), `ERR_CRL_UNUSABLE ${atLeaf}: CRL`)
  if (skip === false) assert.equal(opensslAccepts(folder, chain), false)
})

test('a list with an unknown critical extension is unusable', () =>
  crlCase(
    withExtensions(encodeExtension('2.25.4711', true, der.nullValue())),
    `ERR_CRL_UNUSABLE ${atLeaf}: CRL`,
  ))

test('a list without a number, or with a critical one, is unusable', async () => {
  const aki = encodeAuthorityKeyId(keyId(ca.certificate.spki.der))
  const differs = 'OpenSSL does not ask for a number'
  await crlCase({ extensions: [aki] }, `ERR_CRL_UNUSABLE ${atLeaf}: CRL`, differs)
  const critical = encodeExtension('2.5.29.20', true, der.integer(1))
  await crlCase({ extensions: [aki, critical] }, `ERR_CRL_UNUSABLE ${atLeaf}: CRL`, differs)
})

test('a delta alone does not clear, and still revokes', async () => {
  const delta = withExtensions(encodeExtension('2.5.29.27', true, der.integer(1)))
  const differs = 'OpenSSL takes a delta for the list unless it is told of deltas'
  await crlCase(delta, `ERR_CRL_UNUSABLE ${atLeaf}: CRL`, differs)
  await crlCase({ ...delta, revoked }, `ERR_CERT_REVOKED ${atLeaf}: serialNumber`)
  const base = await ca.crl()
  assert.equal(judged([await ca.crl(delta), base]), 'ok')
})

test('a list for the other kind of certificate says nothing', async () => {
  const forCas = withExtensions(encodeIssuingDistributionPoint({ only: 'ca' }))
  const forUsers = withExtensions(encodeIssuingDistributionPoint({ only: 'user' }))
  await crlCase({ ...forCas, revoked }, 'ok', 'OpenSSL refuses when no list is left')
  await crlCase(forUsers, 'ok')
  await crlCase({ ...forUsers, revoked }, `ERR_CERT_REVOKED ${atLeaf}: serialNumber`)
})

test('a list of another distribution point does not clear', async () => {
  const uris = ['http://crl.example.com/other.crl']
  const elsewhere = withExtensions(encodeIssuingDistributionPoint({ uris }))
  await crlCase(elsewhere, `ERR_CRL_UNUSABLE ${atLeaf}: CRL`)
})

test('one sound list clears beside others that do not', async () => {
  const lists = [
    await ca.crl({ nextUpdate: now - 1 }),
    await ca.crl(),
    await ca.crl({ signer: newSigner() }),
  ]
  assert.equal(judged(lists), 'ok')
  assert.match(judged([...lists, await ca.crl({ revoked })]), /^ERR_CERT_REVOKED /)
})
