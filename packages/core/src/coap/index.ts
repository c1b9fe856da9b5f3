/** The CoAP room (RFC 7252 §3): messages, their options, the numbers of both. */
export { type CoapErrorCode, coapLimits } from './errors.ts'
export { type CoapMessage, type CoapType, encodeMessage, parseMessage } from './message.ts'
export {
  type CodeKind,
  coapCode,
  codeKind,
  codeText,
  isCritical,
  isUnsafe,
  optionNumber,
} from './numbers.ts'
export {
  type CoapBody,
  type CoapOption,
  encodeBody,
  parseBody,
  readUint,
  sortedOptions,
  uintValue,
  valuesOf,
} from './options.ts'
