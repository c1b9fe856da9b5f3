/**
 * What a puppet can do: the messages of a TLS 1.3 server (RFC 8446 §4), each with its parts open to
 * change, and the flights that are made of them.
 */
import { constants, createHash, type KeyObject, sign } from 'node:crypto'
import { extension, field, type Laid, lay, message, sized, u8, u16, u32 } from './puppetBytes.ts'
import { expandLabel, finishedMac, groupIds, puppetAgreements } from './puppetKeys.ts'
import { type Puppet, signedContent, type Step } from './puppet.ts'

/** The server's random that makes it a HelloRetryRequest (RFC 8446 §4.1.3). */
export const retryRandom: Buffer = createHash('sha256').update('HelloRetryRequest').digest()
export const serverRandom: Buffer = createHash('sha256').update('random of the puppet').digest()

export interface HelloParts {
  readonly version: number
  readonly random: Uint8Array
  readonly sessionId: Uint8Array
  readonly suite: number
  readonly compression: number
  /** Undefined: the message ends before their list, as it may in older versions. */
  readonly extensions: readonly Laid[] | undefined
}

export type Change<Parts> = (parts: Parts, puppet: Puppet) => Parts

const same = <Parts>(parts: Parts): Parts => parts

export function laidHello(parts: HelloParts): Laid {
  const { extensions } = parts
  const body = lay(
    field('legacy_version', u16(parts.version)),
    field('random', parts.random),
    sized('session_id', 1, parts.sessionId),
    field('cipher_suite', u16(parts.suite)),
    field('compression', u8(parts.compression)),
    ...(extensions === undefined ? [] : [sized('extensions', 2, lay(...extensions))]),
  )
  return message(2, body)
}

export const tls13: Laid = extension('supported_versions', 43, u16(0x0304))

export function keyShare(group: number, share: Uint8Array): Laid {
  return extension('key_share', 51, lay(field('group', u16(group)), sized('share', 2, share)))
}

/** The right ServerHello; a change makes it a wrong one. What follows is under the handshake's keys. */
export function serverHello(change: Change<HelloParts> = same): Step {
  const say = bareServerHello(change)
  return (puppet) => {
    say(puppet)
    puppet.negotiated()
  }
}

/** A ServerHello that changes no keys. */
export function bareServerHello(change: Change<HelloParts> = same): Step {
  return (puppet) => {
    const { suite, group, psk } = puppet
    const share = puppetAgreements.get(group)?.share ?? Buffer.alloc(0)
    const resumed = psk === undefined ? [] : [extension('pre_shared_key', 41, u16(0))]
    const extensions = [tls13, keyShare(group, share), ...resumed]
    const right = helloParts(puppet, serverRandom, suite.id, extensions)
    puppet.say('ServerHello', laidHello(change(right, puppet)))
  }
}

/** Asks for a share of `group`. */
export function retry(
  group: number | undefined = groupIds.secp256r1,
  change: Change<HelloParts> = same,
): Step {
  return (puppet) => {
    const extensions = [
      tls13,
      ...(group === undefined ? [] : [extension('key_share', 51, u16(group))]),
    ]
    const right = helloParts(puppet, retryRandom, puppet.suite.id, extensions)
    puppet.forgetHello()
    puppet.say('HelloRetryRequest', laidHello(change(right, puppet)))
  }
}

export function cookie(bytes: Uint8Array): Laid {
  return extension('cookie', 44, sized('cookie value', 2, bytes))
}

function helloParts(
  { hello }: Puppet,
  random: Uint8Array,
  suite: number,
  extensions: readonly Laid[],
): HelloParts {
  const sessionId = hello?.sessionId ?? Buffer.alloc(0)
  return { version: 0x0303, random, sessionId, suite, compression: 0, extensions }
}

export const changeCipherSpec: Step = (puppet) => {
  puppet.flush()
  puppet.record(Buffer.of(20, 3, 3, 0, 1, 1))
}

export function encryptedExtensions(...extensions: readonly Laid[]): Step {
  return (puppet) => {
    const body = sized('extensions', 2, lay(...extensions))
    puppet.say('EncryptedExtensions', message(8, body))
  }
}

/** Ed25519, ECDSA P-256, RSA-PSS: what a puppet verifies, and one that it does not. */
export const askedSchemes: Laid = extension(
  'signature_algorithms',
  13,
  sized('schemes', 2, Buffer.concat([0x0807, 0x0403, 0x0804].map(u16))),
)

export function certificateRequest(
  extensions: readonly Laid[] = [askedSchemes],
  context: Uint8Array = Buffer.alloc(0),
): Step {
  return (puppet) => {
    const list = sized('extensions', 2, lay(...extensions))
    puppet.say('CertificateRequest', message(13, lay(sized('context', 1, context), list)))
  }
}

export interface CertificateEntry {
  readonly der: Uint8Array
  readonly extensions: readonly Laid[]
}

export function certificate(
  change: Change<readonly CertificateEntry[]> = same,
  context: Uint8Array = Buffer.alloc(0),
): Step {
  return (puppet) => {
    const right = puppet.options.identity.chain.map((der) => ({ der, extensions: [] }))
    const entries = change(right, puppet).map(({ der, extensions }, index) =>
      lay(
        sized(`certificate ${index}`, 3, der),
        sized(`extensions ${index}`, 2, lay(...extensions)),
      ),
    )
    const list = sized('list', 3, lay(...entries))
    puppet.say('Certificate', message(11, lay(sized('context', 1, context), list)))
  }
}

export interface VerifyParts {
  readonly scheme: number
  readonly key: KeyObject
  /** What is signed. */
  readonly content: Uint8Array
  /** Of RSA-PSS. */
  readonly saltLength: number
  /** In the place of the one that is made. */
  readonly signature?: Uint8Array
}

export function certificateVerify(change: Change<VerifyParts> = same): Step {
  return (puppet) => {
    const { scheme, key } = puppet.options.identity
    const content = signedContent('server', puppet.digest())
    const right = { scheme, key, content, saltLength: 32 }
    const parts = change(right, puppet)
    const signature = sized('signature', 2, parts.signature ?? signed(parts))
    puppet.say('CertificateVerify', message(15, lay(field('scheme', u16(parts.scheme)), signature)))
  }
}

/** By the key, as its kind signs in TLS 1.3; the scheme may say something else. */
function signed({ key, content, saltLength }: VerifyParts): Buffer {
  if (key.asymmetricKeyType === 'ed25519') return sign(null, content, key)
  if (key.asymmetricKeyType === 'rsa') {
    return sign('sha256', content, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength })
  }
  const hash = key.asymmetricKeyDetails?.namedCurve === 'prime256v1' ? 'sha256' : 'sha384'
  return sign(hash, content, key)
}

export function finished(change: Change<Buffer> = same): Step {
  return (puppet) => {
    const right = finishedMac(puppet.suite, puppet.serverSecret, puppet.digest())
    puppet.say('Finished', message(20, field('verify_data', change(right, puppet))))
    puppet.finished()
  }
}

export interface TicketParts {
  readonly lifetime: number
  readonly ageAdd: number
  readonly nonce: Uint8Array
  readonly ticket: Uint8Array
  readonly extensions: readonly Laid[]
}

/** The nth ticket of a puppet. It remembers what it gave out. */
export function ticket(number = 1, change: Change<TicketParts> = same): Step {
  return (puppet) => {
    const right: TicketParts = {
      lifetime: 3600,
      ageAdd: 0x0102_0304,
      nonce: Buffer.of(0, number),
      ticket: createHash('sha256').update(`ticket ${number}`).digest().subarray(0, 16),
      extensions: [],
    }
    const parts = change(right, puppet)
    const { suite, resumption } = puppet
    const psk = expandLabel(suite, resumption, 'resumption', parts.nonce)
    puppet.options.tickets?.set(Buffer.from(parts.ticket).toString('hex'), { psk, suite })
    puppet.say('NewSessionTicket', message(4, laidTicket(parts)))
  }
}

function laidTicket({ lifetime, ageAdd, nonce, ticket: bytes, extensions }: TicketParts): Laid {
  return lay(
    field('lifetime', u32(lifetime)),
    field('age_add', u32(ageAdd)),
    sized('nonce', 1, nonce),
    sized('ticket', 2, bytes),
    sized('extensions', 2, lay(...extensions)),
  )
}

/** A KeyUpdate of this kind; what follows is under the next key. */
export function keyUpdate(kind = 0): Step {
  return (puppet) => {
    puppet.say('KeyUpdate', message(24, field('request_update', u8(kind))))
    puppet.flush()
    puppet.out = puppet.out?.next()
  }
}

/** A message of any type. */
export function anyMessage(type: number, body: Uint8Array = Buffer.alloc(0)): Step {
  return (puppet) => puppet.say(`message of type ${type}`, message(type, field('body', body)))
}

export function data(bytes: Uint8Array | string): Step {
  return (puppet) => puppet.write(23, Buffer.from(bytes))
}

export function alert(number: number, level = number === 0 || number === 90 ? 1 : 2): Step {
  return (puppet) => puppet.write(21, Buffer.of(level, number))
}

export const closeNotify: Step = alert(0)

/** Content of any type, under the keys of the time. */
export function contentOf(type: number, bytes: Uint8Array): Step {
  return (puppet) => puppet.write(type, bytes)
}

/** Bytes as they are. */
export function raw(bytes: Uint8Array): Step {
  return (puppet) => {
    puppet.flush()
    puppet.record(Buffer.from(bytes))
  }
}

/** From the ServerHello on, of a server that asks who the client is. */
export const fullFlight: readonly Step[] = [
  serverHello(),
  changeCipherSpec,
  encryptedExtensions(),
  certificateRequest(),
  certificate(),
  certificateVerify(),
  finished(),
]

export const resumedFlight: readonly Step[] = [
  serverHello(),
  changeCipherSpec,
  encryptedExtensions(),
  finished(),
]

/** For a hello: one extension more. */
export function adding(...more: readonly Laid[]): Change<HelloParts> {
  return (parts) => ({ ...parts, extensions: [...(parts.extensions ?? []), ...more] })
}
