/**
 * The topic of a message, from the path of a request: 1 to 16 segments of unreserved
 * characters (RFC 3986 §2.3), so that it means the same as an MQTT topic, a CoAP path and a
 * CloudEvents subject. Percent escapes of https are decoded once.
 */
import { PeerError } from '@countersign/core/errors'

export const topicSegmentsMax = 16
export const topicBytesMax = 256

const segment = /^[A-Za-z0-9_.~-]+$/
const escapeAny = /%(..)?/g

export function parseTopic(path: string): string {
  // An escape triples a byte: anything longer cannot become a topic that fits.
  if (path.length > topicBytesMax * 3) throw refuse(`is longer than ${topicBytesMax} bytes`)
  return topicOf(path.split('/').map(decode))
}

/** Of segments that no escape hides anything in. */
export function topicOf(segments: readonly string[]): string {
  if (segments.length > topicSegmentsMax) throw refuse(`has more than ${topicSegmentsMax} segments`)
  for (const part of segments) {
    if (part === '.' || part === '..') throw refuse('has a dot segment')
    if (!segment.test(part))
      throw refuse('has an empty segment or a character outside A-Z a-z 0-9 _ . ~ -')
  }
  if (segments.length === 0) throw refuse('has no segment')
  const topic = segments.join('/')
  if (topic.length > topicBytesMax) throw refuse(`is longer than ${topicBytesMax} bytes`)
  return topic
}

/**
 * Whatever an escape hides is judged as the character it stands for; one that is no escape stays
 * and is refused.
 */
function decode(part: string): string {
  if (!part.includes('%')) return part
  return part.replaceAll(escapeAny, (whole, digits: string | undefined) =>
    digits !== undefined && /^[0-9A-Fa-f]{2}$/.test(digits)
      ? String.fromCharCode(Number.parseInt(digits, 16))
      : whole,
  )
}

function refuse(what: string): PeerError<'ERR_TOPIC'> {
  return new PeerError(
    'ERR_TOPIC',
    `the topic ${what}`,
    {},
    {
      where: 'path',
      hint: 'Take segments such as boiler/temperature: /v1/messages/<topic>, on coap /m/<topic>.',
    },
  )
}
