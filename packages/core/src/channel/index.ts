/** The channel room: EDHOC over CoAP (RFC 9528 Appendix A, RFC 9668), and what comes of it. */
export { type ByValue, coldStartItem, coldStartLabel, wantedByValue } from './coldStart.ts'
export { type Combined, combine, fitsCombined, isCombined, separate } from './combined.ts'
export { contextParameters, type EdhocContextParameters } from './context.ts'
export type { ChannelErrorCode } from './errors.ts'
export {
  edhocContentFormat,
  edhocPath,
  type EdhocPayload,
  encodeContinued,
  encodeStart,
  parseEdhocPayload,
} from './payload.ts'
