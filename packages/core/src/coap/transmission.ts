/** Transmission parameters (RFC 7252 §4.8) and the times that follow from them (§4.8.2). */

export interface Transmission {
  /** ACK_TIMEOUT: of the first wait, before it is drawn and doubled. */
  readonly ackTimeoutMs: number
  /** ACK_RANDOM_FACTOR: the first wait is drawn between ACK_TIMEOUT and so many times that. */
  readonly ackRandomFactor: number
  /** MAX_RETRANSMIT. */
  readonly retransmitMax: number
  /** NSTART: requests to one peer that are under way at a time. More wait. */
  readonly nstart: number
  /** MAX_LATENCY. */
  readonly latencyMaxMs: number
  /** A request that takes longer to answer is acknowledged first (§5.2.2). */
  readonly processingMs: number
}

export const defaultTransmission: Transmission = {
  ackTimeoutMs: 2000,
  ackRandomFactor: 1.5,
  retransmitMax: 4,
  nstart: 1,
  latencyMaxMs: 100_000,
  /** Half of ACK_TIMEOUT: the acknowledgement is there before anyone sends again. */
  processingMs: 1000,
}

export interface Lifetimes {
  /** MAX_TRANSMIT_SPAN: from the first transmission to the last. */
  readonly transmitSpanMs: number
  /** MAX_TRANSMIT_WAIT: from the first transmission to giving up. */
  readonly transmitWaitMs: number
  /** EXCHANGE_LIFETIME: from the first transmission to when nothing of it arrives any more. */
  readonly exchangeMs: number
}

export function lifetimesOf(transmission: Transmission): Lifetimes {
  const { ackTimeoutMs, ackRandomFactor, retransmitMax, latencyMaxMs } = transmission
  const transmitSpanMs = ackTimeoutMs * (2 ** retransmitMax - 1) * ackRandomFactor
  return {
    transmitSpanMs,
    transmitWaitMs: ackTimeoutMs * (2 ** (retransmitMax + 1) - 1) * ackRandomFactor,
    // PROCESSING_DELAY is ACK_TIMEOUT.
    exchangeMs: transmitSpanMs + 2 * latencyMaxMs + ackTimeoutMs,
  }
}
