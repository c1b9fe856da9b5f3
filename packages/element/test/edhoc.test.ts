/**
 * EDHOC in each method with the initiator's key in each kind of element; the responder's are keys of
 * Node. What an element signs is checked by the other side, the protocol's bytes are core's tests.
 */
import assert from 'node:assert/strict'
import {
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { cbor, hex } from '@countersign/core/codec'
import {
  Initiator,
  type Method,
  methods,
  type OwnCredential,
  oscoreSecrets,
  Responder,
  suitesOf,
  type TrustedCredential,
} from '@countersign/core/edhoc'
import type { SecretKey } from '@countersign/core/ports'
import { openElement } from '../src/compose.ts'
import { elementCoseSigner, elementStaticKey } from '../src/edhoc.ts'
import { nodeCrypto } from '../src/nodeCrypto.ts'
import type { SecureElement } from '../src/ports.ts'
import { pointOfSpki, spkiOfPoint } from '../src/signer.ts'
import { skip as noTokens, softTokens } from './pkcs11/softhsm.ts'

const folder = await mkdtemp(join(tmpdir(), 'countersign-edhoc-'))
after(() => rm(folder, { recursive: true }))
const p256 = { kind: 'ec', curve: 'P-256' } as const

const kinds: readonly (readonly [name: string, skip: string | false, url: () => string])[] = [
  ['the software twin', false, () => 'sw:'],
  ['an emulated ATECC608', false, () => 'atecc608:emulator:chip.json?times=none'],
  ['SoftHSM', noTokens, () => softTokens()('edhoc').url('device')],
]

for (const [name, skip, url] of kinds)
  describe(`EDHOC with a key in ${name}`, { skip }, () => {
    for (const number of [0, 1, 2, 3])
      for (const suiteNumber of [2, 3])
        test(`method ${number}, suite ${suiteNumber}: both sides get the same keys`, async () => {
          const element = await openElement(url(), { folder })
          try {
            await handshake(element, number, suiteNumber)
          } finally {
            await element.close()
          }
        })
  })

async function handshake(
  element: SecureElement,
  number: number,
  suiteNumber: number,
): Promise<void> {
  const method = methods.get(number)
  const suite = suitesOf(nodeCrypto).find((one) => one.number === suiteNumber)
  assert.ok(method && suite)
  const device = await deviceSide(element, method)
  const server = serverSide(method)
  const { message1, next: wait2 } = new Initiator({
    crypto: nodeCrypto,
    method,
    offer: { suitesI: suiteNumber === 2 ? [2] : [2, 3], suite },
    cI: Uint8Array.of(0x0e),
    own: device.own,
  }).send()
  const responder = new Responder({ crypto: nodeCrypto, methods: [method.number], suites: [suite] })
  const answer = { own: server.own, cR: Uint8Array.of(0x18) }
  const { message2, next: wait3 } = await responder.receive(message1).send(answer)
  const judgeR = wait2.receive(message2)
  const { message3, next: unconfirmed } = await judgeR.accept(server.trusted).send()
  const authenticated = wait3.receive(message3).accept(device.trusted)
  const { session } = unconfirmed.receive(authenticated.message4())
  const secrets = [session, authenticated.session].map(({ prkOut }) =>
    hex(nodeCrypto.exportSecret(oscoreSecrets(suite, prkOut).masterSecret)),
  )
  assert.equal(secrets[0], secrets[1])
}

interface Side {
  readonly own: OwnCredential
  readonly trusted: TrustedCredential
}

async function deviceSide(element: SecureElement, { initiator }: Method): Promise<Side> {
  const use = initiator === 'signature' ? 'sign' : 'ecdh'
  const slot = (await element.slots()).find(({ uses }) => uses.includes(use))?.slot ?? -1
  const point = await element.generateKey(slot)
  const about = named('device')
  if (initiator === 'signature') {
    const spki = spkiOfPoint(point)
    return {
      own: { ...about, kind: initiator, signer: elementCoseSigner(element, slot, spki) },
      trusted: { ...about, kind: initiator, key: nodeCrypto.importPublicKey(spki, p256) },
    }
  }
  return {
    own: { ...about, kind: initiator, key: elementStaticKey(element, slot, nodeCrypto) },
    trusted: { ...about, kind: initiator, g: point.slice(0, 32) },
  }
}

function serverSide({ responder }: Method): Side {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const spki = new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }))
  const about = named('server')
  if (responder === 'signature') {
    const scheme = { kind: 'ecdsa', hash: 'sha256', encoding: 'p1363' } as const
    const signed = async (message: Uint8Array): Promise<Uint8Array> =>
      sign('sha256', message, { key: privateKey, dsaEncoding: 'ieee-p1363' })
    return {
      own: { ...about, kind: responder, signer: { scheme, spki, sign: signed } },
      trusted: { ...about, kind: responder, key: nodeCrypto.importPublicKey(spki, p256) },
    }
  }
  return {
    own: { ...about, kind: responder, key: { agree: async (share) => agreed(privateKey, share) } },
    trusted: { ...about, kind: responder, g: pointOfSpki(spki).slice(0, 32) },
  }
}

/** What both sides know beforehand: that this kid is this credential. */
function named(who: string): Pick<OwnCredential, 'reference' | 'credential'> {
  const credential = cbor.byteString(Buffer.from(`certificate of the ${who}`))
  return { reference: { kid: Buffer.from(who) }, credential }
}

/** With OpenSSL, as `EphemeralKey.agree` does it. */
async function agreed(privateKey: KeyObject, share: Uint8Array): Promise<SecretKey> {
  const der = Buffer.from(spkiOfPoint(share.subarray(1)))
  const publicKey = createPublicKey({ key: der, format: 'der', type: 'spki' })
  return nodeCrypto.importSecret(diffieHellman({ privateKey, publicKey }))
}
