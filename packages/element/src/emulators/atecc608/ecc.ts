/**
 * P-256 for the emulator: OpenSSL multiplies, BigInt does the rest modulo n. That arithmetic is not
 * constant in time, which is right for an emulator, whose keys protect nothing, and nowhere else.
 */

export const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
const prime = 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn
const b = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn

export function isScalar(bytes: Uint8Array): boolean {
  const value = toNumber(bytes)
  return value > 0n && value < order
}

/** X || Y on the curve: y² = x³ - 3x + b. */
export function isOnCurve(point: Uint8Array): boolean {
  const x = toNumber(point.subarray(0, 32))
  const y = toNumber(point.subarray(32))
  if (x >= prime || y >= prime) return false
  return (y * y - x * x * x + 3n * x - b) % prime === 0n
}

export function toNumber(bytes: Uint8Array): bigint {
  const hexText = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')
  return BigInt(`0x${hexText}`)
}

export function toBytes(value: bigint): Uint8Array {
  return new Uint8Array(Buffer.from(value.toString(16).padStart(64, '0'), 'hex'))
}
