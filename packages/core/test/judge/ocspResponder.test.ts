/**
 * Who may sign the OCSP response about a leaf (RFC 6960 §4.2.2.2): its issuer, and delegates that
 * the issuer certified for it.
 */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { der } from '@countersign/core/codec'
import {
  attributeOid,
  encodeExtension,
  encodeName,
  extensionOid,
  ocspOid,
} from '@countersign/core/credential'
import { byKey, byName, revoked } from '../../../../fuzz/ocspResponses.ts'
import { stapleCase, unusable } from './ocspCases.ts'
import {
  at,
  authority,
  type House,
  house,
  issue,
  signing,
  stapleOf,
  statusVerdict,
} from './ocspWorld.ts'
import { countingCrypto, day, type Entity, newSigner, root, type Shape } from './world.ts'

let home: House

before(async () => {
  home = await house()
})

/** A case of a response by this delegate of the CA. */
async function delegateCase(shape: Shape, expected: string, differs?: string): Promise<void> {
  const by = await home.ca.issue({ ...signing, ...shape })
  await stapleCase(home, { by }, expected, differs)
}

test('the issuer clears its leaf, named by name or by key', async () => {
  await stapleCase(home, {}, 'ok')
  await stapleCase(home, { responder: byKey(home.ca.certificate) }, 'ok')
  await stapleCase(home, { certificates: [home.ca] }, 'ok')
})

test('a delegate of the issuer clears the leaf, named by name or by key', async () => {
  const by = home.delegate
  await stapleCase(home, { by }, 'ok')
  await stapleCase(home, { by, responder: byKey(by.certificate) }, 'ok')
  await stapleCase(home, { by, certificates: [home.ca, by] }, 'ok')
})

test('a delegate may be exempt from revocation, and need not be', async () => {
  const noCheck = encodeExtension(extensionOid.ocspNoCheck, false, der.nullValue())
  await delegateCase({ extra: [noCheck] }, 'ok')
  await delegateCase({}, 'ok')
  const malformed = encodeExtension(extensionOid.ocspNoCheck, false, der.sequence())
  await assert.rejects(delegateCase({ extra: [malformed] }, ''), { code: 'ERR_DER_TAG' })
})

test('the response of another CA does not count, also when it is about the leaf', async () => {
  const other = await authority(home.root, { name: 'Other CA' })
  await stapleCase(home, { by: other }, unusable)
  const namesake = await authority(home.root, { name: 'Test CA' })
  await stapleCase(home, { by: namesake }, unusable)
  await stapleCase(home, { by: namesake, certificates: [] }, unusable)
})

test('the CA above the issuer does not answer for the leaf', async () => {
  await stapleCase(home, { by: home.root }, unusable)
  await stapleCase(home, { by: await home.root.issue(signing) }, unusable)
})

test('a signature that does not verify does not count, to clear or to revoke', async () => {
  const by: Entity = { ...home.ca, signer: newSigner() }
  await stapleCase(home, { by, certificates: [] }, unusable)
  await stapleCase(home, { by, certificates: [], status: revoked(at) }, unusable)
})

test('a responder whose certificate is not there, or is not the one named, does not count', async () => {
  const by = home.delegate
  await stapleCase(home, { by, certificates: [] }, unusable)
  await stapleCase(home, { by, responder: byName(home.leaf.certificate) }, unusable)
  await stapleCase(home, { by, responder: byKey(home.leaf.certificate) }, unusable)
  await stapleCase(home, { responder: byName(home.root.certificate) }, unusable)
})

test('names of responders are compared as names of issuers are', async () => {
  const name = encodeName([{ type: attributeOid.commonName, value: 'tEST  ca' }])
  await stapleCase(home, { responder: der.explicit(1, name) }, 'ok')
})

test('a delegate must be certified for OCSP signing by name', async () => {
  await delegateCase({ extKeyUsage: [] }, unusable)
  await delegateCase({ extKeyUsage: ['2.5.29.37.0'] }, unusable)
  await delegateCase({ extKeyUsage: ['1.3.6.1.5.5.7.3.1'] }, unusable)
})

test('a delegate must be valid at the time', async () => {
  await delegateCase({ notAfter: at - day }, unusable)
  await delegateCase({ notBefore: at + day }, unusable)
})

test('a delegate that another CA certified does not count', async () => {
  const other = await authority(home.root, { name: 'Other CA' })
  const namesake = await authority(home.root, { name: 'Test CA' })
  for (const above of [other, namesake]) {
    const by = await above.issue(signing)
    await stapleCase(home, { by }, unusable)
    await stapleCase(home, { by, certificates: [by, above] }, unusable)
  }
})

test('a delegate of the key of the issuer under another name does not count', async () => {
  const { signer } = home.ca
  const renamed = await authority(home.root, { name: 'Other CA', signer })
  await stapleCase(home, { by: await renamed.issue(signing) }, unusable)
})

test('a delegate of a delegate does not count', async () => {
  const by = await home.delegate.issue({ ...signing, name: 'Second' })
  await stapleCase(home, { by, certificates: [by, home.delegate] }, unusable)
})

test('a CA below the issuer is no delegate', async () => {
  const extKeyUsage = [ocspOid.ocspSigning]
  const keyUsage = ['keyCertSign', 'digitalSignature'] as const
  const by = await authority(home.ca, { name: 'Sub CA', extKeyUsage, keyUsage })
  await stapleCase(home, { by }, unusable, 'OpenSSL lets a CA be a delegate')
})

test('a delegate whose key is for other work does not count', async () => {
  const differs = 'OpenSSL does not look at the usage'
  await delegateCase({ keyUsage: ['keyAgreement'] }, unusable, differs)
  await delegateCase({ keyUsage: ['contentCommitment'] }, 'ok')
  await delegateCase({ keyUsage: [] }, 'ok')
})

test('a delegate with a critical extension that is not understood does not count', () =>
  delegateCase({ extra: [encodeExtension('2.25.4711', true, der.nullValue())] }, unusable))

test('an issuer whose key is for certificates only does not answer', async () => {
  const ca = await authority(home.root, { name: 'Mute CA', keyUsage: ['keyCertSign'] })
  const leaf = await issue(ca, { name: 'leaf' })
  const mute: House = { ...home, ca, leaf }
  assert.equal(statusVerdict(mute, await stapleOf(mute)), unusable)
  const delegate = await ca.issue(signing)
  assert.equal(statusVerdict(mute, await stapleOf(mute, { by: delegate })), 'ok')
})

test('nobody answers for himself', async () => {
  await stapleCase(home, { by: home.leaf }, unusable)
  const extKeyUsage = [ocspOid.ocspSigning, '1.3.6.1.5.5.7.3.1']
  const leaf = await issue(home.ca, { name: 'leaf', extKeyUsage })
  const self: House = { ...home, leaf }
  assert.equal(statusVerdict(self, await stapleOf(self, { by: leaf })), unusable)
  const { signer } = leaf
  const again = await home.ca.issue({ ...signing, signer })
  assert.equal(statusVerdict(self, await stapleOf(self, { by: again })), unusable)
})

test('namesakes of the responder cost few signature checks', async () => {
  const liars = await authority(home.root, { name: 'Test CA' })
  const decoys = await Promise.all(Array.from({ length: 7 }, () => liars.issue(signing)))
  const by = home.delegate
  const crypto = countingCrypto()
  const first = await stapleOf(home, { by, certificates: [by, ...decoys] })
  assert.equal(statusVerdict(home, first, { crypto }), 'ok')
  assert.deepEqual(crypto.count, { verify: 2, import: 2 })
  const last = await stapleOf(home, { by, certificates: [...decoys, by] })
  assert.equal(statusVerdict(home, last, { crypto }), unusable)
  assert.equal(crypto.count.verify, 2 + 6)
})

test('a delegate that renewed its certificate is found among both', async () => {
  const { signer } = home.delegate
  const expired = await home.ca.issue({ ...signing, signer, notAfter: at - day })
  const by = home.delegate
  const differs = 'OpenSSL looks at the first one'
  await stapleCase(home, { by, certificates: [expired, by] }, 'ok', differs)
  await stapleCase(home, { by, certificates: [by, expired] }, 'ok')
  await stapleCase(home, { by, certificates: [expired] }, unusable)
})

test('a response by a root for what it issued itself counts', async () => {
  const leaf = await issue(home.root, { name: 'leaf' })
  const flat: House = { ...home, ca: home.root, leaf }
  assert.equal(statusVerdict(flat, await stapleOf(flat)), 'ok')
  const other = await root({ name: 'Test Root' })
  assert.equal(statusVerdict({ ...flat, ca: other }, await stapleOf(flat)), unusable)
})
