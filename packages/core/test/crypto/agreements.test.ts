/** Key agreement with the private keys of Wycheproof, on each provider. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fromHex, hex } from '@countersign/core/codec'
import { PeerError } from '@countersign/core/errors'
import { providers } from '../providers.ts'

interface Case {
  readonly tcId: number
  readonly comment: string
  /** A signed integer for P-256: shorter or longer than 32 bytes. */
  readonly private: string
  readonly public: string
  readonly shared: string
  readonly result: 'valid' | 'acceptable' | 'invalid'
}

interface File {
  readonly numberOfTests: number
  readonly testGroups: readonly { readonly tests: readonly Case[] }[]
}

function read(name: string): File {
  const file = new URL(`../../../../vectors/wycheproof/${name}`, import.meta.url)
  return JSON.parse(readFileSync(file, 'utf8'))
}

const files = [
  // Zeros, points of the twist and non-canonical ones are left to the protocol, which refuses zeros
  // alone (RFC 7748 §6.1).
  ['x25519', 'x25519_test.json', ({ shared }: Case) => !/^0+$/.test(shared)],
  // "acceptable" is a compressed point, which the port does not take.
  ['secp256r1', 'ecdh_secp256r1_ecpoint_test.json', ({ result }: Case) => result === 'valid'],
] as const

for (const { name, crypto, prescribed } of providers)
  for (const [group, file, agrees] of files)
    test(`every agreement of ${file} gives its secret or is refused, ${name}`, () => {
      const { numberOfTests, testGroups } = read(file)
      let judged = 0
      for (const one of testGroups.flatMap(({ tests }) => tests)) {
        const key = prescribed(group, one.private.padStart(64, '0').slice(-64))
        const agreed = (): string => hex(crypto.exportSecret(key.agree(fromHex(one.public))))
        if (agrees(one)) assert.equal(agreed(), one.shared, `${one.tcId}: ${one.comment}`)
        else assert.throws(agreed, badShare, `${one.tcId}: ${one.comment}`)
        judged++
      }
      assert.equal(judged, numberOfTests)
    })

function badShare(error: unknown): boolean {
  return error instanceof PeerError && error.code === 'ERR_KEY_SHARE'
}
