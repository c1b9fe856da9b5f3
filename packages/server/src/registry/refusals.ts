/**
 * Attempts that were turned away, in the audit log and to the applications. An attacker chooses how
 * many there are, so they are bounded for each address, for each known device and overall; what is
 * dropped is counted, and the count is an event too.
 */
import type { Milliseconds } from '@countersign/core/ports'
import { addressKey } from '../address.ts'
import { cloudEvent, houseSource, jsonData } from '../cloudEvent.ts'
import type { Refusal } from '../ports.ts'
import { TokenBuckets } from '../rates.ts'
import type { Background } from './background.ts'
import { auditEvent, commit, type RegistryParts, randomHex } from './context.ts'

/**
 * An event costs about 1 KiB on disk: overall at most 170 MiB a day, and a burst that shows what is
 * going on.
 */
const overall = { burst: 200, perSecond: 2 }
/** Of one address, and of one known device. */
const perSource = { burst: 10, perSecond: 0.1 }
/**
 * Sources remembered; beyond it the one unseen for longest starts anew, and the overall bound still
 * holds.
 */
const sourcesMax = 10_000
/** What a peer can make us write of it. */
const textMax = 300

export class Refusals {
  private readonly parts: RegistryParts
  private readonly background: Background
  private readonly sources: TokenBuckets
  private readonly all: TokenBuckets
  private dropped = 0
  private droppedSince: Milliseconds = 0

  constructor(parts: RegistryParts, background: Background) {
    this.parts = parts
    this.background = background
    this.sources = new TokenBuckets(parts.clock, sourcesMax)
    this.all = new TokenBuckets(parts.clock, 1)
  }

  refused(refusal: Refusal): void {
    if (this.allowed(addressKey(refusal.address))) return this.write(refusal)
    const { device, fingerprint, isNamedOnly } = refusal
    const isSomebodys = device !== undefined || fingerprint !== undefined
    // What strangers say of a device does not use up what is told of it.
    if (!isSomebodys || isNamedOnly === true) return this.drop()
    // A device that we know has a bound of its own: what else knocks from its address, or through
    // its gateway, does not hide why it stays out.
    this.background.run(async () => {
      const known = device ?? (await this.deviceOf(fingerprint))
      if (known === undefined || !this.allowed(known)) this.drop()
      else this.write({ ...refusal, device: known })
    })
  }

  private drop(): void {
    if (this.dropped++ === 0) this.droppedSince = this.parts.clock.now()
  }

  private write(refusal: Refusal): void {
    const { dropped, droppedSince } = this
    this.dropped = 0
    this.background.run(async () => {
      try {
        await this.record(refusal, dropped, droppedSince)
      } catch (error) {
        this.dropped += dropped + 1
        throw error
      }
    })
  }

  /** What is still to be told of when the house closes. */
  flush(): void {
    const { dropped, droppedSince } = this
    if (dropped === 0) return
    this.dropped = 0
    const event = this.droppedEvent(dropped, droppedSince)
    this.background.run(() => this.parts.store.apply({ events: [event] }))
  }

  private async record(refusal: Refusal, dropped: number, since: Milliseconds): Promise<void> {
    const { road, address, fingerprint, serial, code, where, hint, isNamedOnly = false } = refusal
    const message = clip(refusal.message)
    const known = refusal.device ?? (await this.deviceOf(fingerprint))
    const device = isNamedOnly ? undefined : known
    const named = serial === undefined ? address : strangerName(serial)
    const owner = known ?? fingerprint ?? named
    const subject = isNamedOnly ? mentionOf(owner) : owner
    const data = { code, message, where: clip(where), road, address, fingerprint, serial }
    const actor = device === undefined ? 'system' : 'device'
    const event = auditEvent(this.parts, 'refused', subject, actor, data)
    const events = [event]
    if (dropped > 0) events.push(this.droppedEvent(dropped, since))
    const draft = cloudEvent(
      {
        id: randomHex(this.parts, 16),
        source: device ?? houseSource,
        type: 'countersign.refused',
        // Who reads both logs sees that it is the same.
        time: event.time,
        road,
        credential: isNamedOnly ? undefined : fingerprint?.slice(0, 16),
      },
      jsonData({ code, message, where: clip(where), hint, address }),
    )
    await commit(this.parts, { events, messages: [draft] }, [])
  }

  private async deviceOf(fingerprint: string | undefined): Promise<string | undefined> {
    if (fingerprint === undefined) return undefined
    const [row] = await this.parts.store.find('certificate', 'fingerprint', fingerprint)
    return row?.device ?? undefined
  }

  private droppedEvent(count: number, since: Milliseconds): ReturnType<typeof auditEvent> {
    return auditEvent(this.parts, 'refusals.dropped', 'house', 'system', { count, since })
  }

  private allowed(source: string): boolean {
    // The source first: what it may not say does not use up what others may.
    return this.sources.take(source, perSource) === 0 && this.all.take('', overall) === 0
  }
}

function clip<T extends string | undefined>(text: T): T | string {
  return text === undefined || text.length <= textMax ? text : `${text.slice(0, textMax)}…`
}

/** Under which what is known of a serial number that is no device's yet stands in the log. */
export function strangerName(serial: string): string {
  return `serial:${serial.toLowerCase()}`
}

/** Under which stands what was said to somebody who named this device, or this certificate, and showed no key. */
export function mentionOf(subject: string): string {
  return `named:${subject}`
}
