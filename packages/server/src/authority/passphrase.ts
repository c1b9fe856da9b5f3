/**
 * A secret wrapped by a passphrase: scrypt (RFC 7914) makes the wrapping key, AES-256-GCM seals.
 * The cost is written into the file, so that it can be raised later: opening an old file still
 * works, and the caller learns that it should be wrapped again.
 */
import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto'
import { CallerError } from '@countersign/core/errors'

/** scrypt's N (as a power of two), r and p. */
export interface ScryptCost {
  readonly log2N: number
  readonly r: number
  readonly p: number
}

/**
 * 128 MiB and about half a second on one core: an attacker with the file pays it for every guess.
 */
export const scryptCost: ScryptCost = { log2N: 17, r: 8, p: 1 }

/**
 * What a file may ask for: someone who can write it must not make us allocate without bound. 2^20 *
 * 8 * 128 B = 1 GiB.
 */
const costMax: ScryptCost = { log2N: 20, r: 8, p: 4 }

export type VaultErrorCode = 'ERR_PASSPHRASE' | 'ERR_VAULT_CORRUPT' | 'ERR_KEY_FILE_MISSING'

interface WrappedFile {
  readonly format: typeof format
  readonly name: string
  readonly cost: ScryptCost
  readonly salt: string
  readonly nonce: string
  readonly sealed: string
}

const format = 'countersign-wrapped-1'
const saltLength = 16
const nonceLength = 12
const tagLength = 16
const fileLengthMax = 16_384

/**
 * Makes the text of a key file. `name` is bound into the seal: one file never opens in another's
 * place.
 */
export async function wrap(
  name: string,
  secret: Uint8Array,
  passphrase: string,
  cost: ScryptCost = scryptCost,
): Promise<string> {
  const salt = randomBytes(saltLength)
  const nonce = randomBytes(nonceLength)
  const key = await derive(passphrase, salt, cost)
  try {
    const cipher = createCipheriv('aes-256-gcm', key, nonce)
    cipher.setAAD(aad(name, cost))
    const sealed = Buffer.concat([cipher.update(secret), cipher.final(), cipher.getAuthTag()])
    const file: WrappedFile = {
      format,
      name,
      cost,
      salt: salt.toString('base64'),
      nonce: nonce.toString('base64'),
      sealed: sealed.toString('base64'),
    }
    return `${JSON.stringify(file)}\n`
  } finally {
    key.fill(0)
  }
}

/** Opens a key file. The caller wipes `secret` as soon as it has made a handle of it. */
export async function unwrap(
  name: string,
  text: string,
  passphrase: string,
): Promise<{ secret: Uint8Array; cost: ScryptCost }> {
  const file = parse(name, text)
  const sealed = Buffer.from(file.sealed, 'base64')
  const key = await derive(passphrase, Buffer.from(file.salt, 'base64'), file.cost)
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(file.nonce, 'base64'))
    decipher.setAAD(aad(name, file.cost))
    decipher.setAuthTag(sealed.subarray(-tagLength))
    const opened = decipher.update(sealed.subarray(0, -tagLength))
    decipher.final()
    return { secret: opened, cost: file.cost }
  } catch (cause) {
    // GCM cannot tell a wrong key from a changed file, and nothing beyond this one answer is told.
    throw new CallerError<VaultErrorCode>(
      'ERR_PASSPHRASE',
      `the passphrase does not open ${name}`,
      {},
      {
        hint: 'Check the passphrase (--passphrase-file); if it is right, the file was changed: restore it from a backup.',
        cause,
      },
    )
  } finally {
    key.fill(0)
  }
}

/** True when a file made with `cost` should be wrapped again with `wanted`. */
export function isCheaper(cost: ScryptCost, wanted: ScryptCost): boolean {
  return cost.log2N < wanted.log2N || cost.r < wanted.r || cost.p < wanted.p
}

function derive(passphrase: string, salt: Uint8Array, cost: ScryptCost): Promise<Buffer> {
  const N = 2 ** cost.log2N
  // OpenSSL needs 128 * N * r bytes and a little beside it.
  const maxmem = 128 * N * cost.r + 128 * cost.r * cost.p + 1_048_576
  return new Promise((resolve, reject) => {
    // NFKC: the same passphrase typed on another system gives the same bytes.
    scrypt(
      passphrase.normalize('NFKC'),
      salt,
      32,
      { N, r: cost.r, p: cost.p, maxmem },
      (error, key) => (error === null ? resolve(key) : reject(error)),
    )
  })
}

function aad(name: string, cost: ScryptCost): Uint8Array {
  return Buffer.from(`${format}\n${name}\n${cost.log2N} ${cost.r} ${cost.p}`)
}

function parse(name: string, text: string): WrappedFile {
  if (text.length > fileLengthMax) throw corrupt(name, 'longer than any key file')
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw corrupt(name, 'not JSON', cause)
  }
  if (!isWrapped(value)) throw corrupt(name, 'not a wrapped key')
  if (value.name !== name) throw corrupt(name, 'the file of another key')
  return value
}

function isWrapped(value: unknown): value is WrappedFile {
  if (typeof value !== 'object' || value === null) return false
  const file = value as Partial<Record<keyof WrappedFile, unknown>>
  return (
    file.format === format &&
    typeof file.name === 'string' &&
    isCost(file.cost) &&
    isBase64(file.salt, saltLength, saltLength) &&
    isBase64(file.nonce, nonceLength, nonceLength) &&
    isBase64(file.sealed, tagLength + 1, fileLengthMax)
  )
}

function isBase64(value: unknown, lengthMin: number, lengthMax: number): value is string {
  if (typeof value !== 'string') return false
  const length = Buffer.from(value, 'base64').length
  return length >= lengthMin && length <= lengthMax
}

function isCost(value: unknown): value is ScryptCost {
  if (typeof value !== 'object' || value === null) return false
  const cost = value as Partial<Record<keyof ScryptCost, unknown>>
  return (
    isWithin(cost.log2N, costMax.log2N) &&
    isWithin(cost.r, costMax.r) &&
    isWithin(cost.p, costMax.p)
  )
}

function isWithin(value: unknown, max: number): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= max
}

export function corrupt(name: string, why: string, cause?: unknown): CallerError<VaultErrorCode> {
  return new CallerError<VaultErrorCode>(
    'ERR_VAULT_CORRUPT',
    `${name} is not a key file of this product: ${why}`,
    {},
    { hint: 'Restore the folder from a backup.', cause },
  )
}
