/**
 * Who is who in the conversations with a puppet: a root, the issuing CA of the servers, the puppet's
 * certificate, a client's. Ed25519 with keys that are the same in each process, hence certificates
 * and flights that are the same to the bit.
 */
import type { KeyObject } from 'node:crypto'
import { type Anchor, purposes } from '@countersign/core/credential'
import { softwareSigner } from '@countersign/element/softwareSigner'
import { type Entity, root, type Shape } from '../judge/world.ts'
import type { PuppetIdentity } from './puppet.ts'
import { fixedKey } from './puppetKeys.ts'

export const host = 'gate.example'
const altName = { kind: 'dns', value: host } as const

export const ed25519Scheme = 0x0807

const keys = {
  root: fixedKey('ed25519', 1),
  issuing: fixedKey('ed25519', 2),
  server: fixedKey('ed25519', 3),
  clientCa: fixedKey('ed25519', 4),
  client: fixedKey('ed25519', 5),
}

/** Long enough for the clock of a foreign client too. */
const dates = { notBefore: Date.UTC(2020, 0), notAfter: Date.UTC(2049, 0) }

export const rootCa: Entity = await root({ ...dates, signer: softwareSigner(keys.root) })

export const issuingCa: Entity = await rootCa.issue({
  ...dates,
  name: 'Server CA',
  ca: true,
  pathLen: 0,
  signer: softwareSigner(keys.issuing),
})

export const anchor: Anchor = {
  role: 'server',
  certificate: issuingCa.certificate,
  origin: 'house',
  scope: {},
}

/** The certificate of a server, right but for what `shape` says. */
export function serverShape(shape: Shape = {}): Shape {
  const purpose = { altNames: [altName], extKeyUsage: [purposes.serverAuth] }
  return { ...dates, name: host, ...purpose, ...shape }
}

/** A puppet that shows this leaf below its issuing CA. */
export async function identityOf(
  shape: Shape = {},
  key: KeyObject = keys.server,
  issuer: Entity = issuingCa,
): Promise<PuppetIdentity> {
  const leaf = await issuer.issue({ signer: softwareSigner(key), ...serverShape(shape) })
  const chain = [leaf.certificate.der, issuer.certificate.der]
  return { chain, key, scheme: ed25519Scheme }
}

export const identity: PuppetIdentity = await identityOf()

export const clientCa: Entity = await rootCa.issue({
  ...dates,
  name: 'Owner CA',
  ca: true,
  pathLen: 0,
  signer: softwareSigner(keys.clientCa),
})

export const clientKey: KeyObject = keys.client

export const clientEntity: Entity = await clientCa.issue({
  ...dates,
  name: 'device',
  extKeyUsage: [purposes.clientAuth],
  signer: softwareSigner(clientKey),
})
