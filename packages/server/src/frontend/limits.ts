/**
 * Every bound of the https door, with its reason. A bound of zero is never "unlimited": there is no
 * such value.
 */

export interface DoorLimits {
  /**
   * Live TCP connections of the whole door: memory, about 56 KiB of a connection (measured on
   * Node's TLS).
   */
  readonly connectionsMax: number
  /** Live connections of one address (an IPv6 /64): a factory hall behind one NAT still fits. */
  readonly connectionsPerAddressMax: number
  /**
   * Live connections of one device. One more closes the oldest: a device that lost its link must
   * get in again.
   */
  readonly connectionsPerDeviceMax: number
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
  /** Life of a connection without a client certificate: enough for cacerts and one enrolment. */
  readonly anonymousMsMax: number
  /** A refused peer gets this long to hear its one answer. */
  readonly refusedMsMax: number
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
  readonly messageBytesMax: number
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
  /** Messages handed to the store and not yet durable, in the whole door. */
  readonly messagesInFlightMax: number
  /**
   * After a refusal the rest of a body is read and dropped up to here, so that the peer can read
   * the answer.
   */
  readonly lingerBytesMax: number
  readonly lingerMsMax: number
  /** Certificates taken from a handshake; the judge has its own, stricter depth. */
  readonly chainLengthMax: number
  /** Foreign chains remembered for resumed sessions, which carry the leaf alone. */
  readonly chainsRememberedMax: number
  /** Leaves remembered as a maker's, 64 digits each. */
  readonly makersRememberedMax: number
  /**
   * How often the door looks for sessions past a bound of time. Revocation does not wait for it.
   */
  readonly sweepMs: number
}

export const doorLimits: DoorLimits = {
  connectionsMax: 20_000,
  connectionsPerAddressMax: 2_000,
  connectionsPerDeviceMax: 8,
  handshakesPerAddressPerSecond: 100,
  handshakesPerAddressBurst: 500,
  ratesRememberedMax: 200_000,
  handshakeMsMax: 10_000,
  anonymousMsMax: 30_000,
  refusedMsMax: 5_000,
  headersMsMax: 10_000,
  requestMsMax: 30_000,
  answerMsMax: 60_000,
  idleMsMax: 300_000,
  requestsPerConnectionMax: 100_000,
  requestsInFlightPerConnectionMax: 32,
  headerBytesMax: 8_192,
  headersMax: 64,
  messageBytesMax: 65_536,
  estBytesMax: 32_768,
  crlAnswersMax: 32,
  commandReadersPerDeviceMax: 4,
  commandWaitSecondsMax: 55,
  commandsPerLookMax: 64,
  commandAnswerLengthMax: 65_536,
  commandTickMs: 1_000,
  commandHeartbeatMs: 15_000,
  messagesInFlightMax: 4_096,
  lingerBytesMax: 1_048_576,
  lingerMsMax: 2_000,
  chainLengthMax: 8,
  chainsRememberedMax: 4_096,
  makersRememberedMax: 50_000,
  sweepMs: 500,
}
