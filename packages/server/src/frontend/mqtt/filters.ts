/**
 * Topic names and topic filters (MQTT 5 §4.7, 3.1.1 §4.7): their grammar, and which filter matches
 * which topic. Shared Subscriptions (MQTT 5 §4.8.2) are recognised, not taken apart. Names are
 * compared by their characters, without any normalization (§4.7.3).
 */
import type { QoS } from './packets.ts'

const slash = 0x2f
const plus = 0x2b
const hash = 0x23
const dollar = 0x24

/** At least one character [MQTT-4.7.3-1], and no wildcard [MQTT-3.3.2-2]. */
export function isTopicName(text: string): boolean {
  return text !== '' && !hasWildcard(text)
}

export function hasWildcard(text: string): boolean {
  return text.includes('+') || text.includes('#')
}

/**
 * At least one character [MQTT-4.7.3-1]; `#` alone in the last level [MQTT-4.7.1-1], `+` alone in
 * any [MQTT-4.7.1-2].
 */
export function isTopicFilter(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code !== plus && code !== hash) continue
    if (at > 0 && text.charCodeAt(at - 1) !== slash) return false
    const last = at === text.length - 1
    if (!last && (code === hash || text.charCodeAt(at + 1) !== slash)) return false
  }
  return text !== ''
}

/** MQTT 5 §4.8.2. Under 3.1.1 the name has no meaning. */
export function isShared(filter: string): boolean {
  return filter.startsWith('$share/')
}

/**
 * `$share/{ShareName}/{filter}`: a name of at least one character [MQTT-4.8.2-1], without
 * wildcards, and a filter behind it [MQTT-4.8.2-2].
 */
export function isSharedFilter(text: string): boolean {
  const [, name, ...filter] = text.split('/')
  return isShared(text) && isTopicName(name ?? '') && isTopicFilter(filter.join('/'))
}

/** Of a filter and a topic whose grammar was checked. */
export function matches(filter: string, topic: string): boolean {
  // [MQTT-4.7.2-1]: a wildcard in front does not match topics of the server.
  if (topic.charCodeAt(0) === dollar && filter.charCodeAt(0) !== dollar) return false
  let at = 0
  for (let index = 0; index < filter.length; index++) {
    const code = filter.charCodeAt(index)
    if (code === hash) return true
    if (code === plus) {
      at = levelEnd(topic, at)
      continue
    }
    // §4.7.1.2: `sport/#` also matches `sport`, the level above.
    if (at === topic.length) return index === filter.length - 2 && filter.endsWith('/#')
    if (topic.charCodeAt(at++) !== code) return false
  }
  return at === topic.length
}

function levelEnd(topic: string, from: number): number {
  const end = topic.indexOf('/', from)
  return end < 0 ? topic.length : end
}

/**
 * The filters of one session with what was granted to each. Exact ones are looked up; those with
 * wildcards are tried one after another: how many there may be is the caller's to bound.
 */
export class FilterSet {
  private readonly exact = new Map<string, QoS>()
  private readonly wild = new Map<string, QoS>()

  get size(): number {
    return this.exact.size + this.wild.size
  }

  get(filter: string): QoS | undefined {
    return this.mapOf(filter).get(filter)
  }

  /** The same filter again replaces what was granted [MQTT-3.8.4-3]. */
  set(filter: string, qos: QoS): void {
    this.mapOf(filter).set(filter, qos)
  }

  *entries(): Generator<readonly [filter: string, qos: QoS]> {
    yield* this.exact
    yield* this.wild
  }

  /** False when there was none. */
  delete(filter: string): boolean {
    return this.mapOf(filter).delete(filter)
  }

  /**
   * The highest QoS granted to a filter that matches: one message goes out once, however many match
   * [MQTT-3.3.4-2]. Undefined: none does.
   */
  qosOf(topic: string): QoS | undefined {
    let best = this.exact.get(topic)
    for (const [filter, qos] of this.wild) {
      if (best === 2) return best
      if ((best === undefined || qos > best) && matches(filter, topic)) best = qos
    }
    return best
  }

  private mapOf(filter: string): Map<string, QoS> {
    return hasWildcard(filter) ? this.wild : this.exact
  }
}
