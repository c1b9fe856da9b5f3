/**
 * The grammar of topics: 1 to 16 segments of unreserved characters (RFC 3986 §2.3), so that a topic
 * is a path as it stands.
 */
import { CallerError } from '@countersign/core/errors'
import type { DeviceErrorCode } from './errors.ts'

const topicBytesMax = 256
const segmentsMax = 16

export function requireTopic(topic: string): void {
  const segments = topic.split('/')
  const sound =
    topic.length <= topicBytesMax &&
    segments.length <= segmentsMax &&
    segments.every((each) => /^[A-Za-z0-9_.~-]+$/.test(each) && each !== '.' && each !== '..')
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
