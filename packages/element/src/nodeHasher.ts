/** A running hash on node:crypto. A digest is taken from a copy, so that the hash itself goes on. */
import { createHash, type Hash } from 'node:crypto'
import type { Hasher, HashName } from '@countersign/core/ports'

class NodeHasher implements Hasher {
  readonly #hash: Hash

  constructor(name: HashName) {
    this.#hash = createHash(name)
  }

  update(data: Uint8Array): void {
    this.#hash.update(data)
  }

  digest(): Uint8Array {
    return this.#hash.copy().digest()
  }
}

export function hasher(name: HashName): Hasher {
  return new NodeHasher(name)
}
