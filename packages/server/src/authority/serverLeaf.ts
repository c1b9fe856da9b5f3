/**
 * The server's own TLS leaf: made for the names that the operator gave, renewed well before it ends
 * and when the names change, each time with a new key. What is current is one setting, written
 * after key and certificate are safe: a crash between leaves the old one in use.
 */
import { createHash, randomBytes } from 'node:crypto'
import { hex, pem } from '@countersign/core/codec'
import {
  type Certificate,
  encodeSubjectAltName,
  parseCertificate,
} from '@countersign/core/credential'
import type { Clock, Milliseconds } from '@countersign/core/ports'
import type { CertificateRow, Store } from '../ports.ts'
import { serverNames } from './extensions.ts'
import type { Hierarchy } from './hierarchy.ts'
import type { Issuer } from './issuer.ts'
import { commonName } from './profiles.ts'
import { spkiOf, type Vault } from './vault.ts'

const dayMs = 86_400_000

export const leafLifetimeMs: number = 90 * dayMs
/** Renewed when less than this is left: a month in which a renewal that fails can be noticed. */
export const renewBeforeMs: number = 30 * dayMs
const settingName = 'authority.serverLeaf'

/**
 * What a door shows: leaf and issuing CA, and the leaf's key for the TLS library,
 * which takes no handle.
 */
export interface ServerCredential {
  readonly chainPem: string
  readonly keyPem: string
  readonly notAfter: Milliseconds
  readonly fingerprint: string
}

interface Renewal {
  readonly credential: ServerCredential
  readonly renewed: boolean
}

interface LeafSetting {
  readonly serial: string
  readonly keyFile: string
}

export interface ServerLeafParts {
  readonly store: Store
  readonly vault: Vault
  readonly hierarchy: Hierarchy
  readonly issuer: Issuer
  readonly clock: Clock
  readonly hosts: readonly string[]
}

export class ServerLeaf {
  readonly #parts: ServerLeafParts
  /** Doors and timer may ask at once; one leaf is made. */
  #running: Promise<Renewal> | undefined

  constructor(parts: ServerLeafParts) {
    this.#parts = parts
  }

  /**
   * The leaf in use, made or renewed when that is due. `renewed` says whether doors must take it
   * up.
   */
  renew(): Promise<Renewal> {
    this.#running ??= this.#renew().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  async #renew(): Promise<Renewal> {
    const setting = await this.#setting()
    const row =
      setting === undefined ? undefined : await this.#parts.store.get('certificate', setting.serial)
    const der = row?.der ?? undefined
    const isGood = row?.status !== 'revoked' && der !== undefined && this.#isGood(der)
    if (setting !== undefined && isGood && (await this.#parts.vault.hasKey(setting.keyFile))) {
      return { credential: await this.#credential(der, setting.keyFile), renewed: false }
    }
    return { credential: await this.#make(setting), renewed: true }
  }

  #isGood(der: Uint8Array): boolean {
    const leaf = parseCertificate(der)
    const { clock, hierarchy, hosts } = this.#parts
    const isFresh = leaf.notAfter - clock.now() > renewBeforeMs && leaf.notBefore <= clock.now()
    const issuer = hierarchy.active('server').certificate.subject.der
    return isFresh && sameBytes(leaf.issuer.der, issuer) && hasNames(leaf, hosts)
  }

  async #make(old: LeafSetting | undefined): Promise<ServerCredential> {
    const { store, vault, hierarchy, issuer, hosts } = this.#parts
    const keyFile = `server-tls-${hex(randomBytes(4))}.key`
    const key = await vault.createKey(keyFile, 'P-256')
    const issued = await issuer.issue({
      ca: hierarchy.active('server'),
      profile: 'server',
      spki: spkiOf(key),
      lifetimeMs: leafLifetimeMs,
      request: 'house:server-tls',
      actor: 'system',
      target: { kind: 'house', name: 'server-tls' },
      subject: commonName('countersign server'),
      hosts,
    })
    const value = JSON.stringify({ serial: issued.serial, keyFile } satisfies LeafSetting)
    await store.apply({
      writes: [
        old === undefined
          ? { kind: 'insert', table: 'setting', row: { name: settingName, value } }
          : { kind: 'update', table: 'setting', key: settingName, set: { value } },
      ],
    })
    if (old !== undefined) await vault.removeKey(old.keyFile)
    return this.#credential(issued.der, keyFile)
  }

  async #credential(der: Uint8Array, keyFile: string): Promise<ServerCredential> {
    const leaf = parseCertificate(der)
    const { hierarchy, vault } = this.#parts
    const issuing = hierarchy
      .issuing()
      .find((ca) => sameBytes(ca.certificate.subject.der, leaf.issuer.der))
    const chain = issuing === undefined ? [der] : [der, issuing.row.der]
    const key = await vault.openKey(keyFile)
    return {
      chainPem: chain.map((one) => pem('CERTIFICATE', one)).join(''),
      keyPem: key.export({ format: 'pem', type: 'pkcs8' }).toString(),
      notAfter: leaf.notAfter,
      fingerprint: createHash('sha256').update(der).digest('hex'),
    }
  }

  async #setting(): Promise<LeafSetting | undefined> {
    const row = await this.#parts.store.get('setting', settingName)
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written above, and nowhere else
    return row === undefined ? undefined : (JSON.parse(row.value) as LeafSetting)
  }
}

/** The leaf in use, without the keys: what `doctor` looks at. */
export async function leafInUse(store: Pick<Store, 'get'>): Promise<CertificateRow | undefined> {
  const row = await store.get('setting', settingName)
  if (row === undefined) return undefined
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written above, and nowhere else
  return await store.get('certificate', (JSON.parse(row.value) as LeafSetting).serial)
}

function hasNames(leaf: Certificate, hosts: readonly string[]): boolean {
  const names = leaf.extensions.subjectAltName
  return names !== undefined && sameBytes(encodeSubjectAltName(names), serverNames(hosts))
}

function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one, other) === 0
}
