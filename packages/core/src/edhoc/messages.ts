/**
 * message_1 to message_4 (RFC 9528 §5.2 to §5.5) between bytes and values. Strict: deterministic
 * CBOR, each value in its one form, nothing behind it, so that what is parsed is encoded to the
 * same bytes again. Whether a suite is supported, a point on its curve, a critical item known, is
 * asked afterwards (suites.ts, points.ts, ead.ts).
 */
import { CborReader, cbor, concat } from '../codec/index.ts'
import { encodeByteIdentifier, readByteIdentifier } from '../cose/index.ts'
import { type EadItem, encodeEad, parseEad } from './ead.ts'
import { edhocError, useError } from './edhocError.ts'
import { edhocLimits } from './limits.ts'
import { type Method, methods } from './methods.ts'
import { type Suite, suites } from './suites.ts'

export interface Message1 {
  readonly method: Method
  /** Best first, the selected one last; at least one. */
  readonly suitesI: readonly number[]
  readonly gX: Uint8Array
  readonly cI: Uint8Array
  readonly ead: readonly EadItem[]
}

export function encodeMessage1({ method, suitesI, gX, cI, ead }: Message1): Uint8Array {
  return concat(
    cbor.int(method.number),
    encodeSuites(suitesI),
    cbor.byteString(gX),
    encodeByteIdentifier(cI),
    encodeEad(ead),
  )
}

/** Throws PeerError: ERR_EDHOC_METHOD, ERR_EDHOC_MESSAGE, ERR_CBOR_*. */
export function parseMessage1(bytes: Uint8Array): Message1 {
  const reader = new CborReader(bytes, 'message_1', edhocLimits.messageBytesMax)
  const method = parseMethod(reader)
  const suitesI = parseSuites(reader, 'SUITES_I')
  const gX = reader.byteString('G_X', edhocLimits.ephemeralKeyBytesMax)
  checkKeyLength(suites.get(suitesI.at(-1) ?? Number.NaN), gX)
  const cI = readByteIdentifier(reader, 'C_I', edhocLimits.identifierBytesMax)
  return { method, suitesI, gX, cI, ead: parseEad(reader, 'EAD_1') }
}

function parseMethod(reader: CborReader): Method {
  const number = reader.int('METHOD')
  const method = methods.get(number)
  if (method !== undefined) return method
  throw edhocError('ERR_EDHOC_METHOD', `${number} is no method that is known here`, { number })
}

/** With a suite that is not known any length goes: the answer is an error with SUITES_R. */
function checkKeyLength(selected: Suite | undefined, gX: Uint8Array): void {
  if (selected === undefined || gX.length === selected.curve.length) return
  throw edhocError('ERR_EDHOC_MESSAGE', 'G_X is not as long as a key of its suite', {
    suite: selected.number,
    length: gX.length,
  })
}

/** SUITES_I and SUITES_R (§5.2.1, §6.3): one alone without an array around it. */
export function encodeSuites(numbers: readonly number[]): Uint8Array {
  const [first, ...more] = numbers.map((number) => cbor.int(number))
  return first !== undefined && more.length === 0
    ? first
    : cbor.array(...numbers.map((number) => cbor.int(number)))
}

export function parseSuites(reader: CborReader, field: string): readonly number[] {
  if (reader.peek() !== 'array') return [reader.int(field)]
  const count = reader.array(field)
  if (count < 2 || count > edhocLimits.suitesMax) {
    throw edhocError('ERR_EDHOC_MESSAGE', `${field} is an array of ${count}`, { count })
  }
  const numbers = Array.from({ length: count }, () => reader.int(field))
  if (new Set(numbers).size === count) return numbers
  throw edhocError('ERR_EDHOC_MESSAGE', `${field} names a suite twice`)
}

export interface Message2 {
  readonly gY: Uint8Array
  readonly ciphertext2: Uint8Array
}

/** Throws CallerError ERR_EDHOC_LENGTH. */
export function encodeMessage2({ gY, ciphertext2 }: Message2): Uint8Array {
  return within('message_2', cbor.byteString(concat(gY, ciphertext2)))
}

/** Throws PeerError: ERR_EDHOC_MESSAGE, ERR_CBOR_*. */
export function parseMessage2(bytes: Uint8Array, { curve }: Suite): Message2 {
  const content = parseOneString(bytes, 'message_2', 'G_Y_CIPHERTEXT_2')
  const { length } = content
  if (length <= curve.length) {
    throw edhocError('ERR_EDHOC_MESSAGE', 'message_2 has no room for G_Y and a ciphertext', {
      length,
    })
  }
  return { gY: content.subarray(0, curve.length), ciphertext2: content.subarray(curve.length) }
}

/**
 * message_3 and message_4 are alike: one byte string, a ciphertext with its tag. Throws CallerError
 * ERR_EDHOC_LENGTH.
 */
export function encodeSealed(ciphertext: Uint8Array): Uint8Array {
  return within('message_3 or message_4', cbor.byteString(ciphertext))
}

/** CIPHERTEXT_3. Throws PeerError: ERR_EDHOC_MESSAGE, ERR_CBOR_*. */
export function parseMessage3(bytes: Uint8Array, suite: Suite): Uint8Array {
  return parseSealed(bytes, suite, 'message_3', 'CIPHERTEXT_3')
}

/** CIPHERTEXT_4. Throws as parseMessage3. */
export function parseMessage4(bytes: Uint8Array, suite: Suite): Uint8Array {
  return parseSealed(bytes, suite, 'message_4', 'CIPHERTEXT_4')
}

function parseSealed(bytes: Uint8Array, { aead }: Suite, name: string, field: string): Uint8Array {
  const ciphertext = parseOneString(bytes, name, field)
  if (ciphertext.length >= aead.tagLength) return ciphertext
  throw edhocError('ERR_EDHOC_MESSAGE', `${name} has no room for a tag`, {
    length: ciphertext.length,
  })
}

/** Nothing goes out that an end like this one would not read. */
function within(name: string, message: Uint8Array): Uint8Array {
  if (message.length <= edhocLimits.messageBytesMax) return message
  throw useError(
    'ERR_EDHOC_LENGTH',
    `${name} has ${message.length} bytes, ${edhocLimits.messageBytesMax} at most`,
    'Name the credential by x5t or kid instead of sending a chain.',
  )
}

function parseOneString(bytes: Uint8Array, name: string, field: string): Uint8Array {
  const reader = new CborReader(bytes, name, edhocLimits.messageBytesMax)
  const content = reader.byteString(field)
  reader.end()
  return content
}
