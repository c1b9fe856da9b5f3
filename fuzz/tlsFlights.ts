/**
 * What a TLS server says in a whole conversation, piece by piece, in records that the glass provider
 * opens: the ground from which the fuzzer of the client starts.
 */
import { concat, fromHex, hex } from '@countersign/core/codec'
import type { Signer } from '@countersign/core/ports'
import type { PresentedChain } from '@countersign/core/tls'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { extension } from '../packages/core/src/tls/extensions.ts'
import {
  contentType,
  extensionType as type,
  groupNumbers,
  handshakeType,
} from '../packages/core/src/tls/registry.ts'
import { u8, u16, u32, vector } from '../packages/core/src/tls/wire.ts'
import { root } from '../packages/core/test/judge/world.ts'
import { glassMac, glassRecord, plainRecord } from './tlsGlass.ts'

export const serverName = 'gate.example'
/** What a client of glass draws, each time. */
export const drawn: Uint8Array = new Uint8Array(32).fill(7)

export interface Piece {
  /** Of the record it is in; hellos go without protection. */
  readonly record: 'hello' | 'flight' | 'later' | 'alert' | 'data'
  /** Of the handshake message; undefined for alerts and data. */
  readonly type: number | undefined
  readonly body: Uint8Array
}

export const stories = ['full', 'authenticated', 'resumed', 'retried'] as const
export type Story = (typeof stories)[number]

export interface ServerWords {
  readonly shown: PresentedChain
  /** SHA-256 of the issuing CA's key. */
  readonly anchor: string
  readonly pieces: Readonly<Record<Story, readonly Piece[]>>
}

/** No key is needed where glass verifies, and without one the same bytes come each time. */
export function glassSigner(fill: number): Signer {
  const prefix = fromHex('3059301306072a8648ce3d020106082a8648ce3d03010703420004')
  const signature = fromHex(`30440220${'11'.repeat(32)}0220${'22'.repeat(32)}`)
  return {
    scheme: { kind: 'ecdsa', hash: 'sha256', encoding: 'der' },
    spki: concat(prefix, new Uint8Array(64).fill(fill)),
    sign: async () => signature,
  }
}

export async function serverWords(): Promise<ServerWords> {
  const top = await root({ signer: glassSigner(1) })
  const ca = await top.issue({ ca: true, name: 'Server CA', signer: glassSigner(2) })
  const altNames = [{ kind: 'dns', value: serverName }] as const
  const leaf = await ca.issue({ name: 'gate', altNames, signer: glassSigner(3) })
  const chain = [leaf.certificate.der, ca.certificate.der]
  return {
    shown: { chain, staple: undefined, isStapleAsked: false },
    anchor: hex(nodeCrypto.hash('sha256', ca.certificate.spki.der)),
    pieces: {
      full: [hello(x25519), ...proof(chain), finished, ...laterOn],
      authenticated: [hello(x25519), ...proof(chain, request), finished, ...laterOn],
      resumed: [hello(x25519, psk), encryptedExtensions, finished, ...laterOn],
      retried: [retry, hello(secp256r1), ...proof(chain), finished, ...laterOn],
    },
  }
}

const supported = extension(type.supportedVersions, u16(0x0304))
const psk = extension(type.preSharedKey, u16(0))
const x25519 = keyShare(groupNumbers.x25519, 32)
const secp256r1 = keyShare(groupNumbers.secp256r1, 65)
const retryRandom = nodeCrypto.hash('sha256', Buffer.from('HelloRetryRequest'))

function keyShare(group: number, length: number): Uint8Array {
  return extension(type.keyShare, u16(group), vector(2, new Uint8Array(length).fill(4)))
}

function hello(...extensions: readonly Uint8Array[]): Piece {
  return serverHello(new Uint8Array(32).fill(0x33), extensions)
}

const retry: Piece = serverHello(retryRandom, [
  extension(type.keyShare, u16(groupNumbers.secp256r1)),
  extension(type.cookie, vector(2, new Uint8Array(40).fill(0x63))),
])

function serverHello(random: Uint8Array, extensions: readonly Uint8Array[]): Piece {
  return {
    record: 'hello',
    type: handshakeType.serverHello,
    body: concat(
      u16(0x0303),
      random,
      vector(1, drawn),
      u16(0x1301),
      u8(0),
      vector(2, supported, ...extensions),
    ),
  }
}

const encryptedExtensions: Piece = flight(
  'encryptedExtensions',
  vector(
    2,
    extension(type.serverName),
    extension(type.supportedGroups, vector(2, u16(groupNumbers.secp256r1))),
    extension(type.alpn, vector(2, vector(1, Buffer.from('mqtt')))),
    extension(type.recordSizeLimit, u16(1024)),
  ),
)

const request: Piece = flight(
  'certificateRequest',
  u8(0),
  vector(
    2,
    extension(type.signatureAlgorithms, vector(2, u16(0x0403), u16(0x0807), u16(0x0804))),
    extension(type.certificateAuthorities, vector(2, vector(2, fromHex('3000')))),
  ),
)

const finished: Piece = flight('finished', glassMac)

/** EncryptedExtensions to CertificateVerify. */
function proof(chain: readonly Uint8Array[], ...asked: readonly Piece[]): readonly Piece[] {
  const entries = chain.map((der) => concat(vector(3, der), vector(2)))
  return [
    encryptedExtensions,
    ...asked,
    flight('certificate', u8(0), vector(3, ...entries)),
    flight('certificateVerify', u16(0x0403), vector(2, new Uint8Array(70).fill(0x30))),
  ]
}

const laterOn: readonly Piece[] = [
  ticket(),
  { record: 'data', type: undefined, body: new Uint8Array(200).fill(0x61) },
  { record: 'later', type: handshakeType.keyUpdate, body: u8(1) },
  { record: 'data', type: undefined, body: new Uint8Array(3).fill(0x62) },
  { record: 'alert', type: undefined, body: Uint8Array.of(1, 0) },
]

function ticket(): Piece {
  const body = concat(
    u32(7200),
    u32(0x1234_5678),
    vector(1, new Uint8Array(8)),
    vector(2, new Uint8Array(180).fill(0x74)),
    vector(2, extension(type.earlyData, u32(16_384))),
  )
  return { record: 'later', type: handshakeType.newSessionTicket, body }
}

function flight(name: keyof typeof handshakeType, ...body: readonly Uint8Array[]): Piece {
  return { record: 'flight', type: handshakeType[name], body: concat(...body) }
}

/** The content of its record: a handshake message has its header, with the length that is right. */
export function contentOf({ type: message, body }: Piece): Uint8Array {
  return message === undefined ? body : concat(u8(message), vector(3, body))
}

export interface Layout {
  /** The whole flight in as few records as it takes, or each message in its own. */
  readonly isPacked: boolean
  /** Zeros in protected records. */
  readonly padding: number
}

/** The records of a conversation, as bytes of the stream. */
export function wireOf(pieces: readonly Piece[], { isPacked, padding }: Layout): Uint8Array {
  const records: Uint8Array[] = []
  const seal = (kind: number, content: Uint8Array): void => {
    for (const part of cut(content)) records.push(glassRecord(kind, part, padding))
  }
  let held: Uint8Array[] = []
  const sealFlight = (): void => {
    const contents = isPacked && held.length > 0 ? [concat(...held)] : held
    for (const content of contents) seal(contentType.handshake, content)
    held = []
  }
  for (const piece of pieces) {
    const content = contentOf(piece)
    if (piece.record === 'flight') held.push(content)
    else sealFlight()
    if (piece.record === 'hello') {
      for (const part of cut(content)) records.push(plainRecord(contentType.handshake, part))
      records.push(changeCipherSpec)
    } else if (piece.record !== 'flight') seal(recordTypes[piece.record], content)
  }
  sealFlight()
  return concat(...records)
}

const recordTypes = {
  later: contentType.handshake,
  alert: contentType.alert,
  data: contentType.applicationData,
} as const

const changeCipherSpec: Uint8Array = Uint8Array.of(20, 3, 3, 0, 1, 1)

/** No record is too long on its own account. */
function cut(content: Uint8Array): readonly Uint8Array[] {
  const most = 16_000
  const parts: Uint8Array[] = [content.subarray(0, most)]
  for (let at = most; at < content.length; at += most) parts.push(content.subarray(at, at + most))
  return parts
}
