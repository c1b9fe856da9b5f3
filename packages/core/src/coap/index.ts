/** The CoAP room (RFC 7252): messages, their options, the numbers of both; endpoints. */
export {
  type AssemblerParts,
  BlockAssembler,
  type BlockRequest,
  type Taken,
} from './blockAssembler.ts'
export { type BodyLimits, bodyLimits } from './blockBodies.ts'
export { type Block, type BlockName, blockBytes, blockIn, blockOption } from './blockOption.ts'
export { type BlockParts, bodyBytesMax, sendInBlocks } from './blockwise.ts'
export {
  contentFormat,
  contentFormatIn,
  contentFormatOf,
  contentFormatOption,
  mediaTypeOf,
} from './contentFormats.ts'
export { CoapEndpoint, type EndpointLoad } from './endpoint.ts'
export {
  type Cancellation,
  type EndpointErrorCode,
  type EndpointLimits,
  type EndpointParts,
  endpointLimits,
  type OutgoingRequest,
  type OutgoingResponse,
  type RequestOptions,
  type Respond,
  type RespondOptions,
} from './endpointParts.ts'
export { type CoapErrorCode, coapLimits } from './errors.ts'
export { type CoapMessage, type CoapType, encodeMessage, parseMessage } from './message.ts'
export {
  type CodeKind,
  coapCode,
  codeClass,
  codeKind,
  codeText,
  isCritical,
  isServerError,
  isSuccess,
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
export { defaultTransmission, type Transmission } from './transmission.ts'
export { pathOf, queriesOf, queryOf, uriPath, uriQuery } from './uri.ts'
