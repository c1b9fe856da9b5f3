/**
 * Every bound of the doors for devices, with its reason: what all of them share, and what is the
 * https door's own (the mqtts door's are in mqtt/limits.ts). A bound of zero is never "unlimited":
 * there is no such value.
 */

/** Of a connection before anyone is judged. */
export interface GateLimits {
  /**
   * Live TCP connections of the whole door: memory, about 56 KiB of a connection (measured on
   * Node's TLS).
   */
  readonly connectionsMax: number
  /** Live connections of one address (an IPv6 /64): a factory hall behind one NAT still fits. */
  readonly connectionsPerAddressMax: number
  /** TLS handshakes started per second by one address; each costs about 1 ms of CPU. */
  readonly handshakesPerAddressPerSecond: number
  /**
   * Handshakes an address may start at once after a quiet time, for instance when a site's power
   * returns.
   */
  readonly handshakesPerAddressBurst: number
  /**
   * Addresses and devices whose rates are remembered; beyond it the one longest unused is
   * forgotten.
   */
  readonly ratesRememberedMax: number
  /** TCP accepted to TLS finished. */
  readonly handshakeMsMax: number
}

/** Of who is connected. */
export interface SessionLimits {
  /**
   * Live connections of one device. One more closes the oldest: a device that lost its link must
   * get in again.
   */
  readonly connectionsPerDeviceMax: number
  /** The same of one application. */
  readonly connectionsPerApplicationMax: number
  /** Life of a connection without a client certificate: enough for cacerts and one enrolment. */
  readonly anonymousMsMax: number
  /** A refused peer gets this long to hear its one answer. */
  readonly refusedMsMax: number
  /** Certificates taken from a handshake; the judge has its own, stricter depth. */
  readonly chainLengthMax: number
  /** Foreign chains remembered for resumed sessions, which carry the leaf alone. */
  readonly chainsRememberedMax: number
  /** Leaves remembered as a maker's or an application's, 64 digits each. */
  readonly rolesRememberedMax: number
  /**
   * How often the door looks for sessions past a bound of time. Revocation does not wait for it.
   */
  readonly sweepMs: number
}

/** Of messages on their way into the store. */
export interface IntakeLimits {
  readonly messageBytesMax: number
  /** Messages handed to the store and not yet durable, in the whole door. */
  readonly messagesInFlightMax: number
  readonly ratesRememberedMax: number
}

export interface DoorLimits extends GateLimits, SessionLimits, IntakeLimits {
  /** First byte of a request to the end of its header. */
  readonly headersMsMax: number
  /** First byte of a request to the end of its body. */
  readonly requestMsMax: number
  /**
   * End of a request to the last byte of its answer taken: a peer that does not read must not hold
   * what it asked for.
   */
  readonly answerMsMax: number
  /** Silence of an admitted connection, before its first request and between two. */
  readonly idleMsMax: number
  readonly requestsPerConnectionMax: number
  /** Requests of one connection that wait for an answer: pipelining beyond it is an attack. */
  readonly requestsInFlightPerConnectionMax: number
  readonly headerBytesMax: number
  readonly headersMax: number
  /** A CSR with generous extensions, in base64. */
  readonly estBytesMax: number
  /** CRLs on their way at once: each may be megabytes, and anyone may ask for them. */
  readonly crlAnswersMax: number
  /**
   * Polls and streams of one device that wait for commands; one a connection. One more ends the
   * oldest.
   */
  readonly commandReadersPerDeviceMax: number
  /** The longest `?wait=` of a poll: with the tick below `answerMsMax`. */
  readonly commandWaitSecondsMax: number
  /** Commands looked at for one reader: all that may wait for a device. */
  readonly commandsPerLookMax: number
  /** Characters of the commands in one answer to a poll, unless the first alone is longer. */
  readonly commandAnswerLengthMax: number
  /** How often polls that are over and streams that are silent are looked for. */
  readonly commandTickMs: number
  /** Silence of a stream is broken by a comment; well below `answerMsMax`. */
  readonly commandHeartbeatMs: number
  /**
   * After a refusal the rest of a body is read and dropped up to here, so that the peer can read
   * the answer.
   */
  readonly lingerBytesMax: number
  readonly lingerMsMax: number
}

/** What the doors have in common. */
export const commonLimits: GateLimits & SessionLimits & IntakeLimits = {
  connectionsMax: 20_000,
  connectionsPerAddressMax: 2_000,
  handshakesPerAddressPerSecond: 100,
  handshakesPerAddressBurst: 500,
  ratesRememberedMax: 200_000,
  handshakeMsMax: 10_000,
  connectionsPerDeviceMax: 8,
  connectionsPerApplicationMax: 32,
  anonymousMsMax: 30_000,
  refusedMsMax: 5_000,
  chainLengthMax: 8,
  chainsRememberedMax: 4_096,
  rolesRememberedMax: 50_000,
  sweepMs: 500,
  messageBytesMax: 65_536,
  messagesInFlightMax: 4_096,
}

export const doorLimits: DoorLimits = {
  ...commonLimits,
  headersMsMax: 10_000,
  requestMsMax: 30_000,
  answerMsMax: 60_000,
  idleMsMax: 300_000,
  requestsPerConnectionMax: 100_000,
  requestsInFlightPerConnectionMax: 32,
  headerBytesMax: 8_192,
  headersMax: 64,
  estBytesMax: 32_768,
  crlAnswersMax: 32,
  commandReadersPerDeviceMax: 4,
  commandWaitSecondsMax: 55,
  commandsPerLookMax: 64,
  commandAnswerLengthMax: 65_536,
  commandTickMs: 1_000,
  commandHeartbeatMs: 15_000,
  lingerBytesMax: 1_048_576,
  lingerMsMax: 2_000,
}
