/** Private keys for handshakes with foreign programs, and claims sets (CCS) around them. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { fromHex, hex } from '@countersign/core/codec'
import { suitesOf } from '@countersign/core/edhoc'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { node, p256Point } from '../../providers.ts'
import { ephemeralKey, type Side } from '../parties.ts'

/** A private key of P-256 by its name, in hex; the same for the same name. */
export type Keys = (name: string) => string

export function drawnKeys(): Keys {
  const found = new Map<string, string>()
  return (name) => {
    const key = found.get(name) ?? hex(randomBytes(32))
    found.set(name, key)
    return key
  }
}

/** For what is recorded. */
export function fixedKeys(scene: string): Keys {
  return (name) => createHash('sha256').update(`${scene}: ${name}`).digest('hex')
}

const suite = suitesOf(nodeCrypto).find(({ number }) => number === 2) ?? assert.fail()

/** A CWT claims set: sub, and cnf with a COSE_Key (RFC 9528 §3.5.2). */
export function claims(kid: string, privateKey: string): Side {
  const point = p256Point(privateKey)
  const [x, y] = [point.slice(1, 33), point.slice(33)].map(hex)
  const id = `4${kid.length / 2}${kid}`
  const credential = fromHex(`a2026374776f08a101a5010202${id}2001215820${x}225820${y}`)
  const kind = 'static key'
  return {
    own: {
      kind,
      credential,
      reference: { kid: fromHex(kid) },
      key: { agree: async (share) => ephemeralKey(node, suite, privateKey, 1).agree(share) },
    },
    trusted: { kind, credential, g: point.slice(1, 33) },
  }
}
