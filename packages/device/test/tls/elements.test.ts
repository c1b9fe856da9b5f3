/**
 * Client authentication with keys that stay where they were made: the software twin, an emulated
 * ATECC608 with the times of silicon, a token of SoftHSM, a TPM 2.0 (swtpm). The servers are OpenSSL, nginx and
 * mosquitto; the certificates are OpenSSL's, for requests that the elements signed.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { attributeOid, createCertificateRequest } from '@countersign/core/credential'
import { openElement } from '@countersign/element/compose'
import type { SecureElement } from '@countersign/element/ports'
import { elementSigner, knownElementSigner } from '@countersign/element/signer'
import { skip as noTokens, softTokens } from '../../../element/test/pkcs11/softhsm.ts'
import { skip as noTpm, softTpm } from '../../../element/test/pkcs11/swtpm.ts'
import { mosquitto } from './peers/mosquitto.ts'
import { nginx } from './peers/nginx.ts'
import { openssl } from './peers/openssl.ts'
import { OwnClient } from './peers/ownClient.ts'
import { makePki, type Pki } from './peers/pki.ts'
import { stopAll } from './peers/process.ts'

const noOpenssl = openssl.missing()
const folder = mkdtempSync(join(tmpdir(), 'countersign-elements-'))

let pki: Pki
before(() => {
  if (noOpenssl === false) pki = makePki()
})
after(async () => {
  await stopAll()
  pki?.remove()
  rmSync(folder, { recursive: true, force: true })
})

interface Kind {
  readonly name: string
  readonly missing: string | false
  url(): string | Promise<string>
}

const kinds: readonly Kind[] = [
  { name: 'the software twin', missing: false, url: () => 'sw:' },
  { name: 'an emulated ATECC608', missing: false, url: () => 'atecc608:emulator:chip.json' },
  {
    name: 'an emulated ATECC608 on a single wire',
    missing: false,
    url: () => 'atecc608:emulator:swi.json?framing=swi&times=none',
  },
  { name: 'SoftHSM', missing: noTokens, url: () => softTokens()('tls').url('device') },
  {
    name: 'a TPM 2.0',
    missing: noTpm,
    url: async () => (await softTpm()).token('tls').url('device'),
  },
]

for (const kind of kinds)
  describe(kind.name, { skip: noOpenssl || kind.missing }, () => {
    let element: SecureElement
    let slot = 0
    let leaf: Uint8Array
    let spki: Uint8Array

    before(async () => {
      element = await openElement(await kind.url(), { folder })
      slot = (await element.slots()).find(({ uses }) => uses.includes('sign'))?.slot ?? -1
      await element.generateKey(slot)
      const signer = await elementSigner(element, slot)
      ;({ spki } = signer)
      const subject = [{ type: attributeOid.commonName, value: 'device-p256' }]
      const request = await createCertificateRequest({ subject, altNames: [], signer })
      leaf = pki.certify(`element-${kind.name.replaceAll(' ', '-')}`, request)
    })
    after(() => element?.close())

    for (const peer of [openssl, nginx, mosquitto])
      it(`is known to ${peer.name} by the key that it keeps, and is asked once`, {
        skip: peer.missing(),
      }, async () => {
        const server = await peer.start(pki, { clientCertificate: 'required' })
        let signatures = 0
        const signer = knownElementSigner(
          counting(element, () => signatures++),
          slot,
          spki,
        )
        const client = await OwnClient.meet(pki, server, { credential: { chain: [leaf], signer } })
        try {
          const answer = await client.ask(peer.speaks)
          const who = /CN ?= ?device-p256\b|u'device-p256'/
          if (!who.test(answer)) await server.prints(who)
          assert.equal(client.secured.isAuthenticated, true)
          assert.equal(signatures, 1)
        } finally {
          await client.close()
          await server.stop()
        }
      })
  })

const never = (): never => assert.fail('only a signature is asked for')

/** Every other act of the element in a handshake would be one too many. */
function counting(element: SecureElement, signed: () => void): SecureElement {
  return {
    info: never,
    state: never,
    slots: never,
    generateKey: never,
    publicKey: never,
    random: never,
    close: never,
    sign: (slot, digest) => {
      signed()
      return element.sign(slot, digest)
    },
  }
}
