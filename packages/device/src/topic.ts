/**
 * The grammar of topics: 1 to 16 segments of unreserved characters (RFC 3986 §2.3), so that a topic
 * is a path as it stands.
 */
import { CallerError } from '@countersign/core/errors'
import type { DeviceErrorCode } from './errors.ts'
import type { RoadName } from './road.ts'

const topicBytesMax = 256
const segmentsMax = 16

export function requireTopic(topic: string, road: RoadName = 'https'): void {
  const segments = topic.split('/')
  const sound =
    topic.length <= topicBytesMax &&
    segments.length <= segmentsMax &&
    segments.every((each) => /^[A-Za-z0-9_.~-]+$/.test(each) && each !== '.' && each !== '..')
  if (sound && road === 'mqtts' && isReserved(topic)) throw reservedTopic(topic)
  if (sound) return
  throw new CallerError<DeviceErrorCode>(
    'ERR_TOPIC_FORMAT',
    `${JSON.stringify(topic.slice(0, 80))} is not a topic`,
    {},
    {
      where: 'TOPIC',
      hint: `A topic has 1 to ${segmentsMax} segments of letters, digits, "_", ".", "~" and "-", separated by "/".`,
    },
  )
}

/** First segments that mean something else below `devices/<eui64>/`: commands, and their results. */
const reserved: readonly string[] = ['commands', 'results']
export const reservedWords: string = reserved.map((each) => `"${each}"`).join(' or ')

export function isReserved(topic: string): boolean {
  return reserved.includes(topic.split('/')[0] ?? '')
}

function reservedTopic(topic: string): CallerError<DeviceErrorCode> {
  return new CallerError(
    'ERR_TOPIC_FORMAT',
    `over mqtts "${topic.slice(0, 80)}" is not a topic for readings`,
    {},
    { where: 'TOPIC', hint: `There a topic does not begin with ${reservedWords}.` },
  )
}
