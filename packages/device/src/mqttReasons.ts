/**
 * What a reason code of MQTT 5 (§2.4) means for the reading that waits: one total function. The same
 * code speaks of the whole connection in CONNACK, and of what was sent last in PUBACK or in
 * DISCONNECT.
 */
import type { Problem } from './problem.ts'
import type { Outcome } from './road.ts'

/** What the server said, and with which packet. */
export interface Said {
  /** `ended`: it had ended the connection before it could be asked. */
  readonly packet: 'connack' | 'suback' | 'puback' | 'disconnect' | 'ended'
  readonly code: number
}

export const success = 0x00
export const unspecified = 0x80
/** Of a message that is for nobody here, and of one that cannot be read (§3.4.2.1). */
export const topicInvalid = 0x90
export const payloadInvalid = 0x99

/** Below it a code is no failure (§2.4). */
const failureMin = 0x80
/** Stored, and nobody had subscribed (§3.4.2.1). */
const noMatchingSubscribers = 0x10

/** This device, whatever it says: §3.2.2.2, §3.4.2.1, §3.14.2.1. */
const refusals: ReadonlySet<number> = new Set([
  0x85, // Client Identifier not valid
  0x86, // Bad User Name or Password
  0x87, // Not authorized
  0x8a, // Banned
  0x8c, // Bad authentication method
])

/** The same packet would be answered the same again. */
const rejections: ReadonlySet<number> = new Set([
  0x90, // Topic Name invalid
  0x95, // Packet too large
  0x99, // Payload format invalid
])

const words: Readonly<Record<number, string>> = {
  0x80: 'unspecified error',
  0x81: 'malformed packet',
  0x82: 'protocol error',
  0x84: 'unsupported protocol version',
  0x85: 'client identifier not valid',
  0x86: 'bad user name or password',
  0x87: 'not authorized',
  0x88: 'server unavailable',
  0x89: 'server busy',
  0x8a: 'banned',
  0x8b: 'server shutting down',
  0x8c: 'bad authentication method',
  0x8d: 'keep alive timeout',
  0x8e: 'session taken over',
  0x90: 'topic name invalid',
  0x95: 'packet too large',
  0x96: 'message rate too high',
  0x97: 'quota exceeded',
  0x98: 'administrative action',
  0x99: 'payload format invalid',
  0x9c: 'use another server',
  0x9d: 'server moved',
  0x9f: 'connection rate exceeded',
  0xa0: 'maximum connect time',
}

/** `id` is the event's, should the reading have been taken. */
export function judgeReason({ packet, code }: Said, id: string): Outcome {
  const isTaken = packet === 'puback' && (code === success || code === noMatchingSubscribers)
  if (isTaken) return { kind: 'taken', id }
  const problem = problemOf(code)
  if (refusals.has(code)) return { kind: 'refused', problem }
  // Any other word comes before the server has seen the reading.
  const isAbout = packet === 'puback' || packet === 'disconnect'
  if (rejections.has(code) && isAbout) return { kind: 'rejected', problem }
  // An end without a fault (0x00 in DISCONNECT), and whatever a later server may say, passes.
  return { kind: 'later', problem, afterMs: undefined }
}

/** The same for a connection that ended, or that brings no commands. */
export function judgeEnd({ code }: Said): {
  readonly isRefusal: boolean
  readonly problem: Problem
} {
  return { isRefusal: refusals.has(code), problem: problemOf(code) }
}

function problemOf(code: number): Problem {
  const name = words[code] ?? (code < failureMin ? 'the connection ended' : 'unknown reason')
  const message = `${name} (MQTT reason 0x${code.toString(16).padStart(2, '0')})`
  return { status: code, code: undefined, message, hint: undefined }
}
