/** Error codes of the channel room. */
import { PeerError } from '../errors.ts'

export type ChannelErrorCode =
  /** A payload of EDHOC over CoAP that is none. */
  | 'ERR_EDHOC_PAYLOAD'
  /** A combined request that is none (RFC 9668 §3.3.1). */
  | 'ERR_EDHOC_COMBINED'

const hints: Readonly<Record<ChannelErrorCode, string>> = {
  ERR_EDHOC_PAYLOAD: 'Send true and message_1, or C_R and message_3 (RFC 9528 Appendix A.2.1).',
  ERR_EDHOC_COMBINED: 'Send message_3 and behind it what OSCORE encrypted (RFC 9668 §3.2).',
}

export function channelError(
  code: ChannelErrorCode,
  what: string,
  cause?: unknown,
): PeerError<ChannelErrorCode> {
  return new PeerError(code, `EDHOC over CoAP: ${what}`, {}, { hint: hints[code], cause })
}
