/**
 * Why a device is where it is: its last states, its last refusals with their remedy, its
 * certificates, and what to do next. For people: one document of plain values.
 */
import type { CertificateRow, DeviceRow, EventRow } from '../ports.ts'
import type { RegistryParts } from './context.ts'
import { isStateRefusal, stateRefusal } from './lifecycle.ts'
import type { LookUp } from './lookUp.ts'
import { mentionOf, strangerName } from './refusals.ts'
import { remedyOf } from './remedies.ts'
import type { WorthyKey } from './vouchers.ts'

const eventsRead = 500
const shownMax = 10
/** Anybody can make as many as they like. */
const mentionsShownMax = 3

export interface Why {
  /** null: refusals of a certificate or an address that belongs to no device. */
  readonly device: {
    readonly id: string
    readonly serial: string
    readonly product: string
    readonly state: string
    readonly reason: string | null
    readonly lastSeen: string | null
    /** Of the key in use. */
    readonly assurance: number
  } | null
  /** One sentence. */
  readonly verdict: string
  readonly next: string
  readonly history: readonly {
    readonly time: string
    readonly event: string
    readonly actor: string
    readonly data: unknown
  }[]
  readonly refusals: readonly {
    readonly time: string
    readonly code: string
    readonly message: string
    readonly where: string | null
    readonly road: string
    readonly address: string
    readonly remedy: string
  }[]
  readonly certificates: readonly {
    readonly serial: string
    readonly profile: string
    readonly status: string
    readonly reason: string | null
    readonly notAfter: string
    readonly fingerprint: string | null
  }[]
  /** What its keys are worth, and why; the newest first. */
  readonly keys: readonly {
    readonly key: string
    readonly assurance: number
    readonly evidence: string | null
    readonly verifier: string | null
    readonly judged: string | null
    /** Why it is worth less than it was judged, if it is; then the verifier's reasons. */
    readonly reasons: readonly string[]
  }[]
}

export async function explain(parts: RegistryParts, lookUp: LookUp, text: string): Promise<Why> {
  const device = await deviceOf(parts, lookUp, text)
  if (device === undefined) return ofStranger(await strangerOf(parts, text))
  const events = await newest(parts, device.id)
  const refusals = events.filter(({ type }) => type === 'refused').map(refusalOf)
  const mentions = await mentionsOf(parts, device.id)
  const certificates = await lookUp.certificatesOf(device.id)
  const { id, serial, product, state, reason, lastSeen, assurance } = device
  return {
    device: {
      id,
      serial,
      product,
      state,
      reason,
      lastSeen: lastSeen === null ? null : time(lastSeen),
      assurance,
    },
    ...verdictOf(device, certificates, standing(events, lastSeen ?? 0), parts.clock.now()),
    history: events
      .filter(({ type }) => type !== 'refused')
      .slice(0, shownMax)
      .map(historyOf),
    refusals: [...refusals.slice(0, shownMax), ...mentions].toSorted(newestFirst),
    certificates: certificates.filter(({ status }) => status !== 'void').map(certificateOf),
    keys: (await lookUp.keysOf(device.id)).map(keyOf),
  }
}

/**
 * By its names, or by the fingerprint of one of its certificates; undefined for what is no device
 * but was turned away.
 */
async function deviceOf(
  parts: RegistryParts,
  lookUp: LookUp,
  text: string,
): Promise<DeviceRow | undefined> {
  const [certificate] = await parts.store.find('certificate', 'fingerprint', subjectOf(text))
  try {
    return await lookUp.find(certificate?.device ?? text)
  } catch (error) {
    if ((await strangerOf(parts, text)).length > 0) return undefined
    throw error
  }
}

async function strangerOf(parts: RegistryParts, text: string): Promise<readonly EventRow[]> {
  const subject = subjectOf(text)
  const events = await newest(parts, subject)
  const named = await newest(parts, strangerName(subject))
  const mentions = await newest(parts, mentionOf(subject))
  return [...events, ...named, ...mentions].filter(({ type }) => type === 'refused')
}

/** Whether it was the device that was turned away, nobody knows: told beside what is known. */
async function mentionsOf(parts: RegistryParts, device: string): Promise<Why['refusals']> {
  const options = { limit: mentionsShownMax, newestFirst: true }
  const events = await parts.store.find('event', 'subject', mentionOf(device), options)
  return events.map(refusalOf).map((refusal) => ({
    ...refusal,
    message: `${refusal.message} (somebody named its certificate and showed no key)`,
  }))
}

function newestFirst(one: { readonly time: string }, other: { readonly time: string }): number {
  return one.time === other.time ? 0 : one.time < other.time ? 1 : -1
}

/** Events of strangers stand under a fingerprint, an address or a serial number, in lower case. */
function subjectOf(text: string): string {
  return text.trim().toLowerCase()
}

function ofStranger(events: readonly EventRow[]): Why {
  const refusals = events.slice(0, shownMax).map(refusalOf)
  return {
    device: null,
    verdict: `It is no device of this house; it was turned away ${events.length} times.`,
    next: refusals[0]?.remedy ?? remedyOf('ERR_DEVICE_UNKNOWN'),
    history: [],
    refusals,
    certificates: [],
    keys: [],
  }
}

function newest(parts: RegistryParts, subject: string): Promise<readonly EventRow[]> {
  return parts.store.find('event', 'subject', subject, { limit: eventsRead, newestFirst: true })
}

function verdictOf(
  device: DeviceRow,
  certificates: readonly CertificateRow[],
  refusal: Why['refusals'][number] | undefined,
  now: number,
): { verdict: string; next: string } {
  const refused = stateRefusal(device)
  if (refused !== undefined)
    return { verdict: `It is not let in: ${refused.message}.`, next: refused.hint ?? '' }
  const live = certificates.filter(({ status }) => status === 'issued' || status === 'confirmed')
  if (live.length === 0)
    return { verdict: 'It has no live certificate.', next: remedyOf('ERR_CERT_REVOKED') }
  if (live.every(({ notAfter }) => notAfter < now))
    return { verdict: 'Its certificate has expired.', next: remedyOf('ERR_CERT_EXPIRED') }
  if (refusal !== undefined)
    return { verdict: `It was turned away last: ${refusal.message}.`, next: refusal.remedy }
  return device.lastSeen === null
    ? { verdict: 'It is enrolled and has not come yet.', next: 'Let it connect.' }
    : { verdict: 'It is let in.', next: 'Nothing is to be done.' }
}

/**
 * The newest refusal that nothing has made good since. Last seen is written once a minute at most,
 * so what let the device in counts as well; and what its state was says nothing of one that may
 * come in now.
 */
function standing(
  events: readonly EventRow[],
  lastSeen: number,
): Why['refusals'][number] | undefined {
  const letIn = events.findIndex(letsIn)
  return events
    .slice(0, letIn < 0 ? events.length : letIn)
    .filter(({ type, time: at }) => type === 'refused' && at > lastSeen)
    .map(refusalOf)
    .find(({ code }) => !isStateRefusal(code))
}

function letsIn({ type, data }: EventRow): boolean {
  if (type === 'device.active' || type === 'certificate.confirmed') return true
  return type.startsWith('device.') && dataOf(data).get('move') === 'resume'
}

function historyOf({ time: at, type, actor, data }: EventRow): Why['history'][number] {
  return { time: time(at), event: type, actor, data: JSON.parse(data, inWords) as unknown }
}

const timeNames: ReadonlySet<string> = new Set(['notBefore', 'notAfter', 'expiresAt'])

/** The log keeps times in milliseconds; people read RFC 3339. */
function inWords(name: string, value: unknown): unknown {
  return timeNames.has(name) && typeof value === 'number' ? time(value) : value
}

function refusalOf(row: EventRow): Why['refusals'][number] {
  const data = dataOf(row.data)
  const text = (name: string): string => textOf(data.get(name))
  const code = text('code')
  return {
    time: time(row.time),
    code,
    message: text('message'),
    where: data.has('where') ? text('where') : null,
    road: text('road'),
    address: text('address'),
    remedy: remedyOf(code),
  }
}

function dataOf(json: string): ReadonlyMap<string, unknown> {
  const parsed: unknown = JSON.parse(json)
  return new Map<string, unknown>(Object.entries(parsed ?? {}))
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function certificateOf(row: CertificateRow): Why['certificates'][number] {
  const { serial, profile, status, reason, notAfter, fingerprint } = row
  return { serial, profile, status, reason, notAfter: time(notAfter), fingerprint }
}

function keyOf(row: WorthyKey): Why['keys'][number] {
  const { spkiHash, assurance, evidenceFormat, verifier, judgedAt, verdict, lowered } = row
  const said = verdict === null ? undefined : dataOf(verdict).get('reasons')
  const reasons = Array.isArray(said) ? said.map(textOf) : ['Nothing speaks for this key.']
  return {
    key: spkiHash,
    assurance,
    evidence: evidenceFormat,
    verifier,
    judged: judgedAt === null ? null : time(judgedAt),
    reasons:
      lowered === null ? reasons : [`It is worth less than it was judged: ${lowered}.`, ...reasons],
  }
}

function time(at: number): string {
  return new Date(at).toISOString()
}
