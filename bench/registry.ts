/**
 * The registry at a million devices: admission of a device that is not in memory, and of one that
 * is, against a prepared statement of node:sqlite on the same file; and durable inserts, one Change
 * for each device with its certificate, against transactions of 100 rows by hand in a copy of it.
 */
import { hash, randomBytes } from 'node:crypto'
import { copyFile, mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { VerifiedPeer } from '@countersign/core/credential'
import { nodeCrypto, randomBytes as random } from '@countersign/element/nodeCrypto'
import type { CertificateRow, DeviceRow, Store } from '../packages/server/src/ports.ts'
import { createNotices } from '../packages/server/src/registry/notices.ts'
import { Registry } from '../packages/server/src/registry/registry.ts'
import { columnsOf } from '../packages/server/src/store/schema.ts'
import { openSqliteStore } from '../packages/server/src/store/sqlite.ts'
import { fsyncNote } from './fsync.ts'
import { type Case, measure, rateOf } from './measure.ts'
import { atLeast, type Report, rateTable, whole } from './report.ts'
import type { Options } from './run.ts'

/** Changes in flight, as many as the anchor puts into one transaction. */
const atOnce = 100
/** Devices that come again and again: fewer than the registry keeps in memory. */
const known = 10_000
/** More than are asked for in a round: a key that comes again would be in memory. */
const keysDrawn = 200_000
const derBytes = 446
const clock = { now: (): number => Date.now() }

const names = {
  cold: '**admission**, device read from the store',
  warm: '**admission**, device in memory',
  rawRead: 'node:sqlite, one prepared join, four columns',
  rawRows: 'node:sqlite, both rows whole, two prepared statements',
  insert: '**store**, one Change a device, group commit',
  rawInsert: 'node:sqlite, the same rows, 100 devices a transaction',
}

export async function run({ devices }: Options): Promise<Report> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-registry-'))
  const file = join(folder, 'store.db')
  try {
    const begin = performance.now()
    const built = await openSqliteStore(file, { clock })
    await fill(built, devices)
    await built.close()
    const seconds = (performance.now() - begin) / 1000
    const { size } = await stat(file)
    const copy = join(folder, 'raw.db')
    await copyFile(file, copy)

    const store = await openSqliteStore(file, { clock })
    const raw = openRaw(copy)
    const reads = await measure(await readCases(store, raw, devices), { milliseconds: 3000 })
    const writes = await measure(insertCases(store, raw, devices), { milliseconds: 3000 })
    await store.close()
    raw.close()
    const sameRows = (rateOf(reads, names.cold) ?? 0) / (rateOf(reads, names.rawRows) ?? 1)
    return {
      tables: [rateTable(reads, 'look-ups'), rateTable(writes, 'devices')],
      goals: [
        ...atLeast(
          'look-up from the store to SQL by hand',
          rateOf(reads, names.cold),
          rateOf(reads, names.rawRead),
          0.7,
        ),
        ...atLeast(
          'durable insert to SQL by hand',
          rateOf(writes, names.insert),
          rateOf(writes, names.rawInsert),
          0.6,
        ),
      ],
      notes: [
        `Against the same two rows read whole by hand the look-up is at ${sameRows.toFixed(2)}.`,
        `${whole(devices)} devices with a certificate each: ${whole(size / 1e6)} MB, built in ${whole(seconds)} s.`,
        fsyncNote(folder),
      ],
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function fill(store: Store, devices: number): Promise<void> {
  for (let at = 0; at < devices; at += 1000) {
    const writes = Array.from({ length: Math.min(1000, devices - at) }, (_, n) => rowsOf(at + n))
    await store.apply({ writes: writes.flat() })
  }
}

async function readCases(
  store: Store,
  raw: DatabaseSync,
  devices: number,
): Promise<readonly Case[]> {
  const notices = createNotices(failed)
  const registry = new Registry({ store, notices, clock, random, crypto: nodeCrypto, failed })
  await registry.bootstrap()
  let keys: readonly string[] = []
  const draw = (among: number) => async (): Promise<void> => {
    keys = Array.from({ length: keysDrawn }, () => fingerprintOf(Math.floor(Math.random() * among)))
  }
  const admit = async (milliseconds: number): Promise<number> => {
    const end = performance.now() + milliseconds
    let units = 0
    while (performance.now() < end) {
      await registry.admit(peerOf(keys[units++ % keysDrawn] ?? ''), 'https')
    }
    return units
  }
  const byHand = (name: string, look: (fingerprint: string) => unknown): Case => ({
    name,
    prepare: draw(devices),
    run: async (milliseconds) => {
      const end = performance.now() + milliseconds
      let units = 0
      while (performance.now() < end) {
        if (look(keys[units++ % keysDrawn] ?? '') === undefined) throw new Error('not found')
      }
      return units
    },
  })
  const certificate = raw.prepare('SELECT * FROM certificate WHERE fingerprint = ?')
  const device = raw.prepare('SELECT * FROM device WHERE id = ?')
  const both = raw.prepare(
    'SELECT d.id, d.state, c.status, c.notAfter FROM certificate c JOIN device d ON d.id = c.device WHERE c.fingerprint = ?',
  )
  return [
    { name: names.cold, prepare: draw(devices), run: admit },
    { name: names.warm, prepare: draw(Math.min(known, devices)), run: admit },
    byHand(names.rawRead, (fingerprint) => both.get(fingerprint)),
    byHand(names.rawRows, (fingerprint) =>
      device.get(certificate.get(fingerprint)?.['device'] ?? null),
    ),
  ]
}

function insertCases(store: Store, raw: DatabaseSync, devices: number): readonly Case[] {
  let [ours, theirs] = [devices, devices]
  const insert = (table: 'device' | 'certificate'): ReturnType<DatabaseSync['prepare']> => {
    const columns = columnsOf(table)
    return raw.prepare(
      `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`,
    )
  }
  const [device, certificate] = [insert('device'), insert('certificate')]
  return [
    {
      name: names.insert,
      run: async (milliseconds) => {
        const [first, end] = [ours, performance.now() + milliseconds]
        const worker = async (): Promise<void> => {
          while (performance.now() < end) await store.apply({ writes: rowsOf(ours++) })
        }
        await Promise.all(Array.from({ length: atOnce }, worker))
        return ours - first
      },
    },
    {
      name: names.rawInsert,
      run: async (milliseconds) => {
        const [first, end] = [theirs, performance.now() + milliseconds]
        while (performance.now() < end) {
          raw.exec('BEGIN IMMEDIATE')
          for (let n = 0; n < atOnce; n++) {
            device.run(...Object.values(deviceOf(theirs)))
            certificate.run(...Object.values(certificateOf(theirs++)))
          }
          raw.exec('COMMIT')
        }
        return theirs - first
      },
    },
  ]
}

/** As our own store opens it. */
function openRaw(file: string): DatabaseSync {
  const raw = new DatabaseSync(file)
  raw.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -65536')
  raw.exec('PRAGMA wal_autocheckpoint = 4096')
  return raw
}

type Rows = NonNullable<Parameters<Store['apply']>[0]['writes']>

function rowsOf(n: number): Rows {
  return [
    { kind: 'insert', table: 'device', row: deviceOf(n) },
    { kind: 'insert', table: 'certificate', row: certificateOf(n) },
  ]
}

function deviceOf(n: number): DeviceRow {
  const eui64 = (0x0200_0000_0000_0000n + BigInt(n)).toString(16).padStart(16, '0')
  return {
    id: idOf(n),
    eui64,
    serial: `SN-${n}`,
    product: 'default',
    owner: 'house',
    state: 'active',
    assurance: 0,
    road: 'https',
    firstSeen: 0,
    // Ahead, so that looking it up does not write that it was seen.
    lastSeen: Date.now() + 3_600_000,
    reason: null,
    resumeState: null,
    createdAt: 0,
    version: 1,
    voucher: null,
  }
}

function certificateOf(n: number): CertificateRow {
  const fingerprint = fingerprintOf(n)
  return {
    // Drawn at random in the product too: their index is written all over.
    serial: `40${hash('sha256', `serial ${n}`, 'hex').slice(0, 30)}`,
    ca: 'owner',
    fingerprint,
    x5t: fingerprint.slice(0, 16),
    profile: 'ldevid',
    device: idOf(n),
    application: null,
    spkiHash: hash('sha256', `key ${n}`, 'hex'),
    der: randomBytes(derBytes),
    status: 'confirmed',
    notBefore: 0,
    notAfter: Number.MAX_SAFE_INTEGER,
    revokedAt: null,
    reason: null,
    overlapUntil: null,
    reservedUntil: 0,
    request: 'token:bench',
    createdAt: 0,
  }
}

function idOf(n: number): string {
  return `urn:dev:mac:${(0x0200_0000_0000_0000n + BigInt(n)).toString(16).padStart(16, '0')}`
}

function fingerprintOf(n: number): string {
  return hash('sha256', `certificate ${n}`, 'hex')
}

/** What the judge has found good; the judge itself is measured with the handshakes. */
function peerOf(fingerprint: string): VerifiedPeer {
  return {
    role: 'owner',
    fingerprint,
    anchor: { origin: 'house', scope: {} },
    notAfter: Number.MAX_SAFE_INTEGER,
  } as unknown as VerifiedPeer
}

function failed(error: unknown): void {
  throw error
}
