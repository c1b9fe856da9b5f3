/**
 * Key pairs in a token: found by label, made, and verified once made. A token is asked for keys that
 * never leave it and is not believed on its word: the attributes are read back, and the new pair
 * signs something that its public half verifies.
 */
import { createHash, createPublicKey, randomBytes, verify } from 'node:crypto'
import { concat, DerReader, fromHex, tag } from '@countersign/core/codec'
import { type ElementError, elementError } from '@countersign/core/ports'
import { attribute, keyType, mechanism, objectClass } from './constants.ts'
import type { Attribute, Cryptoki, Handle, Pair } from './cryptoki.ts'
import { isObjectGone } from './returnValues.ts'
import { quietly } from './sessions.ts'
import type { Connection, Token } from './token.ts'

export type TokenCurve = 'P-256' | 'P-384'

interface CurveFacts {
  /** Bytes of a coordinate. */
  readonly size: number
  readonly hash: 'sha256' | 'sha384'
  /** CKA_EC_PARAMS: the OID of the named curve, DER (RFC 5480 §2.1.1.1). */
  readonly parameters: Uint8Array
  /** SubjectPublicKeyInfo up to the octet 04 of the point (RFC 5480 §2). */
  readonly spkiHead: Uint8Array
}

export const curves: Readonly<Record<TokenCurve, CurveFacts>> = {
  'P-256': {
    size: 32,
    hash: 'sha256',
    parameters: fromHex('06082a8648ce3d030107'),
    spkiHead: fromHex('3059301306072a8648ce3d020106082a8648ce3d03010703420004'),
  },
  'P-384': {
    size: 48,
    hash: 'sha384',
    parameters: fromHex('06052b81040022'),
    spkiHead: fromHex('3076301006072a8648ce3d020106052b8104002203620004'),
  },
}

/** A pair as it lies in the token. */
export interface TokenKey {
  readonly privateKey: Handle
  readonly curve: TokenCurve
  /** X || Y. */
  readonly point: Uint8Array
  readonly canSign: boolean
  readonly canDerive: boolean
  /** What the token says: its private half may be read or taken out. */
  readonly isExposed: boolean
}

/**
 * The pair of this label; undefined when there is none. Throws ERR_ELEMENT_CONFIG for one that
 * cannot be used: two of one label, no public half, another curve.
 */
export function findKey(
  cryptoki: Cryptoki,
  session: Handle,
  label: string,
  where: string,
): TokenKey | undefined {
  const [privateKey, second] = ofLabel(cryptoki, session, objectClass.privateKey, label)
  if (privateKey === undefined) return undefined
  if (second !== undefined) throw ambiguous(label, where)
  const flag = (type: number): boolean | undefined =>
    flagOf(cryptoki.attribute(session, privateKey, type))
  if (flag(attribute.alwaysAuthenticate) === true) {
    throw elementError(
      'ERR_ELEMENT_UNSUPPORTED',
      `the key "${label}" wants its PIN for every signature (CKA_ALWAYS_AUTHENTICATE)`,
      {},
      { where, hint: 'Make a key without it.' },
    )
  }
  const { curve, point } = publicHalf(cryptoki, session, privateKey, label, where)
  return {
    privateKey,
    curve,
    point,
    canSign: flag(attribute.sign) ?? true,
    canDerive: flag(attribute.derive) ?? false,
    // A token that does not tell is not taken at its best.
    isExposed: flag(attribute.sensitive) !== true || flag(attribute.extractable) !== false,
  }
}

function ambiguous(label: string, where: string): ElementError {
  return elementError(
    'ERR_ELEMENT_CONFIG',
    `two private keys in the token are called "${label}"`,
    {},
    { where, hint: 'Delete the wrong one with pkcs11-tool, or make the key anew.' },
  )
}

/** The pair and all others of its label. */
export async function destroyKey(token: Token, label: string): Promise<void> {
  await token.write(async ({ cryptoki }, session) => {
    for (const kind of [objectClass.privateKey, objectClass.publicKey]) {
      for (const object of ofLabel(cryptoki, session, kind, label)) {
        destroyOld(cryptoki, session, object)
      }
    }
  })
}

function ofLabel(
  cryptoki: Cryptoki,
  session: Handle,
  kind: number,
  label: string,
): readonly Handle[] {
  return cryptoki.find(session, [
    { type: attribute.class, value: kind },
    { type: attribute.label, value: label },
  ])
}

function flagOf(value: Uint8Array | undefined): boolean | undefined {
  return value?.length === 1 ? value[0] !== 0 : undefined
}

function publicHalf(
  cryptoki: Cryptoki,
  session: Handle,
  privateKey: Handle,
  label: string,
  where: string,
): { readonly curve: TokenCurve; readonly point: Uint8Array } {
  const publics = ofLabel(cryptoki, session, objectClass.publicKey, label)
  const id = cryptoki.attribute(session, privateKey, attribute.id) ?? new Uint8Array()
  const isPaired = (one: Handle): boolean =>
    publics.length === 1 ||
    Buffer.from(id).equals(cryptoki.attribute(session, one, attribute.id) ?? new Uint8Array())
  // Some tokens keep no public object, and answer CKA_EC_POINT of the private one.
  const holder = publics.find(isPaired) ?? privateKey
  const parameters = cryptoki.attribute(session, holder, attribute.ecParams)
  const curve = curveOf(parameters)
  if (curve === undefined) throw unusable(label, 'is not of P-256 or P-384', where)
  const point = pointOf(cryptoki.attribute(session, holder, attribute.ecPoint), curve)
  if (point === undefined) throw unusable(label, 'has no public half that is a point', where)
  return { curve, point }
}

function curveOf(parameters: Uint8Array | undefined): TokenCurve | undefined {
  if (parameters === undefined) return undefined
  if (Buffer.compare(parameters, curves['P-256'].parameters) === 0) return 'P-256'
  return Buffer.compare(parameters, curves['P-384'].parameters) === 0 ? 'P-384' : undefined
}

/**
 * PKCS#11 v2.40, the EC mechanisms: CKA_EC_POINT is the DER of an OCTET STRING around the point.
 * Tokens are met that give the point bare. Only a point of the curve is taken.
 */
export function pointOf(value: Uint8Array | undefined, curve: TokenCurve): Uint8Array | undefined {
  const bare = value === undefined ? undefined : bareOf(value, 1 + 2 * curves[curve].size)
  if (bare === undefined || bare[0] !== 0x04) return undefined
  const point = new Uint8Array(bare.subarray(1))
  return isOnCurve(point, curve) ? point : undefined
}

function bareOf(value: Uint8Array, length: number): Uint8Array | undefined {
  if (value.length === length) return value
  try {
    const reader = new DerReader(value, 'CKA_EC_POINT', 2 * length)
    reader.expect(tag.octetString, 'point')
    const inner = value.subarray(reader.contentStart, reader.contentEnd)
    reader.end()
    return inner.length === length ? inner : undefined
  } catch {
    return undefined
  }
}

/** OpenSSL takes no other. */
export function isOnCurve(point: Uint8Array, curve: TokenCurve): boolean {
  try {
    createPublicKey({ key: Buffer.from(spkiOf(point, curve)), format: 'der', type: 'spki' })
    return true
  } catch {
    return false
  }
}

export function spkiOf(point: Uint8Array, curve: TokenCurve): Uint8Array {
  return concat(curves[curve].spkiHead, point)
}

/**
 * Makes a pair under this label; one that was there is destroyed, but not before the new one is
 * known to be good.
 */
export function makeKey(token: Token, label: string, curve: TokenCurve): Promise<TokenKey> {
  return token.write(async (connection, session) => {
    const { cryptoki } = connection
    const old = [objectClass.privateKey, objectClass.publicKey].flatMap((kind) =>
      ofLabel(cryptoki, session, kind, label),
    )
    const pair = await generate(connection, session, label, curve)
    let made: TokenKey
    try {
      made = await judgePair(connection, session, pair, curve, token.where)
    } catch (error) {
      for (const half of [pair.privateKey, pair.publicKey]) {
        quietly(() => cryptoki.destroy(session, half))
      }
      throw error
    }
    for (const object of old) destroyOld(cryptoki, session, object)
    return made
  })
}

function destroyOld(cryptoki: Cryptoki, session: Handle, object: Handle): void {
  try {
    cryptoki.destroy(session, object)
  } catch (error) {
    // Somebody else was quicker.
    if (!isObjectGone(error)) throw error
  }
}

function canDerive({ mechanisms }: Connection): boolean {
  return mechanisms.has(mechanism.ecdh1Derive)
}

async function generate(
  connection: Connection,
  session: Handle,
  label: string,
  curve: TokenCurve,
): Promise<Pair> {
  // One identifier for both halves is how tools tell that they belong together.
  const both: readonly Attribute[] = [
    { type: attribute.token, value: true },
    { type: attribute.label, value: label },
    { type: attribute.id, value: randomBytes(16) },
  ]
  return await connection.cryptoki.generatePair(
    session,
    [
      ...both,
      { type: attribute.private, value: false },
      { type: attribute.verify, value: true },
      { type: attribute.ecParams, value: curves[curve].parameters },
    ],
    [
      ...both,
      { type: attribute.private, value: true },
      { type: attribute.sensitive, value: true },
      { type: attribute.extractable, value: false },
      { type: attribute.sign, value: true },
      ...(canDerive(connection) ? [{ type: attribute.derive, value: true }] : []),
    ],
  )
}

/** Demanded of a new private key. The last three are told by tokens that know them. */
const demanded = [
  ['CKA_TOKEN', attribute.token, true, 'told'],
  ['CKA_PRIVATE', attribute.private, true, 'told'],
  ['CKA_SENSITIVE', attribute.sensitive, true, 'told'],
  ['CKA_EXTRACTABLE', attribute.extractable, false, 'told'],
  ['CKA_SIGN', attribute.sign, true, 'told'],
  ['CKA_LOCAL', attribute.local, true, 'if known'],
  ['CKA_ALWAYS_SENSITIVE', attribute.alwaysSensitive, true, 'if known'],
  ['CKA_NEVER_EXTRACTABLE', attribute.neverExtractable, true, 'if known'],
] as const

async function judgePair(
  { cryptoki }: Connection,
  session: Handle,
  pair: Pair,
  curve: TokenCurve,
  where: string,
): Promise<TokenKey> {
  const { privateKey, publicKey } = pair
  for (const [name, type, wanted, told] of demanded) {
    const is = flagOf(cryptoki.attribute(session, privateKey, type))
    if (is === wanted || (is === undefined && told === 'if known')) continue
    throw lied(`it has ${name} ${is ?? 'untold'} where ${wanted} was asked for`, where)
  }
  if (numberOf(cryptoki.attribute(session, privateKey, attribute.keyType)) !== keyType.ec) {
    throw lied('it is no EC key', where)
  }
  if (curveOf(cryptoki.attribute(session, publicKey, attribute.ecParams)) !== curve) {
    throw lied('it is on another curve', where)
  }
  const point = pointOf(cryptoki.attribute(session, publicKey, attribute.ecPoint), curve)
  if (point === undefined) throw lied('its public half is no point of the curve', where)
  if (!(await doesSign(cryptoki, session, privateKey, point, curve))) {
    throw lied('what its private half signs its public half does not verify', where)
  }
  const derive = flagOf(cryptoki.attribute(session, privateKey, attribute.derive)) ?? false
  return { privateKey, curve, point, canSign: true, canDerive: derive, isExposed: false }
}

async function doesSign(
  cryptoki: Cryptoki,
  session: Handle,
  privateKey: Handle,
  point: Uint8Array,
  curve: TokenCurve,
): Promise<boolean> {
  const { hash, size } = curves[curve]
  const message = randomBytes(32)
  const digest = createHash(hash).update(message).digest()
  const signature = await cryptoki.sign(session, privateKey, digest, 2 * size)
  const key = createPublicKey({
    key: Buffer.from(spkiOf(point, curve)),
    format: 'der',
    type: 'spki',
  })
  return verify(hash, message, { key, dsaEncoding: 'ieee-p1363' }, signature)
}

/** CK_ULONG of this machine: little-endian, 4 or 8 bytes. */
function numberOf(value: Uint8Array | undefined): number | undefined {
  if (value === undefined || value.length < 4) return undefined
  return Buffer.from(value).readUIntLE(0, 4)
}

function lied(what: string, where: string): ElementError {
  return elementError(
    'ERR_ELEMENT_CONFIG',
    `the token made another key than was asked for: ${what}`,
    {},
    { where, hint: 'The key was removed again. This token does not protect keys.' },
  )
}

function unusable(label: string, what: string, where: string): ElementError {
  return elementError(
    'ERR_ELEMENT_CONFIG',
    `the key "${label}" ${what}`,
    {},
    { where, hint: 'pkcs11-tool --list-objects shows what is in the token.' },
  )
}
