/**
 * What follows from the values of a trace, computed with node:crypto alone: key exchange, key
 * schedule, transcript, records, CertificateVerify (RFC 8446 §4.4, §5.2, §7.1 to §7.4).
 */
import assert from 'node:assert/strict'
import {
  constants,
  createDecipheriv,
  createECDH,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  type KeyObject,
  verify,
  X509Certificate,
} from 'node:crypto'
import { type Actor, field, fieldOf, type Step, type Trace } from './rfc8448.ts'

export const nothing: Uint8Array = new Uint8Array()

export const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest()

export const hmac = (key: Uint8Array, bytes: Uint8Array): Buffer =>
  createHmac('sha256', key).update(bytes).digest()

export interface Moment {
  readonly step: Step
  /** The messages that a Transcript-Hash at this step covers (RFC 8446 §4.4.1). */
  readonly transcript: Buffer
  /** What the actor has constructed and not yet sent. */
  readonly flight: Buffer
}

/** SHA-256 of "HelloRetryRequest" (RFC 8446 §4.1.3). */
const retryRandom = sha256(Buffer.from('HelloRetryRequest'))

export function* walk(one: Trace): Generator<Moment> {
  let transcript = Buffer.alloc(0)
  const flights = { client: Buffer.alloc(0), server: Buffer.alloc(0) }
  for (const step of one.steps) {
    yield { step, transcript, flight: flights[step.actor] }
    if (step.label.startsWith('send ')) flights[step.actor] = Buffer.alloc(0)
    const message = messageOf(step)
    if (message === undefined) continue
    flights[step.actor] = Buffer.concat([flights[step.actor], message])
    if (step.label.includes('NewSessionTicket')) continue
    // RFC 8446 §4.4.1: the first ClientHello is replaced by message_hash.
    if (message.subarray(6, 38).equals(retryRandom))
      transcript = Buffer.concat([Buffer.from('fe000020', 'hex'), sha256(transcript)])
    transcript = Buffer.concat([transcript, message])
  }
}

/** What this step adds to the messages: a message, or the binders (RFC 8446 §4.2.11). */
function messageOf(step: Step): Buffer | undefined {
  const first = step.fields[0]
  if (first === undefined) return undefined
  if (step.label === 'calculate PSK binder')
    return Buffer.concat([Buffer.from('002120', 'hex'), fieldOf(step, 'finished')])
  if (!/^construct an? \w+ handshake message$/.test(step.label)) return undefined
  return Buffer.from(fieldOf(step, first.name))
}

export interface Expansion {
  readonly prefix: '' | 'key ' | 'iv '
  readonly label: string
  readonly context: Uint8Array
}

export function expansions(step: Step): readonly Expansion[] {
  if (step.label.includes('traffic keys'))
    return [
      { prefix: 'key ', label: 'tls13 key', context: nothing },
      { prefix: 'iv ', label: 'tls13 iv', context: nothing },
    ]
  const label = /"(tls13 .+)"/.exec(step.label)?.[1] ?? 'tls13 finished' // the binder has no label
  return [{ prefix: '', label, context: fieldOf(step, 'hash') }]
}

export function hkdfLabel(length: number, label: string, context: Uint8Array): Buffer {
  const name = Buffer.from(label)
  return Buffer.concat([
    Buffer.from([length >> 8, length & 255, name.length]),
    name,
    Buffer.from([context.length]),
    context,
  ])
}

/** HKDF-Expand (RFC 5869 §2.3) up to one block. */
export function expand(prk: Uint8Array, info: Uint8Array, length: number): Buffer {
  assert.ok(length <= 32)
  return hmac(prk, Buffer.concat([info, Buffer.from([1])])).subarray(0, length)
}

/** Which secret a step starts from (RFC 8446 §7.1), by who does what. */
const parents: readonly (readonly [RegExp, string])[] = [
  [/for handshake "tls13 derived"|"tls13 (c e traffic|e exp master)"/, 'extract secret "early"'],
  [/for master "tls13 derived"|"tls13 [cs] hs traffic"/, 'extract secret "handshake"'],
  [/"tls13 ([cs] ap traffic|exp master|res master)"/, 'extract secret "master"'],
  [/"tls13 resumption"/, 'derive secret "tls13 res master"'],
  [/keys for early application data/, 'derive secret "tls13 c e traffic"'],
  [/^server (calculate|derive write .* handshake)/, 'derive secret "tls13 s hs traffic"'],
  [/^client (calculate|derive write .* handshake)/, 'derive secret "tls13 c hs traffic"'],
  [/^server derive read .* handshake/, 'derive secret "tls13 c hs traffic"'],
  [/^server derive write .* application/, 'derive secret "tls13 s ap traffic"'],
  [/^client derive write .* application/, 'derive secret "tls13 c ap traffic"'],
]

export function parentOf(one: Trace, step: Step): Uint8Array {
  if (step.label === 'calculate PSK binder') {
    const early = field(one, 'client', 'extract secret "early"', 'secret')
    return expand(early, hkdfLabel(32, 'tls13 res binder', sha256(nothing)), 32)
  }
  const label = parents.find(([pattern]) => pattern.test(`${step.actor} ${step.label}`))?.[1]
  assert.ok(label, `no parent of ${step.label}`)
  return field(one, 'client', label, label.startsWith('extract') ? 'secret' : 'expanded')
}

/** The write side of an actor: takes each key where the trace derives it, counts its records. */
export class Writer {
  readonly one: Trace
  readonly actor: Actor
  keys: { readonly key: Uint8Array; readonly iv: Uint8Array } | undefined
  sequence: number = 0
  records: number = 0

  constructor(one: Trace, actor: Actor) {
    this.one = one
    this.actor = actor
  }

  follow(step: Step): void {
    const label = /^derive write traffic keys for .+? data/.exec(step.label)?.[0]
    if (label === undefined) return
    const [key, iv] = ['key expanded', 'iv expanded'].map((name) =>
      field(this.one, this.actor, label, name),
    )
    assert.ok(key && iv)
    this.keys = { key, iv }
    this.sequence = 0
  }

  /** RFC 8446 §5.1, §5.2: TLSPlaintext, or TLSCiphertext with its type behind the content. */
  open(record: Uint8Array): { type: number; content: Uint8Array; sealed: boolean } {
    const [header, body] = [record.subarray(0, 5), Buffer.from(record.subarray(5))]
    const initial = this.actor === 'client' && this.records++ === 0
    assert.equal(Buffer.from(header).readUInt16BE(1), initial ? 0x0301 : 0x0303)
    assert.equal(Buffer.from(header).readUInt16BE(3), body.length)
    const type = header[0] ?? 0
    if (type !== 23) return { type, content: body, sealed: false }
    assert.ok(this.keys)
    const nonce = Buffer.from(this.keys.iv)
    nonce.writeUInt8((nonce[11] ?? 0) ^ this.sequence++, 11)
    const cipher = createDecipheriv('aes-128-gcm', this.keys.key, nonce)
    cipher.setAAD(header).setAuthTag(body.subarray(-16))
    const inner = Buffer.concat([cipher.update(body.subarray(0, -16)), cipher.final()])
    return { type: inner.at(-1) ?? 0, content: inner.subarray(0, -1), sealed: true }
  }
}

/** PKCS #8 of an X25519 private key, up to its 32 octets (RFC 8410 §7). */
const x25519Private = Buffer.from('302e020100300506032b656e04220420', 'hex')
const x25519Public = Buffer.from('302a300506032b656e032100', 'hex')

function x25519(privateKey: Uint8Array): KeyObject {
  const key = Buffer.concat([x25519Private, privateKey])
  return createPrivateKey({ key, format: 'der', type: 'pkcs8' })
}

export function publicKeyOf(pair: Step): Uint8Array {
  const privateKey = fieldOf(pair, 'private key')
  if (pair.label.includes('x25519')) {
    const spki = createPublicKey(x25519(privateKey)).export({ format: 'der', type: 'spki' })
    return spki.subarray(x25519Public.length)
  }
  const ecdh = createECDH('prime256v1')
  ecdh.setPrivateKey(privateKey)
  return ecdh.getPublicKey()
}

export function sharedSecret(own: Step, peer: Uint8Array): Uint8Array {
  const privateKey = fieldOf(own, 'private key')
  if (own.label.includes('x25519')) {
    const key = Buffer.concat([x25519Public, peer])
    const publicKey = createPublicKey({ key, format: 'der', type: 'spki' })
    return diffieHellman({ privateKey: x25519(privateKey), publicKey })
  }
  const ecdh = createECDH('prime256v1')
  ecdh.setPrivateKey(privateKey)
  return ecdh.computeSecret(peer)
}

export function publicKeyOfCertificate(one: Trace, actor: Actor): KeyObject {
  const label = 'construct a Certificate handshake message'
  const message = Buffer.from(field(one, actor, label, 'Certificate'))
  // RFC 8446 §4.4.2: header, context<1>, certificate_list<3> that begins with cert_data<3>
  const at = 4 + 1 + message.readUInt8(4) + 3
  const length = message.readUIntBE(at, 3)
  return new X509Certificate(message.subarray(at + 3, at + 3 + length)).publicKey
}

/** RFC 8446 §4.4.3. */
export function signatureHolds(
  key: KeyObject,
  message: Uint8Array,
  { actor }: Step,
  transcript: Uint8Array,
): boolean {
  const content = Buffer.concat([
    Buffer.alloc(64, ' '),
    Buffer.from(`TLS 1.3, ${actor} CertificateVerify\0`),
    sha256(transcript),
  ])
  const padding = constants.RSA_PKCS1_PSS_PADDING
  const saltLength = constants.RSA_PSS_SALTLEN_DIGEST
  const scheme = Buffer.from(message).readUInt16BE(4)
  assert.equal(scheme, key.asymmetricKeyType === 'rsa' ? 0x0804 : 0x0403)
  const how = scheme === 0x0804 ? { key, padding, saltLength } : { key }
  return verify('sha256', content, how, message.subarray(8))
}
