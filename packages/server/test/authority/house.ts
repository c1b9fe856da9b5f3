/**
 * A house in a temporary folder with everything real but the clock, the timers and the cost of the
 * passphrase.
 */
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  attributeOid,
  createCertificateRequest,
  type GeneralName,
  Judge,
  type NameAttribute,
  parseCertificate,
  type Role,
  type VerifiedPeer,
} from '@countersign/core/credential'
import type { Clock, Milliseconds, Random, Signer } from '@countersign/core/ports'
import { nodeCrypto, randomBytes } from '@countersign/element/nodeCrypto'
import { softwareSigner } from '@countersign/element/softwareSigner'
import { Desk } from '../../src/attestation/desk.ts'
import { Authority } from '../../src/authority/authority.ts'
import type { CaToken } from '../../src/authority/caKeys.ts'
import type { ScryptCost } from '../../src/authority/passphrase.ts'
import { Vault } from '../../src/authority/vault.ts'
import type { Log, Notices, Store, Timers } from '../../src/ports.ts'
import { createNotices } from '../../src/registry/notices.ts'
import { Registry } from '../../src/registry/registry.ts'
import { openSqliteStore } from '../../src/store/sqlite.ts'

export const cheap: ScryptCost = { log2N: 10, r: 8, p: 1 }
export const passphrase = 'correct horse battery'
export const hour = 3_600_000
export const day: number = 24 * hour

export class TestClock implements Clock {
  time: Milliseconds

  constructor(time: Milliseconds) {
    this.time = time
  }

  now(): Milliseconds {
    return this.time
  }
}

/** Timers that the test fires by hand. */
export class TestTimers implements Timers {
  readonly waiting = new Map<object, { readonly at: number; readonly run: () => void }>()

  after(milliseconds: number, run: () => void): { cancel(): void } {
    const handle = {}
    this.waiting.set(handle, { at: milliseconds, run })
    return { cancel: () => void this.waiting.delete(handle) }
  }

  /** Runs what waits now, not what it starts. */
  fire(): void {
    const due = [...this.waiting]
    this.waiting.clear()
    for (const [, { run }] of due) run()
  }
}

export interface House {
  readonly directory: string
  readonly clock: TestClock
  readonly timers: TestTimers
  readonly store: Store
  readonly notices: Notices
  readonly vault: Vault
  readonly registry: Registry
  readonly authority: Authority
  /** Errors that were logged. */
  readonly logged: readonly string[]
  /** The same folder opened again, as after a restart; `between`: what happened to it meanwhile. */
  reopen(changed?: HouseOptions, between?: () => Promise<void>): Promise<House>
  close(): Promise<void>
}

export interface HouseOptions {
  readonly crlBase?: string
  readonly hosts?: readonly string[]
  readonly now?: Milliseconds
  readonly caToken?: CaToken
  /** Made by `demo`. */
  readonly isDemo?: boolean
  /** Of nonces. */
  readonly random?: Random
}

export async function makeHouse(options: HouseOptions = {}): Promise<House> {
  const directory = await mkdtemp(join(tmpdir(), 'authority-'))
  const clock = new TestClock(options.now ?? Date.now())
  const store = await openSqliteStore(join(directory, 'store.db'), { clock })
  const vault = await Vault.create({ directory: join(directory, 'keys'), passphrase, cost: cheap })
  const crls = join(directory, 'crl')
  await Authority.found({
    store,
    vault,
    clock,
    directory: crls,
    rootPassphrase: passphrase,
    caToken: options.caToken,
    ...(options.crlBase === undefined ? {} : { crlBase: options.crlBase }),
  })
  const house = await assemble({ directory, clock, store, vault, options })
  await house.registry.bootstrap()
  return house
}

interface Parts {
  readonly directory: string
  readonly clock: TestClock
  readonly store: Store
  readonly vault: Vault
  readonly options: HouseOptions
}

async function assemble(parts: Parts): Promise<House> {
  const { directory, clock, store, vault, options } = parts
  const timers = new TestTimers()
  const logged: string[] = []
  const note = (error: unknown): void => void logged.push(String(error))
  const log: Log = {
    debug: () => undefined,
    info: () => undefined,
    warn: (_, message) => note(message),
    error: (_, message) => note(message),
  }
  const notices = createNotices(note)
  const registry = new Registry({
    store,
    notices,
    clock,
    random: randomBytes,
    crypto: nodeCrypto,
    failed: note,
  })
  const crypto = nodeCrypto
  const isDemo = options.isDemo === true
  const authority = await Authority.open({
    store,
    registry,
    attestation: new Desk({ store, crypto, clock, random: options.random ?? randomBytes, isDemo }),
    notices,
    vault,
    caToken: options.caToken,
    crypto: nodeCrypto,
    clock,
    timers,
    log,
    directory: join(directory, 'crl'),
    hosts: options.hosts ?? ['localhost', '127.0.0.1', '::1'],
    ...(options.crlBase === undefined ? {} : { crlBase: options.crlBase }),
  })
  const close = async (): Promise<void> => {
    await authority.close()
    await registry.settled()
    await store.close()
  }
  const house: House = {
    directory,
    clock,
    timers,
    store,
    notices,
    vault,
    registry,
    authority,
    logged,
    close: async () => {
      await close()
      await rm(directory, { recursive: true, force: true })
    },
    reopen: async (changed, between) => {
      await close()
      await between?.()
      return assemble({
        ...parts,
        options: { ...options, ...changed },
        store: await openSqliteStore(join(directory, 'store.db'), { clock }),
        vault: await Vault.open({ directory: join(directory, 'keys'), passphrase, cost: cheap }),
      })
    },
  }
  return house
}

export interface DeviceKey {
  readonly key: KeyObject
  readonly signer: Signer
}

export function newKey(): DeviceKey {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { key: privateKey, signer: softwareSigner(privateKey) }
}

export function requestFor(
  serial: string,
  signer: Signer,
  altNames: readonly GeneralName[] = [],
  more: readonly NameAttribute[] = [],
): Promise<Uint8Array> {
  const subject = [...more, { type: attributeOid.serialNumber, value: serial }]
  return createCertificateRequest({ subject, altNames, signer })
}

/** A leaf as the front end would have judged it. */
export async function verified(house: House, leaf: Uint8Array, role: Role): Promise<VerifiedPeer> {
  const rows = await house.registry.listAnchors()
  const judge = new Judge({
    crypto: nodeCrypto,
    clock: house.clock,
    anchors: rows.map((row) => ({
      role: row.role,
      certificate: parseCertificate(row.der),
      origin: row.origin,
      scope: {
        ...(row.product === null ? {} : { product: row.product }),
        ...(row.serialPattern === null ? {} : { serialPattern: row.serialPattern }),
        assuranceCap: row.assuranceCap,
      },
    })),
  })
  return judge.judge(leaf, [], { role, purpose: 'clientAuth' })
}
