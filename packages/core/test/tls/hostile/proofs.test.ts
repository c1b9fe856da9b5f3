/**
 * CertificateVerify and Finished (RFC 8446 §4.4.3, §4.4.4): the right certificate, shown by somebody
 * who does not hold its key or has not seen the same handshake.
 */
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { suite, test } from 'node:test'
import type { PuppetIdentity } from '../puppet.ts'
import { finishedMac, fixedKey, hashOf } from '../puppetKeys.ts'
import * as steps from '../puppetSteps.ts'
import { identity, identityOf } from '../puppetWorld.ts'
import { assertOpen, assertRefused, type Refusal, type Talk, talk } from './conversation.ts'
import { resumed } from './settings.ts'

const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey

/** With this CertificateVerify in the place of the right one. */
async function proves(
  change: Parameters<typeof steps.certificateVerify>[0],
  shown: PuppetIdentity = identity,
): Promise<Talk> {
  const flight = steps.fullFlight.toSpliced(5, 1, steps.certificateVerify(change))
  return talk({ identity: shown, flights: [flight] })
}

const badProof: Refusal = { alert: 'decrypt_error', code: 'ERR_TLS_SIGNATURE' }
const illegal: Refusal = { alert: 'illegal_parameter', code: 'ERR_TLS_ILLEGAL_PARAMETER' }

suite('a CertificateVerify', () => {
  test('by another key is refused', async () => {
    const key = fixedKey('ed25519', 2)
    assertRefused(await proves((right) => ({ ...right, key })), badProof)
    const shown = { ...(await identityOf({}, p256)), scheme: 0x0403 }
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
    assertRefused(await proves((right) => ({ ...right, key: other }), shown), badProof)
  })

  test('over another transcript is refused', async () => {
    for (const at of [98, 99, 114, 129]) {
      const changed = await proves((right) => {
        const content = Buffer.from(right.content)
        content.writeUInt8(content.readUInt8(at) ^ 1, at)
        return { ...right, content }
      })
      assertRefused(changed, badProof, `byte ${at}`)
    }
  })

  test('with other words before the transcript is refused', async () => {
    for (const [from, to] of [
      ['server', 'client'],
      ['TLS 1.3', 'TLS 1.2'],
      ['\0', ''],
      [' ', ''],
    ] as const) {
      const changed = await proves((right) => {
        const head = Buffer.from(right.content.subarray(0, 98)).toString('latin1')
        const hash = right.content.subarray(98)
        return { ...right, content: Buffer.concat([Buffer.from(head.replace(from, to)), hash]) }
      })
      assertRefused(changed, badProof, `${to} for ${from}`)
    }
  })

  test('by a scheme of another curve or kind of key is refused', async () => {
    const schemes = [0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0807]
    const keys = [
      [await identityOf(), 0x0807],
      [await identityOf({}, p256), 0x0403],
      [await identityOf({}, p384), 0x0503],
    ] as const
    for (const [shown, right] of keys) {
      assertOpen(await talk({ identity: { ...shown, scheme: right } }))
      for (const scheme of schemes) {
        if (scheme === right) continue
        const refused = await proves((parts) => ({ ...parts, scheme }), shown)
        assertRefused(refused, illegal, scheme.toString(16))
      }
    }
  })

  test('by a scheme that was not offered, or not for handshakes, is refused', async () => {
    // rsa_pkcs1, SHA-1, brainpool, rsa_pss_pss, Ed448, ML-DSA, nothing.
    for (const scheme of [
      0x0401, 0x0501, 0x0601, 0x0201, 0x0203, 0x081a, 0x0809, 0x0808, 0x0904, 0,
    ]) {
      assertRefused(await proves((parts) => ({ ...parts, scheme })), illegal, scheme.toString(16))
    }
  })

  test('without a signature, or with one of no sense, is refused', async () => {
    for (const signature of [Buffer.alloc(0), Buffer.alloc(64), Buffer.alloc(1000, 1)]) {
      assertRefused(await proves((parts) => ({ ...parts, signature })), badProof)
    }
  })

  test('of RSA is PSS with the salt of its hash, and nothing else', async () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const shown = { ...(await rsaIdentity(privateKey)), scheme: 0x0804 }
    assertOpen(await talk({ identity: shown }))
    assertRefused(await proves((parts) => ({ ...parts, scheme: 0x0401 }), shown), illegal)
    assertRefused(await proves((parts) => ({ ...parts, scheme: 0x0805 }), shown), badProof)
    assertRefused(await proves((parts) => ({ ...parts, saltLength: 20 }), shown), badProof)
    assertRefused(await proves((parts) => ({ ...parts, saltLength: 0 }), shown), badProof)
  })
})

/** A leaf for a key that our software signers do not have. */
async function rsaIdentity(key: KeyObject): Promise<PuppetIdentity> {
  const spki = new Uint8Array(createPublicKey(key).export({ type: 'spki', format: 'der' }))
  return { ...(await identityOf({ spki })), key, scheme: 0x0804 }
}

const badFinished: Refusal = { alert: 'decrypt_error', code: 'ERR_TLS_FINISHED' }
const malformed: Refusal = { alert: 'decode_error', code: 'ERR_TLS_DECODE' }

const wrong: readonly (readonly [string, NonNullable<Parameters<typeof steps.finished>[0]>])[] = [
  ['zeros', () => Buffer.alloc(32)],
  ['its own bytes in reverse', (right) => Buffer.from(right.toReversed())],
  ["the client's key", (_, says) => finishedMac(says.suite, says.clientSecret, says.digest())],
  ['no transcript', (_, says) => finishedMac(says.suite, says.serverSecret, hashOf(says.suite))],
  ['the transcript itself', (_, says) => says.digest()],
]

/** In a full flight and in one that resumes. */
async function finishing(change: (typeof wrong)[number][1], refusal: Refusal): Promise<void> {
  const full = [...steps.fullFlight.slice(0, -1), steps.finished(change)]
  assertRefused(await talk({ flights: [full] }), refusal)
  const { puppet, options } = await resumed()
  const short = [...steps.resumedFlight.slice(0, -1), steps.finished(change)]
  assertRefused(await talk({ ...puppet, flights: [short] }, options), refusal)
}

suite('a Finished', () => {
  for (const [what, change] of wrong) {
    test(`of ${what} is refused`, () => finishing(change, badFinished))
  }

  test('of another length is refused', async () => {
    for (const length of [0, 1, 31, 33, 48, 64]) {
      await finishing((right) => Buffer.concat([right, right]).subarray(0, length), malformed)
    }
  })
})
