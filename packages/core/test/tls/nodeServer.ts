/** A server of Node's TLS in this process, and our client at the other end of a pipe between them. */
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { duplexPair } from 'node:stream'
import { createSecureContext, TLSSocket } from 'node:tls'
import { pem } from '@countersign/core/codec'
import { parseCertificate, type VerifiedPeer } from '@countersign/core/credential'
import { type PolicyOptions, type Secured, TlsClient } from '@countersign/core/tls'
import { nodeCrypto, randomBytes } from '@countersign/element/nodeCrypto'
import { softwareSigner } from '@countersign/element/softwareSigner'
import { root } from '../judge/world.ts'

export interface Meeting {
  readonly client: TlsClient
  readonly server: TLSSocket
  readonly secured: Secured
  /** What the client has received so far. */
  readonly received: () => string
  /** Why the client's connection is over. */
  readonly failure: () => unknown
}

/** Both sides have finished the handshake. */
export async function meet(policy: PolicyOptions = {}): Promise<Meeting> {
  const { key, certificate } = await serverIdentity()
  const [ours, theirs] = duplexPair()
  const secureContext = createSecureContext({
    key,
    cert: pem('CERTIFICATE', certificate.der),
    minVersion: 'TLSv1.3',
    // OpenSSL has CCM with the short tag at its lowest level only.
    ciphers: `${policy.suites?.join(':') ?? 'TLS_AES_128_GCM_SHA256'}:DEFAULT@SECLEVEL=0`,
  })
  const server = new TLSSocket(theirs, { isServer: true, secureContext })
  const received: Uint8Array[] = []
  let failure: unknown
  const { promise, resolve, reject } = Promise.withResolvers<Secured>()
  server.on('error', reject)
  const client = new TlsClient(
    {
      crypto: nodeCrypto,
      random: randomBytes,
      clock: { now: () => Date.now() },
      // A self-signed certificate for this test alone: the judge's verdicts have their own tests.
      trust: ({ chain: [leaf] }) =>
        ({ leaf: parseCertificate(leaf ?? certificate.der) }) as VerifiedPeer,
      policy,
    },
    {
      send: (bytes) => ours.write(bytes),
      secured: resolve,
      data: (bytes) => received.push(bytes),
      resumable: () => {},
      ended: () => {},
      failed: (error) => {
        failure = error
        reject(error)
      },
    },
  )
  ours.on('data', (bytes: Buffer) => client.receive(bytes))
  client.start()
  const [secured] = await Promise.all([promise, once(server, 'secure')])
  return {
    client,
    server,
    secured,
    received: () => Buffer.concat(received).toString(),
    failure: () => failure,
  }
}

async function serverIdentity(): Promise<{
  readonly key: string
  readonly certificate: { readonly der: Uint8Array }
}> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { certificate } = await root({ signer: softwareSigner(privateKey) })
  return { key: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(), certificate }
}
