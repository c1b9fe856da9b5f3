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

/** As bytes (DER and PKCS#8 have them too), hex, base64 and base64url (PEM and JWK). */
export function holds(where: Uint8Array, scalar: Uint8Array): boolean {
  const bytes = Buffer.from(where.buffer, where.byteOffset, where.length)
  return looksOf(scalar).bytes.some((form) => bytes.includes(form))
}

/**
 * As `holds`, as one number, and as a list of numbers, with or without their indices, in lines and
 * columns: what printing and JSON make of typed arrays and of buffers.
 */
export function says(text: string, scalar: Uint8Array): boolean {
  const { words, numbers } = looksOf(scalar)
  return words.some((form) => text.includes(form)) || numbers.test(text)
}

interface Looks {
  readonly bytes: readonly Buffer[]
  readonly words: readonly string[]
  readonly numbers: RegExp
}

const known = new Map<string, Looks>()

/** Of one scalar, made once: they are looked for in many places. */
function looksOf(scalar: Uint8Array): Looks {
  const hex = Buffer.from(scalar).toString('hex')
  const looks = known.get(hex) ?? makeLooks(Buffer.from(scalar), hex)
  known.set(hex, looks)
  return looks
}

function makeLooks(scalar: Buffer, hex: string): Looks {
  const pairs = hex.match(/../g) ?? []
  const texts = [hex, hex.toUpperCase(), ...base64Of(scalar)]
  // A number in hex begins with its first digit that counts.
  const others = [pairs.join(' '), pairs.join(':'), hex.replace(/^0+/, '')]
  const words = [...others, ...others.map((text) => text.toUpperCase()), String(BigInt(`0x${hex}`))]
  const numbers = [...scalar].map((octet, i) => `${i === 0 ? '' : `(?:"?${i}"?\\W+)?`}${octet}`)
  return {
    bytes: [scalar, ...texts.map((text) => Buffer.from(text))],
    words: [scalar.toString('latin1'), ...texts, ...words],
    numbers: new RegExp(`(?<!\\d)${numbers.join('\\W+')}(?!\\d)`),
  }
}

/** It looks one of three ways, by where it begins; in PEM a line may end in one of the halves. */
function base64Of(scalar: Buffer): readonly string[] {
  const forms = [0, 1, 2].flatMap((pad) => {
    const bytes = Buffer.concat([Buffer.alloc(pad), scalar])
    return [bytes.toString('base64'), bytes.toString('base64url')]
  })
  return [...new Set(forms.flatMap((text) => [text.slice(4, 22), text.slice(22, 40)]))]
}
