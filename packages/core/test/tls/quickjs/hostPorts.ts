/** The host's side of the bridge: Node's crypto provider behind a table of keys. */
import { nodeCrypto, randomBytes } from '@countersign/element/nodeCrypto'
import { parseSpki } from '@countersign/core/credential'
import { PeerError } from '@countersign/core/errors'
import type { EphemeralKey, Hasher, PublicKey, SecretKey } from '@countersign/core/ports'
import type { HostPorts, Row } from './bridge.ts'

class Table<T> {
  readonly #rows: T[] = []

  add(value: T): Row {
    return this.#rows.push(value) - 1
  }

  get(row: Row): T {
    const value = this.#rows[row]
    if (value === undefined) throw new Error(`the table has no row ${row}`)
    return value
  }
}

export function hostPorts(now: () => number): HostPorts {
  const secrets = new Table<SecretKey>()
  const hashers = new Table<Hasher>()
  const ephemerals = new Table<EphemeralKey>()
  const publicKeys = new Table<PublicKey>()
  return {
    now,
    random: (length) => randomBytes.bytes(length),
    hash: (name, data) => nodeCrypto.hash(name, data),
    hasher: (name) => hashers.add(nodeCrypto.hasher(name)),
    update: (row, data) => hashers.get(row).update(data),
    digest: (row) => hashers.get(row).digest(),
    pointOfX: (x) => nodeCrypto.pointOfX(x),
    importSecret: (bytes) => secrets.add(nodeCrypto.importSecret(bytes)),
    exportSecret: (row) => nodeCrypto.exportSecret(secrets.get(row)),
    hkdfExtract: (hash, salt, input) =>
      secrets.add(nodeCrypto.hkdfExtract(hash, secrets.get(salt), secrets.get(input))),
    hkdfExpand: (hash, key, info, length) =>
      secrets.add(nodeCrypto.hkdfExpand(hash, secrets.get(key), info, length)),
    hmac: (hash, key, data) => nodeCrypto.hmac(hash, secrets.get(key), data),
    generateEphemeral(group) {
      const key = nodeCrypto.generateEphemeral(group)
      return { row: ephemerals.add(key), share: key.share }
    },
    agree: (row, share) => orNothing(() => secrets.add(ephemerals.get(row).agree(share))),
    importPublicKey(spki) {
      const { algorithm } = parseSpki(spki)
      if (algorithm === undefined) return undefined
      return orNothing(() => publicKeys.add(nodeCrypto.importPublicKey(spki, algorithm)))
    },
    verify: (row, scheme, data, signature) =>
      nodeCrypto.verify(publicKeys.get(row), scheme, data, signature),
    seal: (aead, key, ...rest) => nodeCrypto.seal(aead, secrets.get(key), ...rest),
    open: (aead, key, ...rest) => orNothing(() => nodeCrypto.open(aead, secrets.get(key), ...rest)),
  }
}

function orNothing<T>(act: () => T): T | undefined {
  try {
    return act()
  } catch (error) {
    if (error instanceof PeerError) return undefined
    throw error
  }
}
