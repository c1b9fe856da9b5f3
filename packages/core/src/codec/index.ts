/** The codec room: bytes, text forms, DER. */
export * from './bytes.ts'
export { DerReader } from './der.ts'
export { type DerErrorCode, derLimits } from './derLimits.ts'
export { contextConstructed, contextPrimitive, tag } from './derTags.ts'
export { parseTime } from './derTime.ts'
export * as der from './derWriter.ts'
export { noExpiration } from './derWriter.ts'
export * from './pem.ts'
