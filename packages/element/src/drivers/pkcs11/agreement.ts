/** CKM_ECDH1_DERIVE with a private key of P-256, whichever it is: the x-coordinate as bytes. */
import { elementError } from '@countersign/core/ports'
import { attribute, keyType, objectClass } from './constants.ts'
import type { Cryptoki, Handle } from './cryptoki.ts'
import { CryptokiError, returnValue } from './returnValues.ts'
import { quietly } from './sessions.ts'

/** Of P-256. */
const secretLength = 32

/** `peer` is a point of the curve: the caller has looked. */
export async function agreedSecret(
  cryptoki: Cryptoki,
  session: Handle,
  key: Handle,
  peer: Uint8Array,
  where: string,
): Promise<Uint8Array> {
  const secret = await deriveObject(cryptoki, session, key, peer)
  try {
    const value = cryptoki.attribute(session, secret, attribute.value)
    if (value?.length === secretLength) return value
    throw elementError(
      'ERR_ELEMENT_PARSE',
      'the token answered no shared secret of 32 bytes',
      {},
      { where },
    )
  } finally {
    quietly(() => cryptoki.destroy(session, secret))
  }
}

/**
 * An object of the session alone, readable: the shared secret is for the key schedule of this
 * process.
 */
const secretTemplate = [
  { type: attribute.class, value: objectClass.secretKey },
  { type: attribute.keyType, value: keyType.genericSecret },
  { type: attribute.token, value: false },
  { type: attribute.sensitive, value: false },
  { type: attribute.extractable, value: true },
  { type: attribute.valueLength, value: secretLength },
]

/** PKCS#11 v2.40 leaves open whether the peer's point is bare or in an OCTET STRING: both exist. */
async function deriveObject(
  cryptoki: Cryptoki,
  session: Handle,
  key: Handle,
  peer: Uint8Array,
): Promise<Handle> {
  const bare = Buffer.concat([Buffer.of(0x04), peer])
  try {
    return await cryptoki.derive(session, key, bare, secretTemplate)
  } catch (error) {
    if (!(error instanceof CryptokiError) || !otherForm.has(error.returnValue)) throw error
    const wrapped = Buffer.concat([Buffer.of(0x04, bare.length), bare])
    return await cryptoki.derive(session, key, wrapped, secretTemplate)
  }
}

const otherForm: ReadonlySet<number> = new Set([
  returnValue.mechanismParamInvalid,
  returnValue.argumentsBad,
])
