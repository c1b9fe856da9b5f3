/**
 * Which EDHOC certificates of the server are shown, which follow, and which kids have been used:
 * one setting, replaced as a whole.
 */
import type { Authentication } from '@countersign/core/edhoc'
import type { Milliseconds } from '@countersign/core/ports'
import type { CertificateRow, Change, Store } from '../ports.ts'

export interface EdhocEntry {
  readonly kind: Authentication
  /** `past`: not shown any more and its key is gone; devices may still know its kid. */
  readonly state: 'current' | 'next' | 'past'
  /** Counts what was made: the name of the key file. */
  readonly number: number
  /** Of the certificate. */
  readonly serial: string
  readonly kid: number
  readonly notAfter: Milliseconds
}

export interface EdhocSetting {
  /** The highest number. */
  readonly made: number
  /** In the order in which they were made, one for each kid at most. */
  readonly entries: readonly EdhocEntry[]
}

const settingName = 'authority.edhoc'
const fresh: EdhocSetting = { made: 0, entries: [] }

export async function readEdhocSetting(store: Pick<Store, 'get'>): Promise<EdhocSetting> {
  const row = await store.get('setting', settingName)
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written below, and nowhere else
  return row === undefined ? fresh : (JSON.parse(row.value) as EdhocSetting)
}

/** An entry takes its place; who held it is past. */
export function put(setting: EdhocSetting, entry: EdhocEntry): EdhocSetting {
  const others = setting.entries.filter(({ serial }) => serial !== entry.serial)
  const left = others.map((one) => (isReplaced(one, entry) ? past(one) : one))
  const entries = left.filter(({ kid }) => kid !== entry.kid)
  return { made: Math.max(setting.made, entry.number), entries: [...entries, entry] }
}

function past(entry: EdhocEntry): EdhocEntry {
  return { ...entry, state: 'past' }
}

/** A new current one also ends a successor that was not taken. */
function isReplaced(one: EdhocEntry, { kind, state }: EdhocEntry): boolean {
  return one.kind === kind && one.state !== 'past' && (state === 'current' || one.state === state)
}

/** Key files whose certificates this change has made past. */
export function endedKeys(before: EdhocSetting, after: EdhocSetting): readonly string[] {
  const alive = new Set(after.entries.filter(isAlive).map(keyFileOf))
  return before.entries
    .filter(isAlive)
    .map(keyFileOf)
    .filter((file) => !alive.has(file))
}

export function isAlive({ state }: Pick<EdhocEntry, 'state'>): boolean {
  return state !== 'past'
}

export function keyFileOf({ kind, number }: Pick<EdhocEntry, 'kind' | 'number'>): string {
  return `server-edhoc-${kind === 'signature' ? 'sign' : 'dh'}-${number}.key`
}

/** The setting, and an entry in the audit log when devices are shown another one. */
export function settingChange(
  before: EdhocSetting,
  after: EdhocSetting,
  now: Milliseconds,
): Change {
  const value = JSON.stringify(after)
  const shown = after.entries.filter(
    (one) => one.state === 'current' && !before.entries.includes(one),
  )
  return {
    writes: [
      before === fresh
        ? { kind: 'insert', table: 'setting', row: { name: settingName, value } }
        : { kind: 'update', table: 'setting', key: settingName, set: { value } },
    ],
    events: shown.map(({ serial, kind, kid }) => ({
      time: now,
      type: 'edhoc.shown',
      subject: serial,
      actor: 'system',
      data: JSON.stringify({ kind, kid }),
    })),
  }
}

export interface EdhocInUse {
  readonly entry: EdhocEntry
  readonly row: CertificateRow
}

/** What is shown and what follows, without the keys: for `doctor`. */
export async function edhocInUse(store: Pick<Store, 'get'>): Promise<readonly EdhocInUse[]> {
  const { entries } = await readEdhocSetting(store)
  const rows = await Promise.all(
    entries.filter(isAlive).map(async (entry) => ({
      entry,
      row: await store.get('certificate', entry.serial),
    })),
  )
  return rows.flatMap(({ entry, row }) => (row === undefined ? [] : [{ entry, row }]))
}
