/** A client that has something to offer, for tests of what it offers. */
import { randomBytes } from 'node:crypto'
import type { VerifiedPeer } from '@countersign/core/credential'
import type { EphemeralKey } from '@countersign/core/ports'
import type { PolicyOptions, ResumableSession, SuiteName } from '@countersign/core/tls'
import { nodeCrypto, randomBytes as random } from '@countersign/element/nodeCrypto'
import { Start } from '../../src/tls/clientStart.ts'
import type { HandshakeOptions } from '../../src/tls/negotiation.ts'
import { policyOf } from '../../src/tls/policy.ts'
import { type ParsedHello, parseHello } from './helloParser.ts'

export interface Offering {
  readonly options: HandshakeOptions
  /** The key pairs that were made, in their order. */
  readonly made: readonly EphemeralKey[]
}

export function offering(
  policy: PolicyOptions = {},
  others: Partial<HandshakeOptions> = {},
): Offering {
  const made: EphemeralKey[] = []
  const crypto = {
    ...nodeCrypto,
    generateEphemeral(group: EphemeralKey['group']) {
      const key = nodeCrypto.generateEphemeral(group)
      made.push(key)
      return key
    },
  }
  const options: HandshakeOptions = {
    crypto,
    random,
    clock: { now: () => 0 },
    policy: policyOf(crypto, policy),
    // Only asked about the server of a ticket here.
    trust: () => ({}) as VerifiedPeer,
    serverName: undefined,
    credential: undefined,
    session: undefined,
    ...others,
  }
  return { options, made }
}

/** The first hello of a client with this policy. */
export function firstHello(
  policy: PolicyOptions = {},
  others: Partial<HandshakeOptions> = {},
): ParsedHello {
  return parseHello(new Start(offering(policy, others).options).offer().message)
}

export interface KnownSession {
  readonly session: ResumableSession
  readonly psk: Uint8Array
}

/** A session whose secret the test knows. */
export function knownSession(
  suite: SuiteName = 'TLS_AES_128_GCM_SHA256',
  others: Partial<ResumableSession> = {},
): KnownSession {
  const psk = randomBytes(suite === 'TLS_AES_256_GCM_SHA384' ? 48 : 32)
  const session: ResumableSession = {
    ticket: randomBytes(100),
    psk: nodeCrypto.importSecret(psk),
    suite,
    ageAdd: 0x01020304,
    receivedAt: 0,
    lifetimeMs: 7_200_000,
    server: { chain: [], staple: undefined, isStapleAsked: true },
    isAuthenticated: true,
    client: undefined,
    serverName: undefined,
    ...others,
  }
  return { session, psk }
}
