/**
 * Whose topics are whose. A device publishes under `devices/<its EUI-64>/` and reads its commands
 * there; nothing is shared between devices. Applications read `devices/…` (data as sent) and
 * `events/…` (CloudEvents), and nobody reads `$SYS` or shared subscriptions.
 */
import { PeerError } from '@countersign/core/errors'
import { topicBytesMax, topicSegmentsMax } from '../topic.ts'

export type TopicErrorCode = 'ERR_TOPIC' | 'ERR_TOPIC_FOREIGN'

/** What a device may publish. */
export type Destination =
  | { readonly kind: 'message'; readonly topic: string }
  /** An answer to a command; `refused`: the device will not do it. */
  | { readonly kind: 'result'; readonly command: string; readonly refused: boolean }

const segment = /^[A-Za-z0-9_.~-]+$/
const commandId = /^[0-9a-f]{32}$/

/** Where its commands come. */
export function commandTopic(eui64: string, name: string): string {
  return `devices/${eui64}/commands/${name}`
}

export function resultTopic(eui64: string, command: string): string {
  return `devices/${eui64}/results/${command}`
}

/** Throws PeerError<TopicErrorCode>. */
export function destinationOf(topic: string, eui64: string): Destination {
  const prefix = `devices/${eui64}/`
  if (!topic.startsWith(prefix)) throw foreign(topic, 'publish', ownTopics(eui64))
  const rest = topic.slice(prefix.length)
  const segments = rest.split('/')
  if (segments[0] === 'commands') throw foreign(topic, 'publish', ownTopics(eui64))
  if (segments[0] === 'results') return resultOf(topic, segments)
  if (rest.length > topicBytesMax) throw malformed(`is longer than ${topicBytesMax} bytes`)
  if (segments.length > topicSegmentsMax)
    throw malformed(`has more than ${topicSegmentsMax} segments`)
  for (const part of segments) {
    if (part === '.' || part === '..') throw malformed('has a dot segment')
    if (!segment.test(part))
      throw malformed('has an empty segment or a character outside A-Z a-z 0-9 _ . ~ -')
  }
  return { kind: 'message', topic: rest }
}

function resultOf(topic: string, [, id = '', verb, ...more]: readonly string[]): Destination {
  const isKnown = verb === undefined || verb === 'refused'
  if (!commandId.test(id) || !isKnown || more.length > 0)
    throw malformed(
      `names no command: ${shown(topic)}`,
      "A result goes to devices/<eui64>/results/<the command's id>, or to …/refused below it.",
    )
  return { kind: 'result', command: id, refused: verb === 'refused' }
}

/** Whether a device may subscribe to this: its own commands, or a part or a parent of them. */
export function isOwnFilter(filter: string, eui64: string): boolean {
  return filter.startsWith(`devices/${eui64}/`)
}

/** Whether an application may: what there is for applications at all. */
export function isApplicationFilter(filter: string): boolean {
  return filter === '#' || /^(?:devices|events|\+)(?:\/|$)/.test(filter)
}

/** `hint`: what this client may subscribe to. */
export function foreignFilter(filter: string, hint: string): PeerError<TopicErrorCode> {
  return foreign(filter, 'subscribe', hint)
}

/** The hint for a device. */
export function ownTopics(eui64: string): string {
  return `It may use devices/${eui64}/<topic>, and read devices/${eui64}/commands/#.`
}

export const applicationTopics: string = 'It may read devices/… and events/….'

function foreign(topic: string, verb: string, hint: string): PeerError<TopicErrorCode> {
  const where = `${verb}: ${shown(topic)}`
  const message = `this topic is not the client's to ${verb}`
  return new PeerError('ERR_TOPIC_FOREIGN', message, {}, { where, hint })
}

function malformed(
  what: string,
  hint = 'For instance devices/<eui64>/boiler/temperature.',
): PeerError<TopicErrorCode> {
  return new PeerError('ERR_TOPIC', `the topic ${what}`, {}, { where: 'topic', hint })
}

/** It ends in logs: the length of a topic is the peer's. */
function shown(topic: string): string {
  return topic.length <= 100 ? topic : `${topic.slice(0, 100)}…`
}
