/**
 * A registry on a real store in a temporary folder, with a clock and a seeded source of randomness
 * in the test's hand.
 */
import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { VerifiedPeer } from '@countersign/core/credential'
import type { Milliseconds } from '@countersign/core/ports'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import type {
  CertificateRow,
  DeviceRow,
  Notice,
  ReservationRequest,
  Store,
} from '../../src/ports.ts'
import { createNotices } from '../../src/registry/notices.ts'
import { Registry } from '../../src/registry/registry.ts'
import { openSqliteStore } from '../../src/store/sqlite.ts'

export const start: Milliseconds = Date.UTC(2026, 10, 23)
export const day = 86_400_000

export interface House {
  readonly registry: Registry
  readonly store: Store
  readonly notices: Notice[]
  /** Errors of writes that nobody waited for. */
  readonly failures: unknown[]
  now: Milliseconds
  /** The same data with nothing in memory: as after a restart. */
  restart(): Promise<Registry>
  dispose(): Promise<void>
}

export async function openHouse(seed = 'a house'): Promise<House> {
  const dir = await mkdtemp(join(tmpdir(), 'countersign-registry-'))
  const time = { now: start }
  const clock = { now: () => time.now }
  const random = seededRandom(seed)
  const store = await openSqliteStore(join(dir, 'store.db'), { clock })
  const heard: Notice[] = []
  const failures: unknown[] = []
  const failed = (error: unknown): void => void failures.push(error)
  const make = (): Registry => {
    const notices = createNotices(failed)
    notices.listen((notice) => heard.push(notice))
    return new Registry({ store, notices, clock, random, crypto: nodeCrypto, failed })
  }
  const registry = make()
  const house: House = {
    registry,
    store,
    notices: heard,
    failures,
    get now() {
      return time.now
    },
    set now(value) {
      time.now = value
    },
    restart: async () => make(),
    dispose: async () => {
      await registry.settled()
      await store.close()
      await rm(dir, { recursive: true })
    },
  }
  await registry.bootstrap()
  return house
}

export function seededRandom(seed: string): { bytes(length: number): Uint8Array } {
  let counter = 0
  return {
    bytes: (length) => {
      const blocks: Buffer[] = []
      for (let have = 0; have < length; have += 32)
        blocks.push(createHash('sha256').update(`${seed}/${counter++}`).digest())
      return Uint8Array.from(Buffer.concat(blocks).subarray(0, length))
    },
  }
}

export function spki(name: string): Uint8Array {
  return new TextEncoder().encode(`public key ${name}`)
}

export interface NewDevice {
  readonly serial: string
  readonly key?: string
  readonly eui64?: string | undefined
  readonly token?: string | undefined
  readonly product?: string
  readonly profile?: 'ldevid' | 'idevid'
  readonly request?: string
}

export function newDeviceRequest(house: Pick<House, 'now'>, of: NewDevice): ReservationRequest {
  const tokenHash =
    of.token === undefined ? undefined : createHash('sha256').update(of.token).digest('hex')
  const request =
    of.request ?? (tokenHash === undefined ? 'operator' : `token:${tokenHash.slice(0, 16)}`)
  return {
    profile: of.profile ?? 'ldevid',
    ca: of.profile === 'idevid' ? 'maker' : 'owner',
    spki: spki(of.key ?? of.serial),
    notBefore: house.now,
    notAfter: house.now + 90 * day,
    request,
    actor: request,
    target: {
      kind: 'newDevice',
      product: of.product ?? 'default',
      serial: of.serial,
      eui64: of.eui64,
      origin: 'software',
      assurance: 0,
      tokenHash,
    },
  }
}

export function renewal(
  house: House,
  id: string,
  key: string,
  request: string,
): ReservationRequest {
  return {
    profile: 'ldevid',
    ca: 'owner',
    spki: spki(key),
    notBefore: house.now,
    notAfter: house.now + 90 * day,
    request,
    actor: 'device',
    target: { kind: 'device', id, origin: 'software' },
  }
}

/** Bytes that stand for a signed certificate: the registry never reads them. */
export function sign(serial: string): { der: Uint8Array; fingerprint: string } {
  const der = new TextEncoder().encode(`certificate ${serial}`)
  return { der, fingerprint: createHash('sha256').update(der).digest('hex') }
}

export async function enrol(
  house: House,
  of: NewDevice,
): Promise<{ device: DeviceRow; certificate: CertificateRow }> {
  const { serial, device, issued } = await house.registry.reserve(newDeviceRequest(house, of))
  if (issued !== null) throw new Error('this device was enrolled before')
  const { der, fingerprint } = sign(serial)
  const certificate = await house.registry.issued(serial, der, fingerprint)
  return { device: await house.registry.find(device?.id ?? ''), certificate }
}

export async function renew(
  house: House,
  id: string,
  key: string,
  request: string,
): Promise<CertificateRow> {
  const { serial } = await house.registry.reserve(renewal(house, id, key, request))
  const { der, fingerprint } = sign(serial)
  return house.registry.issued(serial, der, fingerprint)
}

/**
 * What the judge of chains hands over. Its own tests prove that only it can; here the chain is not
 * the subject.
 */
export function peerOf(
  certificate: CertificateRow,
  over: Partial<Pick<VerifiedPeer, 'role' | 'notAfter'>> & {
    readonly assuranceCap?: 0 | 1 | 2 | 3 | 4
  } = {},
): VerifiedPeer {
  const { assuranceCap, ...rest } = over
  const scope = assuranceCap === undefined ? {} : { assuranceCap }
  const peer = {
    role: certificate.profile === 'idevid' ? 'maker' : 'owner',
    purpose: 'clientAuth',
    fingerprint: certificate.fingerprint,
    anchor: { role: 'owner', origin: 'house', scope },
    path: [],
    notAfter: certificate.notAfter,
    ...rest,
  }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- outside the judge nobody can make one
  return peer as unknown as VerifiedPeer
}
