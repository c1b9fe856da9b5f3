/** PKCS#11 tokens: an element of a device, and the CA keys of an authority. */
export {
  openPkcs11Element,
  type Pkcs11Element,
  type Pkcs11Info,
  type Pkcs11Slot,
} from './element.ts'
export { openTokenKeys, type TokenKeys, tokenName } from './tokenKeys.ts'
export type { TokenOptions } from './token.ts'
export { type Pkcs11Url, parsePkcs11Url } from './url.ts'
