/**
 * A crypto provider under a witness: the same provider, but for what the witness puts in its place.
 */
import { hex } from '@countersign/core/codec'
import type { ChannelCrypto, SecretKey } from '@countersign/core/ports'

/** A key of `instead` stands for the provider's own; `undefined` takes an optional method away. */
export function watched<Watched extends ChannelCrypto>(
  crypto: Watched,
  instead: Readonly<Partial<Record<keyof ChannelCrypto, unknown>>>,
): Watched {
  return new Proxy(crypto, {
    get(target, name): unknown {
      if (Object.hasOwn(instead, name)) return Reflect.get(instead, name)
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

/** Enough of a hash to tell the keys of one test apart. */
const keyNameBytes = 8

/** Names a key in what a test prints, and does not tell it. */
export function keyName(crypto: ChannelCrypto, key: SecretKey): string {
  return hex(crypto.hash('sha256', crypto.exportSecret(key)).subarray(0, keyNameBytes))
}
