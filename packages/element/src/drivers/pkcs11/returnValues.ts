/**
 * Every CKR_ value of PKCS#11 v2.40 (and the few that v3.0 added to signing) as an error of the
 * port: one total table. What a vendor defines beyond it is an answer that we do not know.
 */
import { type ElementError, type ElementErrorCode, elementError } from '@countersign/core/ports'

/** A call into the library that did not return CKR_OK. */
export class CryptokiError extends Error {
  readonly returnValue: number
  /** `C_Sign`, say. */
  readonly call: string

  constructor(call: string, returnValue: number) {
    super(`${call}: ${nameOf(returnValue)}`)
    this.name = 'CryptokiError'
    this.call = call
    this.returnValue = returnValue
  }
}

const table: Readonly<Record<string, readonly [value: number, code: ElementErrorCode]>> = {
  CKR_OK: [0x000, 'ERR_ELEMENT_PARSE'],
  CKR_CANCEL: [0x001, 'ERR_ELEMENT_BUSY'],
  CKR_HOST_MEMORY: [0x002, 'ERR_ELEMENT_BUSY'],
  CKR_SLOT_ID_INVALID: [0x003, 'ERR_ELEMENT_GONE'],
  CKR_GENERAL_ERROR: [0x005, 'ERR_ELEMENT_BUS'],
  CKR_FUNCTION_FAILED: [0x006, 'ERR_ELEMENT_BUS'],
  CKR_ARGUMENTS_BAD: [0x007, 'ERR_ELEMENT_PARSE'],
  CKR_NO_EVENT: [0x008, 'ERR_ELEMENT_PARSE'],
  CKR_NEED_TO_CREATE_THREADS: [0x009, 'ERR_ELEMENT_UNSUPPORTED'],
  CKR_CANT_LOCK: [0x00a, 'ERR_ELEMENT_UNSUPPORTED'],
  CKR_ATTRIBUTE_READ_ONLY: [0x010, 'ERR_ELEMENT_POLICY'],
  CKR_ATTRIBUTE_SENSITIVE: [0x011, 'ERR_ELEMENT_POLICY'],
  CKR_ATTRIBUTE_TYPE_INVALID: [0x012, 'ERR_ELEMENT_UNSUPPORTED'],
  CKR_ATTRIBUTE_VALUE_INVALID: [0x013, 'ERR_ELEMENT_UNSUPPORTED'],
  CKR_ACTION_PROHIBITED: [0x01b, 'ERR_ELEMENT_POLICY'],
  CKR_DATA_INVALID: [0x020, 'ERR_ELEMENT_PARSE'],
  CKR_DATA_LEN_RANGE: [0x021, 'ERR_ELEMENT_PARSE'],
  CKR_DEVICE_ERROR: [0x030, 'ERR_ELEMENT_BUS'],
  CKR_DEVICE_MEMORY: [0x031, 'ERR_ELEMENT_POLICY'],
  CKR_DEVICE_REMOVED: [0x032, 'ERR_ELEMENT_GONE'],
  CKR_ENCRYPTED_DATA_INVALID: [0x040, 'ERR_ELEMENT_PARSE'],
  CKR_ENCRYPTED_DATA_LEN_RANGE: [0x041, 'ERR_ELEMENT_PARSE'],
  CKR_AEAD_DECRYPT_FAILED: [0x042, 'ERR_ELEMENT_PARSE'],
  CKR_FUNCTION_CANCELED: [0x050, 'ERR_ELEMENT_BUSY'],
  CKR_FUNCTION_NOT_PARALLEL: [0x051, 'ERR_ELEMENT_PARSE'],
  CKR_FUNCTION_NOT_SUPPORTED: [0x054, 'ERR_ELEMENT_UNSUPPORTED'],
  CKR_KEY_HANDLE_INVALID: [0x060, 'ERR_ELEMENT_GONE'],
  CKR_KEY_SIZE_RANGE: [0x062, 'ERR_ELEMENT_UNSUPPORTED'],
  CKR_KEY_TYPE_INCONSISTENT: [0x063, 'ERR_ELEMENT_CONFIG'],
  CKR_KEY_NOT_NEEDED: [0x064, 'ERR_ELEMENT_PARSE'],
  CKR_KEY_CHANGED: [0x065, 'ERR_ELEMENT_PARSE'],
  CKR_KEY_NEEDED: [0x066, 'ERR_ELEMENT_PARSE'],
  CKR_KEY_INDIGESTIBLE: [0x067, 'ERR_ELEMENT_PARSE'],
  CKR_KEY_FUNCTION_NOT_PERMITTED: [0x068, 'ERR_ELEMENT_POLICY'],
  CKR_KEY_NOT_WRAPPABLE: [0x069, 'ERR_ELEMENT_POLICY'],
  CKR_KEY_UNEXTRACTABLE: [0x06a, 'ERR_ELEMENT_POLICY'],
  CKR_MECHANISM_INVALID: [0x070, 'ERR_ELEMENT_UNSUPPORTED'],
  CKR_MECHANISM_PARAM_INVALID: [0x071, 'ERR_ELEMENT_ECC'],
  CKR_OBJECT_HANDLE_INVALID: [0x082, 'ERR_ELEMENT_GONE'],
  CKR_OPERATION_ACTIVE: [0x090, 'ERR_ELEMENT_BUSY'],
  CKR_OPERATION_NOT_INITIALIZED: [0x091, 'ERR_ELEMENT_PARSE'],
  CKR_PIN_INCORRECT: [0x0a0, 'ERR_ELEMENT_PIN'],
  CKR_PIN_INVALID: [0x0a1, 'ERR_ELEMENT_PIN'],
  CKR_PIN_LEN_RANGE: [0x0a2, 'ERR_ELEMENT_PIN'],
  CKR_PIN_EXPIRED: [0x0a3, 'ERR_ELEMENT_PIN'],
  CKR_PIN_LOCKED: [0x0a4, 'ERR_ELEMENT_PIN'],
  CKR_SESSION_CLOSED: [0x0b0, 'ERR_ELEMENT_GONE'],
  CKR_SESSION_COUNT: [0x0b1, 'ERR_ELEMENT_BUSY'],
  CKR_SESSION_HANDLE_INVALID: [0x0b3, 'ERR_ELEMENT_GONE'],
  CKR_SESSION_PARALLEL_NOT_SUPPORTED: [0x0b4, 'ERR_ELEMENT_UNSUPPORTED'],
  CKR_SESSION_READ_ONLY: [0x0b5, 'ERR_ELEMENT_POLICY'],
  CKR_SESSION_EXISTS: [0x0b6, 'ERR_ELEMENT_BUSY'],
  CKR_SESSION_READ_ONLY_EXISTS: [0x0b7, 'ERR_ELEMENT_BUSY'],
  CKR_SESSION_READ_WRITE_SO_EXISTS: [0x0b8, 'ERR_ELEMENT_BUSY'],
  CKR_SIGNATURE_INVALID: [0x0c0, 'ERR_ELEMENT_VERIFY_FAILED'],
  CKR_SIGNATURE_LEN_RANGE: [0x0c1, 'ERR_ELEMENT_VERIFY_FAILED'],
  CKR_TEMPLATE_INCOMPLETE: [0x0d0, 'ERR_ELEMENT_UNSUPPORTED'],
  CKR_TEMPLATE_INCONSISTENT: [0x0d1, 'ERR_ELEMENT_UNSUPPORTED'],
  CKR_TOKEN_NOT_PRESENT: [0x0e0, 'ERR_ELEMENT_GONE'],
  CKR_TOKEN_NOT_RECOGNIZED: [0x0e1, 'ERR_ELEMENT_GONE'],
  CKR_TOKEN_WRITE_PROTECTED: [0x0e2, 'ERR_ELEMENT_POLICY'],
  CKR_UNWRAPPING_KEY_HANDLE_INVALID: [0x0f0, 'ERR_ELEMENT_PARSE'],
  CKR_UNWRAPPING_KEY_SIZE_RANGE: [0x0f1, 'ERR_ELEMENT_PARSE'],
  CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT: [0x0f2, 'ERR_ELEMENT_PARSE'],
  CKR_USER_ALREADY_LOGGED_IN: [0x100, 'ERR_ELEMENT_BUSY'],
  CKR_USER_NOT_LOGGED_IN: [0x101, 'ERR_ELEMENT_GONE'],
  CKR_USER_PIN_NOT_INITIALIZED: [0x102, 'ERR_ELEMENT_PIN'],
  CKR_USER_TYPE_INVALID: [0x103, 'ERR_ELEMENT_PARSE'],
  CKR_USER_ANOTHER_ALREADY_LOGGED_IN: [0x104, 'ERR_ELEMENT_BUSY'],
  CKR_USER_TOO_MANY_TYPES: [0x105, 'ERR_ELEMENT_BUSY'],
  CKR_WRAPPED_KEY_INVALID: [0x110, 'ERR_ELEMENT_PARSE'],
  CKR_WRAPPED_KEY_LEN_RANGE: [0x112, 'ERR_ELEMENT_PARSE'],
  CKR_WRAPPING_KEY_HANDLE_INVALID: [0x113, 'ERR_ELEMENT_PARSE'],
  CKR_WRAPPING_KEY_SIZE_RANGE: [0x114, 'ERR_ELEMENT_PARSE'],
  CKR_WRAPPING_KEY_TYPE_INCONSISTENT: [0x115, 'ERR_ELEMENT_PARSE'],
  CKR_RANDOM_SEED_NOT_SUPPORTED: [0x120, 'ERR_ELEMENT_UNSUPPORTED'],
  CKR_RANDOM_NO_RNG: [0x121, 'ERR_ELEMENT_UNSUPPORTED'],
  CKR_DOMAIN_PARAMS_INVALID: [0x130, 'ERR_ELEMENT_UNSUPPORTED'],
  CKR_CURVE_NOT_SUPPORTED: [0x140, 'ERR_ELEMENT_UNSUPPORTED'],
  CKR_BUFFER_TOO_SMALL: [0x150, 'ERR_ELEMENT_PARSE'],
  CKR_SAVED_STATE_INVALID: [0x160, 'ERR_ELEMENT_PARSE'],
  CKR_INFORMATION_SENSITIVE: [0x170, 'ERR_ELEMENT_POLICY'],
  CKR_STATE_UNSAVEABLE: [0x180, 'ERR_ELEMENT_PARSE'],
  CKR_CRYPTOKI_NOT_INITIALIZED: [0x190, 'ERR_ELEMENT_GONE'],
  CKR_CRYPTOKI_ALREADY_INITIALIZED: [0x191, 'ERR_ELEMENT_BUSY'],
  CKR_MUTEX_BAD: [0x1a0, 'ERR_ELEMENT_PARSE'],
  CKR_MUTEX_NOT_LOCKED: [0x1a1, 'ERR_ELEMENT_PARSE'],
  CKR_NEW_PIN_MODE: [0x1b0, 'ERR_ELEMENT_PIN'],
  CKR_NEXT_OTP: [0x1b1, 'ERR_ELEMENT_PIN'],
  CKR_EXCEEDED_MAX_ITERATIONS: [0x1b5, 'ERR_ELEMENT_PARSE'],
  CKR_FIPS_SELF_TEST_FAILED: [0x1b6, 'ERR_ELEMENT_SELFTEST'],
  CKR_LIBRARY_LOAD_FAILED: [0x1b7, 'ERR_ELEMENT_MODULE'],
  CKR_PIN_TOO_WEAK: [0x1b8, 'ERR_ELEMENT_PIN'],
  CKR_PUBLIC_KEY_INVALID: [0x1b9, 'ERR_ELEMENT_ECC'],
  CKR_FUNCTION_REJECTED: [0x200, 'ERR_ELEMENT_POLICY'],
  CKR_OPERATION_CANCEL_FAILED: [0x202, 'ERR_ELEMENT_BUSY'],
  CKR_KEY_EXHAUSTED: [0x203, 'ERR_ELEMENT_POLICY'],
}

const byValue: ReadonlyMap<number, { readonly name: string; readonly code: ElementErrorCode }> =
  new Map(Object.entries(table).map(([name, [value, code]]) => [value, { name, code }]))

function valueOf(name: string): number {
  return table[name]?.[0] ?? Number.NaN
}

/** Those that mean something to the code. */
type ReturnValueName =
  | 'argumentsBad'
  | 'alreadyInitialized'
  | 'alreadyLoggedIn'
  | 'attributeSensitive'
  | 'attributeTypeInvalid'
  | 'generalError'
  | 'keyHandleInvalid'
  | 'mechanismParamInvalid'
  | 'notInitialized'
  | 'objectHandleInvalid'
  | 'pinIncorrect'
  | 'pinInvalid'
  | 'pinLengthRange'
  | 'pinLocked'
  | 'sessionCount'
  | 'userNotLoggedIn'

export const returnValue: Readonly<Record<ReturnValueName, number>> = {
  argumentsBad: valueOf('CKR_ARGUMENTS_BAD'),
  alreadyInitialized: valueOf('CKR_CRYPTOKI_ALREADY_INITIALIZED'),
  alreadyLoggedIn: valueOf('CKR_USER_ALREADY_LOGGED_IN'),
  attributeSensitive: valueOf('CKR_ATTRIBUTE_SENSITIVE'),
  attributeTypeInvalid: valueOf('CKR_ATTRIBUTE_TYPE_INVALID'),
  generalError: valueOf('CKR_GENERAL_ERROR'),
  keyHandleInvalid: valueOf('CKR_KEY_HANDLE_INVALID'),
  mechanismParamInvalid: valueOf('CKR_MECHANISM_PARAM_INVALID'),
  notInitialized: valueOf('CKR_CRYPTOKI_NOT_INITIALIZED'),
  objectHandleInvalid: valueOf('CKR_OBJECT_HANDLE_INVALID'),
  pinIncorrect: valueOf('CKR_PIN_INCORRECT'),
  pinInvalid: valueOf('CKR_PIN_INVALID'),
  pinLengthRange: valueOf('CKR_PIN_LEN_RANGE'),
  pinLocked: valueOf('CKR_PIN_LOCKED'),
  sessionCount: valueOf('CKR_SESSION_COUNT'),
  userNotLoggedIn: valueOf('CKR_USER_NOT_LOGGED_IN'),
}

/** Of an object, not of the token: it may have got another handle, or be gone alone. */
const objectGone: ReadonlySet<number> = new Set([
  returnValue.keyHandleInvalid,
  returnValue.objectHandleInvalid,
])

export function nameOf(value: number): string {
  return byValue.get(value)?.name ?? `CKR_0x${value.toString(16).padStart(8, '0')}`
}

export function codeOf(value: number): ElementErrorCode {
  return byValue.get(value)?.code ?? 'ERR_ELEMENT_PARSE'
}

export function isObjectGone(error: unknown): boolean {
  return error instanceof CryptokiError && objectGone.has(error.returnValue)
}

/**
 * The sessions, or the library's whole state, are worth nothing any more; all that helps is to
 * begin anew. After an error of the device nobody knows, so it counts too.
 */
export function isConnectionLost(error: unknown): boolean {
  if (!(error instanceof CryptokiError) || isObjectGone(error)) return false
  const code = codeOf(error.returnValue)
  return code === 'ERR_ELEMENT_GONE' || code === 'ERR_ELEMENT_BUS'
}

/** What the library answered, in the words of the port. Other errors pass as they are. */
export function translated(error: unknown, where: string): unknown {
  if (!(error instanceof CryptokiError)) return error
  const code = codeOf(error.returnValue)
  const message = `the token answered ${nameOf(error.returnValue)} to ${error.call}`
  const { call } = error
  const hint = error.returnValue === returnValue.pinLocked ? { hint: lockedHint } : hintOf(code)
  return elementError(code, message, { call }, { where, cause: error, ...hint })
}

export function gone(message: string, where: string, cause?: unknown): ElementError {
  const options = { where, cause, ...hintOf('ERR_ELEMENT_GONE') }
  return elementError('ERR_ELEMENT_GONE', message, {}, options)
}

function hintOf(code: ElementErrorCode): { readonly hint?: string } {
  const hint = hints[code]
  return hint === undefined ? {} : { hint }
}

export const lockedHint =
  'Unlock it with its PUK or SO PIN. A TPM unlocks itself after a time, or by tpm2_dictionarylockout.'

const hints: Partial<Readonly<Record<ElementErrorCode, string>>> = {
  ERR_ELEMENT_GONE: 'Put the token back; the next call opens it again.',
  ERR_ELEMENT_BUS: 'See whether the token still answers: pkcs11-tool --module FILE --list-slots.',
  ERR_ELEMENT_PIN: 'Give the right PIN; it is not tried again by itself.',
  ERR_ELEMENT_UNSUPPORTED: 'pkcs11-tool --module FILE --list-mechanisms shows what it can do.',
}
