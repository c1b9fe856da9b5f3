/**
 * The crypto ports in JavaScript alone, on @noble/curves, @noble/hashes and @noble/ciphers: for hosts
 * without Node's crypto. What it lacks beside Node's provider: RSA, the hybrid X25519MLKEM768, and
 * sealing in pieces. It is not constant-time, and a secret that it no longer needs may stay in
 * memory (decision 24).
 */
import type { ChannelCrypto, Random } from '../ports.ts'
import { aeadNames, open, seal } from './noble/aeads.ts'
import { generateEphemeral, groupNames, pointOfX } from './noble/groups.ts'
import { importPublicKey, verify } from './noble/publicKeys.ts'
import {
  exportSecret,
  hash,
  hasher,
  hkdfExpand,
  hkdfExtract,
  hmac,
  importSecret,
} from './noble/secrets.ts'

/** Private keys of agreements come from `random`, and nothing else here is random. */
export function nobleCrypto(random: Random): ChannelCrypto {
  return {
    aeads: aeadNames,
    groups: groupNames,
    hash,
    hasher,
    importPublicKey,
    verify,
    pointOfX,
    importSecret,
    exportSecret,
    hkdfExtract,
    hkdfExpand,
    hmac,
    generateEphemeral: (group, agreements) => generateEphemeral(random, group, agreements),
    seal,
    open,
  }
}
