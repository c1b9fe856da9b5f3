/**
 * The private key of an element, as a test can know it: from the file of a twin or of an emulated
 * part, found there by its public key. And the shapes in which it could be handed out or printed.
 */
import assert from 'node:assert/strict'
import { createECDH, createPrivateKey } from 'node:crypto'
import { readFileSync } from 'node:fs'

/** The scalar of this public key (X || Y) in the file of a software twin. */
export function scalarInTwin(file: string, point: Uint8Array): Buffer {
  const { slots }: { slots: Record<string, string> } = JSON.parse(readFileSync(file, 'utf8'))
  for (const pkcs8 of Object.values(slots)) {
    const key = createPrivateKey({
      key: Buffer.from(pkcs8, 'base64'),
      format: 'der',
      type: 'pkcs8',
    })
    const scalar = Buffer.from(key.export({ format: 'jwk' }).d ?? '', 'base64url')
    if (publicOf(scalar)?.equals(point) === true) return scalar
  }
  return assert.fail('the file of the twin does not hold the key')
}

/** The scalar of this public key (X || Y) in the file of an emulated ATECC608. */
export function scalarInChip(file: string, point: Uint8Array): Buffer {
  const { slots }: { slots: readonly string[] } = JSON.parse(readFileSync(file, 'utf8'))
  for (const cells of slots.map((text) => Buffer.from(text, 'hex'))) {
    for (let at = 0; at + 32 <= cells.length; at++) {
      const scalar = cells.subarray(at, at + 32)
      if (publicOf(scalar)?.equals(point) === true) return scalar
    }
  }
  return assert.fail('the file of the emulator does not hold the key')
}

function publicOf(scalar: Buffer): Buffer | undefined {
  const pair = createECDH('prime256v1')
  try {
    pair.setPrivateKey(scalar)
    return pair.getPublicKey().subarray(1)
  } catch {
    // No scalar of P-256 begins here.
    return undefined
  }
}

/** As bytes (DER and PKCS#8 have them too), hex, base64 and base64url (PEM and JWK), in decimal. */
export function holds(where: Uint8Array, scalar: Uint8Array): boolean {
  const bytes = Buffer.from(where.buffer, where.byteOffset, where.length)
  return looksOf(scalar).forms.some((form) => bytes.includes(form))
}

/**
 * As `holds`, and as a list of numbers, with or without their indices, in lines and columns: what
 * printing and JSON make of typed arrays and of buffers.
 */
export function says(text: string, scalar: Uint8Array): boolean {
  return holds(Buffer.from(text), scalar) || looksOf(scalar).numbers.test(text)
}

interface Looks {
  readonly forms: readonly Buffer[]
  readonly numbers: RegExp
}

const known = new Map<string, Looks>()

/** Of one scalar, made once: they are looked for in many places. */
function looksOf(bytes: Uint8Array): Looks {
  const scalar = Buffer.from(bytes)
  const name = scalar.toString('hex')
  const looks = known.get(name) ?? { forms: formsOf(scalar), numbers: numbersOf(scalar) }
  known.set(name, looks)
  return looks
}

function numbersOf(scalar: Buffer): RegExp {
  const numbers = [...scalar].map((octet, i) => `${i === 0 ? '' : `(?:"?${i}"?\\W+)?`}${octet}`)
  return new RegExp(`(?<!\\d)${numbers.join('\\W+')}(?!\\d)`)
}

function formsOf(scalar: Buffer): readonly Buffer[] {
  const hex = scalar.toString('hex')
  const pairs = hex.match(/../g) ?? []
  const texts = [hex, pairs.join(' '), pairs.join(':')]
  // A number in hex begins with its first digit that counts.
  texts.push(hex.replace(/^0+/, ''), BigInt(`0x${hex}`).toString())
  texts.push(...texts.map((text) => text.toUpperCase()))
  // In base64 its middle looks one of three ways, by where it begins.
  for (const pad of [0, 1, 2]) {
    const bytes = Buffer.concat([Buffer.alloc(pad), scalar])
    for (const alphabet of ['base64', 'base64url'] as const) {
      texts.push(bytes.toString(alphabet).slice(4, 40))
    }
  }
  return [scalar, ...[...new Set(texts)].map((text) => Buffer.from(text))]
}
