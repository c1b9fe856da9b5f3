/**
 * What holds for every message of a TLS server that was accepted: read a second time by the rules of
 * the presentation language alone, it has the same values in the same places and nothing else.
 */
import { concat, equalBytes, utf8 } from '@countersign/core/codec'
import type { ServerChoice, RetryRequest } from '../packages/core/src/tls/serverHello.ts'
import type {
  CertificateRequestMessage,
  CertificateVerifyMessage,
  EncryptedExtensions,
  NewSessionTicket,
} from '../packages/core/src/tls/serverMessages.ts'
import type { PresentedChain } from '../packages/core/src/tls/trust.ts'
import { extensionType as type, groupNumbers } from '../packages/core/src/tls/registry.ts'
import { u8, u16, u32, vector } from '../packages/core/src/tls/wire.ts'

interface Extension {
  readonly type: number
  readonly body: Uint8Array
}

/** Values of extensions as they must have stood there; a type that is missing may have any. */
type Expected = ReadonlyMap<number, Uint8Array>

const nothing = new Uint8Array()

export function checkServerHello(body: Uint8Array, said: ServerChoice | RetryRequest): void {
  const sessionIdLength = body[34] ?? 0
  const head = concat(
    u16(0x0303),
    body.subarray(2, 34),
    vector(1, body.subarray(35, 35 + sessionIdLength)),
    u16(said.suite.id),
    u8(0),
  )
  const expected = new Map<number, Uint8Array>([[type.supportedVersions, u16(0x0304)]])
  if (said.kind === 'hello') {
    expected.set(type.keyShare, concat(u16(groupNumbers[said.group]), vector(2, said.share)))
    if (said.isResumed) expected.set(type.preSharedKey, u16(0))
  } else {
    if (said.group !== undefined) expected.set(type.keyShare, u16(groupNumbers[said.group]))
    if (said.cookie !== undefined) expected.set(type.cookie, vector(2, said.cookie))
  }
  requireWhole(body, head, expected)
}

export function checkEncryptedExtensions(body: Uint8Array, said: EncryptedExtensions): void {
  const expected = new Map<number, Uint8Array>([[type.serverName, nothing]])
  if (said.alpn !== undefined) expected.set(type.alpn, vector(2, vector(1, utf8(said.alpn))))
  const extensions = extensionsIn(body)
  const limit = extensions.find((one) => one.type === type.recordSizeLimit)
  // RFC 8449 §4: what is more than a record can hold means no more than that.
  const most = 16_384
  if (limit === undefined) same(said.contentMax, most, 'a limit without its extension')
  else if (said.contentMax < most) expected.set(type.recordSizeLimit, u16(said.contentMax + 1))
  else if (!exceeds(limit.body, most)) throw new Error('a limit was not taken')
  requireWhole(body, nothing, expected)
}

export function checkCertificateRequest(body: Uint8Array, said: CertificateRequestMessage): void {
  const schemes = vector(2, ...said.schemes.map((scheme) => u16(scheme)))
  requireWhole(body, u8(0), new Map([[type.signatureAlgorithms, schemes]]))
}

export function checkCertificate(body: Uint8Array, said: PresentedChain): void {
  let at = 4
  for (const [index, der] of said.chain.entries()) {
    const length = numberAt(body, at, 3)
    same(length, der.length, 'the length of a certificate')
    at += 3
    requireSame(body.subarray(at, at + length), der, 'a certificate')
    at += length
    const extensions = body.subarray(at, at + 2 + numberAt(body, at, 2))
    const expected = new Map<number, Uint8Array>()
    if (index === 0 && said.staple !== undefined) {
      expected.set(type.statusRequest, concat(u8(1), vector(3, said.staple)))
    }
    requireWhole(extensions, nothing, expected)
    at += extensions.length
  }
  same(at, body.length, 'the end of the list')
  requireSame(body.subarray(0, 4), concat(u8(0), u24(body.length - 4)), 'the head of the list')
}

export function checkCertificateVerify(body: Uint8Array, said: CertificateVerifyMessage): void {
  requireSame(body, concat(u16(said.scheme), vector(2, said.signature)), 'CertificateVerify')
}

export function checkNewSessionTicket(body: Uint8Array, said: NewSessionTicket): void {
  const { lifetimeSeconds, ageAdd, nonce, ticket } = said
  const head = concat(u32(lifetimeSeconds), u32(ageAdd), vector(1, nonce), vector(2, ticket))
  requireWhole(body, head, new Map())
}

export function checkKeyUpdate(body: Uint8Array, isRequest: boolean): void {
  requireSame(body, u8(isRequest ? 1 : 0), 'KeyUpdate')
}

/** `head`, then one list of extensions to the end, each once, with the values that are expected. */
function requireWhole(body: Uint8Array, head: Uint8Array, expected: Expected): void {
  requireSame(body.subarray(0, head.length), head, 'what stands before the extensions')
  const extensions = extensionsIn(body.subarray(head.length))
  const again = extensions.map((one) =>
    concat(u16(one.type), vector(2, expected.get(one.type) ?? one.body)),
  )
  requireSame(body, concat(head, vector(2, ...again)), 'the extensions')
  const types = new Set(extensions.map((one) => one.type))
  same(types.size, extensions.length, 'the number of different extensions')
  const [missing] = [...expected.keys()].filter((one) => !types.has(one) && one !== type.serverName)
  if (missing !== undefined) throw new Error(`extension ${missing} was read and is not there`)
}

function extensionsIn(list: Uint8Array): readonly Extension[] {
  const found: Extension[] = []
  for (let at = 2; at < list.length; ) {
    const length = numberAt(list, at + 2, 2)
    found.push({ type: numberAt(list, at, 2), body: list.subarray(at + 4, at + 4 + length) })
    at += 4 + length
  }
  return found
}

function numberAt(bytes: Uint8Array, at: number, length: number): number {
  let value = 0
  for (let index = at; index < at + length; index++) value = value * 256 + (bytes[index] ?? 0)
  return value
}

function exceeds(body: Uint8Array, limit: number): boolean {
  return body.length === 2 && numberAt(body, 0, 2) > limit
}

function u24(value: number): Uint8Array {
  return u32(value).subarray(1)
}

export function requireSame(found: Uint8Array, expected: Uint8Array, what: string): void {
  if (equalBytes(found, expected)) return
  const [a, b] = [found, expected].map((bytes) => Buffer.from(bytes).toString('hex'))
  throw new Error(`${what}: ${a} was taken for ${b}`)
}

function same(found: number, expected: number, what: string): void {
  if (found !== expected) throw new Error(`${what}: ${found} was taken for ${expected}`)
}
