/**
 * Our client in the place of the one that RFC 8448 traces: with its keys, its random, its
 * certificate and its signature, under a provider that is Node's in everything else.
 */
import assert from 'node:assert/strict'
import {
  createPrivateKey,
  createPublicKey,
  type KeyPairKeyObjectResult,
  X509Certificate,
} from 'node:crypto'
import { hex } from '@countersign/core/codec'
import { parseCertificate, type VerifiedPeer } from '@countersign/core/credential'
import type {
  ChannelCrypto,
  EphemeralKey,
  GroupName,
  Random,
  Signer,
} from '@countersign/core/ports'
import type { ClientCredential, PolicyOptions, ServerTrust } from '@countersign/core/tls'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { ephemeralFrom } from '../../../element/src/nodeGroups.ts'
import type { HandshakeOptions } from '../../src/tls/negotiation.ts'
import { policyOf } from '../../src/tls/policy.ts'
import { type Actor, field, fieldOf, type Step, stepsOf, type Trace } from './rfc8448.ts'
import { publicKeyOf, sha256, walk } from './rfc8448Recompute.ts'

const certificateLabel = 'construct a Certificate handshake message'
const verifyLabel = 'construct a CertificateVerify handshake message'

/** The ClientHellos of the trace as they were sent: one, or two around a HelloRetryRequest. */
export function hellosOf(one: Trace): readonly Uint8Array[] {
  return stepsOf(one, 'client', 'send handshake record')
    .map((step) => fieldOf(step, 'payload'))
    .filter(isClientHello)
}

function isClientHello(message: Uint8Array): boolean {
  return message[0] === 1
}

/** RFC 8446 §4.1.2: legacy_version, random, legacy_session_id<1>. */
export function fixedPartOf(hello: Uint8Array): {
  readonly random: Uint8Array
  readonly sessionId: Uint8Array
} {
  const end = 39 + (hello[38] ?? 0)
  return { random: hello.slice(6, 38), sessionId: hello.slice(39, end) }
}

/**
 * What takes the place of our hellos where a handshake hashes them: other extensions stand in the
 * trace's, and everything behind them is hashed over these.
 */
export class HelloExchange {
  readonly #theirs: Uint8Array[]
  readonly #known: Map<string, Uint8Array> = new Map<string, Uint8Array>()

  constructor(one: Trace) {
    this.#theirs = [...hellosOf(one)]
  }

  /** Called once with each of our hellos; the trace's comes back. */
  exchange(ours: Uint8Array): Uint8Array {
    assert.ok(isClientHello(ours))
    const theirs = this.#theirs.shift()
    assert.ok(theirs, 'one ClientHello more than the trace has')
    this.#known.set(hex(ours), theirs)
    return theirs
  }

  of(data: Uint8Array): Uint8Array {
    return this.#known.get(hex(data)) ?? data
  }
}

/** Node's provider with the trace's key pairs, each given once, in the order of their making. */
export function tracedCrypto(one: Trace, hellos: HelloExchange): ChannelCrypto {
  const pairs = one.steps.filter(
    ({ actor, label }) => actor === 'client' && label.startsWith('create an ephemeral'),
  )
  return {
    ...nodeCrypto,
    generateEphemeral(group) {
      const pair = pairs.shift()
      assert.ok(pair, 'one key pair more than the trace has')
      return ephemeralOf(pair, group)
    },
    hasher(name) {
      const hasher = nodeCrypto.hasher(name)
      return {
        update: (data) => hasher.update(hellos.of(data)),
        digest: () => hasher.digest(),
      }
    },
    hash: (name, data) => nodeCrypto.hash(name, hellos.of(data)),
  }
}

function ephemeralOf(pair: Step, group: GroupName): EphemeralKey {
  assert.ok(group === 'x25519' || group === 'secp256r1')
  assert.equal(group === 'x25519' ? 'x25519' : 'P-256', pair.label.split(' ')[3])
  const ephemeral = ephemeralFrom(group, keyPairOf(pair))
  assert.equal(hex(ephemeral.share), hex(fieldOf(pair, 'public key')))
  return ephemeral
}

const part = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url')

function keyPairOf(pair: Step): KeyPairKeyObjectResult {
  const point = publicKeyOf(pair)
  const d = part(fieldOf(pair, 'private key'))
  const key =
    point.length === 32
      ? { kty: 'OKP', crv: 'X25519', d, x: part(point) }
      : { kty: 'EC', crv: 'P-256', d, x: part(point.subarray(1, 33)), y: part(point.subarray(33)) }
  const privateKey = createPrivateKey({ key, format: 'jwk' })
  return { privateKey, publicKey: createPublicKey(privateKey) }
}

/** DER of the only certificate in the Certificate message of a side (RFC 8446 §4.4.2). */
export function certificateOf(one: Trace, actor: Actor): Uint8Array {
  const message = Buffer.from(field(one, actor, certificateLabel, 'Certificate'))
  const length = message.readUIntBE(8, 3)
  return new Uint8Array(message.subarray(11, 11 + length))
}

/** Takes exactly the trace's server. The judge would not: its certificate has no name and no CA. */
export function trustOf(one: Trace): ServerTrust {
  return ({ chain, staple }) => {
    assert.deepEqual(chain.map(hex), [hex(certificateOf(one, 'server'))])
    assert.equal(staple, undefined)
    return { leaf: parseCertificate(certificateOf(one, 'server')) } as VerifiedPeer
  }
}

/** The client's certificate, and its signature for exactly what is due to be signed. */
export function credentialOf(one: Trace): ClientCredential | undefined {
  if (stepsOf(one, 'client', certificateLabel).length === 0) return undefined
  const der = certificateOf(one, 'client')
  const spki = new X509Certificate(der).publicKey.export({ format: 'der', type: 'spki' })
  let isSpent = false
  const signer: Signer = {
    scheme: { kind: 'rsa-pss', hash: 'sha256', saltLength: 32 },
    spki: new Uint8Array(spki),
    async sign(content) {
      assert.equal(hex(content), hex(signedByClient(one)))
      assert.ok(!isSpent, 'one signature more than the trace has')
      isSpent = true
      // Behind the header, the scheme and the length (RFC 8446 §4.4.3).
      return field(one, 'client', verifyLabel, 'CertificateVerify').subarray(8)
    },
  }
  return { chain: [der], signer }
}

function signedByClient(one: Trace): Uint8Array {
  for (const { step, transcript } of walk(one)) {
    if (step.actor !== 'client' || step.label !== verifyLabel) continue
    const context = Buffer.from('TLS 1.3, client CertificateVerify\0')
    return Buffer.concat([Buffer.alloc(64, ' '), context, sha256(transcript)])
  }
  throw new Error(`${one.name} has no CertificateVerify of the client`)
}

/** What the trace's client draws: its random, and in compatibility mode its session id. */
export function randomOf(one: Trace): Random {
  const { random, sessionId } = fixedPartOf(hellosOf(one)[0] ?? new Uint8Array())
  const draws = [random, sessionId].filter(({ length }) => length > 0)
  return {
    bytes(length) {
      const drawn = draws.shift()
      assert.equal(drawn?.length, length)
      return drawn
    },
  }
}

/** As near to the trace's client as ours comes. */
export function policyOptionsOf(one: Trace): PolicyOptions {
  return {
    suites: ['TLS_AES_128_GCM_SHA256', 'TLS_CHACHA20_POLY1305_SHA256', 'TLS_AES_256_GCM_SHA384'],
    groups: ['x25519', 'secp256r1'],
    shares: ['x25519'],
    compatibility: one.name === 'Compatibility Mode',
    staple: false,
  }
}

export function optionsOf(one: Trace, hellos: HelloExchange): HandshakeOptions {
  const crypto = tracedCrypto(one, hellos)
  return {
    crypto,
    random: randomOf(one),
    clock: { now: () => 0 },
    policy: policyOf(crypto, policyOptionsOf(one)),
    trust: trustOf(one),
    serverName: 'server',
    credential: credentialOf(one),
    session: undefined,
  }
}
