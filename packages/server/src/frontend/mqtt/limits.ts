/** Every bound of the mqtts door, with its reason. What it shares with other doors is common. */
import { commonLimits, type GateLimits, type IntakeLimits, type SessionLimits } from '../limits.ts'

export interface MqttLimits extends GateLimits, SessionLimits, IntakeLimits {
  /** A message of `messageBytesMax` with topic and properties; told to clients of MQTT 5. */
  readonly packetBytesMax: number
  /** Packets of who is not admitted: enough for a CONNECT, to answer it. */
  readonly strangerBytesMax: number
  /** End of the TLS handshake to the end of CONNECT (MQTT 5 §4.8 leaves the time to the server). */
  readonly connectMsMax: number
  /** Messages of one connection that are not durable yet; told to clients of MQTT 5. */
  readonly receiveMaximum: number
  /**
   * Packets of QoS 2 of one session that are stored and not released. Those of MQTT 5 keep to
   * `receiveMaximum`; 3.1.1 knows no bound, and each one is written again with the next.
   */
  readonly unreleasedMax: number
  /** Messages sent to one connection that it has not acknowledged. */
  readonly sendMaximum: number
  /** Bytes for one connection that its socket has not taken: beyond it nothing more is read. */
  readonly unsentBytesMax: number
  /** A peer that takes nothing for so long is cut off. */
  readonly stalledMsMax: number
  /** Filters of one session. Beyond it SUBACK says so. */
  readonly subscriptionsMax: number
  /** Of one filter: more than the longest topic that there can be. */
  readonly filterBytesMax: number
  readonly clientIdBytesMax: number
  /** Sessions without a connection that are remembered of one device or application. */
  readonly sessionsPerHolderMax: number
  /** A session without a connection is forgotten after so long, whatever was asked for. */
  readonly sessionExpiryMsMax: number
  /**
   * A device that sends faster than its product allows is read more slowly; one that would have to
   * wait for longer than this is disconnected.
   */
  readonly paceMsMax: number
  /** A will is held as long as its connection lives: all of them must fit into memory. */
  readonly willBytesMax: number
  /** Wills that wait for their delay, in the whole door; beyond it they are published at once. */
  readonly delayedWillsMax: number
  /** Rows read from the store at once for one application. */
  readonly pageMax: number
  /** How far an application's session has read is written at most this often. */
  readonly positionSaveMs: number
}

const dayMs = 86_400_000

export const mqttLimits: MqttLimits = {
  ...commonLimits,
  packetBytesMax: commonLimits.messageBytesMax + 8_192,
  strangerBytesMax: 4_096,
  connectMsMax: 10_000,
  receiveMaximum: 64,
  unreleasedMax: 1_024,
  sendMaximum: 256,
  unsentBytesMax: 262_144,
  stalledMsMax: 60_000,
  subscriptionsMax: 64,
  filterBytesMax: 512,
  clientIdBytesMax: 128,
  sessionsPerHolderMax: 8,
  sessionExpiryMsMax: 7 * dayMs,
  paceMsMax: 30_000,
  willBytesMax: 4_096,
  delayedWillsMax: 10_000,
  pageMax: 64,
  positionSaveMs: 1_000,
}
