/** Every bound of the applications' doors, with its reason. */

export interface ApplicationLimits {
  /** Messages read from the store at once, for one receiver: at most 64 KiB each. */
  readonly pageMax: number
  /** One attempt of a webhook, from the look-up of the name to the status line. */
  readonly webhookMsMax: number
  /**
   * Bytes of a webhook's answer that are read and dropped so that the connection can be used again.
   */
  readonly webhookAnswerBytesMax: number
  /**
   * Attempts until a message goes to the dead letters: with the waits below, about half an hour.
   */
  readonly attemptsMax: number
  /** Wait after the first failed attempt; doubled after each further one. */
  readonly backoffMsMin: number
  readonly backoffMsMax: number
  /** An attempt under way when the server stops may take so much longer. */
  readonly stopGraceMs: number
  /**
   * How far an application has read is written at most this often: after a crash so much is
   * delivered again.
   */
  readonly cursorSaveMs: number
  /**
   * Messages are kept for so long even when every application has had them, so that an events door
   * can go back.
   */
  readonly keptMs: number
  /**
   * Beyond so many the oldest are dropped, had or not: an application that never comes must not
   * fill the disk.
   */
  readonly messagesMax: number
  readonly retentionMs: number
  readonly streamsPerApplicationMax: number
  readonly streamsMax: number
  /**
   * A stream that has not taken anything for so long is closed; the reader resumes with
   * Last-Event-ID.
   */
  readonly streamStalledMsMax: number
  /**
   * Silence is broken by a comment, so that middle boxes keep the connection (WHATWG HTML §9.2.7).
   */
  readonly heartbeatMs: number
  readonly applicationsMax: number
}

const hour = 3_600_000

export const applicationLimits: ApplicationLimits = {
  pageMax: 64,
  webhookMsMax: 15_000,
  webhookAnswerBytesMax: 65_536,
  attemptsMax: 13,
  backoffMsMin: 1_000,
  backoffMsMax: 300_000,
  stopGraceMs: 1_500,
  cursorSaveMs: 1_000,
  keptMs: 24 * hour,
  messagesMax: 1_000_000,
  retentionMs: 60_000,
  streamsPerApplicationMax: 8,
  streamsMax: 256,
  streamStalledMsMax: 60_000,
  heartbeatMs: 15_000,
  applicationsMax: 256,
}
