/**
 * `Cryptoki` by pkcs11js, which is optional: it is a native addon, and who has no token needs no
 * compiler. What its calls throw becomes a CryptokiError with the number that the library returned.
 */
import { elementError } from '@countersign/core/ports'
import { errorCode } from '../../shapes.ts'
import { mechanism } from './constants.ts'
import type { Attribute, Cryptoki, Handle, LibraryInfo, Pair, TokenInfo } from './cryptoki.ts'
import { trustedModule } from './moduleFile.ts'
import type { Attribute as NativeAttribute, Pkcs11js, Pkcs11jsLibrary } from './pkcs11jsTypes.ts'
import { CryptokiError, returnValue } from './returnValues.ts'

/** CKF_OS_LOCKING_OK: without it calls from several threads have crashed the process. */
const osLocking = 0x2
const serialSession = 0x4
const writableSession = 0x2
/** CKU_USER. */
const user = 1
/** CKS_RO_USER_FUNCTIONS and CKS_RW_USER_FUNCTIONS. */
const readOnlyUser = 1
const readWriteUser = 3
/** CKD_NULL, and pkcs11js's name for CK_ECDH1_DERIVE_PARAMS. */
const noKdf = 1
const ecdhParameters = 6
/** Objects of one label: more than two are a mistake that we only have to notice. */
const objectsMax = 64

export async function loadCryptoki(path: string): Promise<Cryptoki> {
  const file = await trustedModule(path)
  const library = await loadLibrary()
  const native = new library.PKCS11()
  try {
    native.load(file)
  } catch (cause) {
    throw elementError(
      'ERR_ELEMENT_MODULE',
      'the PKCS#11 module cannot be loaded',
      {},
      {
        where: path,
        hint: 'module-path names the library that came with the token, for SoftHSM /usr/lib/softhsm/libsofthsm2.so (package softhsm2).',
        cause,
      },
    )
  }
  return new NativeCryptoki(path, native)
}

/** pkcs11js itself; ERR_ELEMENT_MODULE with the line to run where it is not there. */
export async function loadLibrary(): Promise<Pkcs11jsLibrary> {
  try {
    const { default: library } = await import('pkcs11js')
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- typed by us: see pkcs11jsTypes.ts
    return library as unknown as Pkcs11jsLibrary
  } catch (cause) {
    const isAbsent = errorCode(cause) === 'ERR_MODULE_NOT_FOUND'
    throw elementError(
      'ERR_ELEMENT_MODULE',
      isAbsent
        ? 'tokens need pkcs11js, which is not installed: it could not be built here'
        : 'tokens need pkcs11js, which is installed but was not built',
      {},
      { where: 'pkcs11js', hint: isAbsent ? installHint : rebuildHint, cause },
    )
  }
}

const tools = 'apt-get install g++ make python3 libnode-dev'
const installHint = `Run: ${tools} && npm_config_nodedir=/usr npm ci --include=optional`
const rebuildHint = `Run: ${tools} && npm_config_nodedir=/usr npm rebuild pkcs11js`

class NativeCryptoki implements Cryptoki {
  readonly path: string
  readonly #native: Pkcs11js

  constructor(path: string, native: Pkcs11js) {
    this.path = path
    this.#native = native
  }

  initialize(): void {
    calling('C_Initialize', () => this.#native.C_Initialize({ flags: osLocking }))
  }

  finalize(): void {
    calling('C_Finalize', () => this.#native.C_Finalize())
  }

  library(): LibraryInfo {
    const info = calling('C_GetInfo', () => this.#native.C_GetInfo())
    return {
      manufacturer: unpadded(info.manufacturerID),
      description: unpadded(info.libraryDescription),
    }
  }

  slots(): readonly Handle[] {
    return calling('C_GetSlotList', () => this.#native.C_GetSlotList(true))
  }

  tokenInfo(slot: Handle): TokenInfo {
    const info = calling('C_GetTokenInfo', () => this.#native.C_GetTokenInfo(slot))
    const { major, minor } = info.firmwareVersion
    return {
      label: unpadded(info.label),
      manufacturer: unpadded(info.manufacturerID),
      model: unpadded(info.model),
      serial: unpadded(info.serialNumber),
      flags: info.flags,
      version: `${major}.${minor}`,
    }
  }

  mechanisms(slot: Handle): readonly number[] {
    return calling('C_GetMechanismList', () => this.#native.C_GetMechanismList(slot))
  }

  openSession(slot: Handle, writable: boolean): Handle {
    const flags = writable ? serialSession | writableSession : serialSession
    return calling('C_OpenSession', () => this.#native.C_OpenSession(slot, flags))
  }

  closeSession(session: Handle): void {
    calling('C_CloseSession', () => this.#native.C_CloseSession(session))
  }

  login(session: Handle, pin: string | undefined): void {
    calling('C_Login', () =>
      pin === undefined
        ? this.#native.C_Login(session, user)
        : this.#native.C_Login(session, user, pin),
    )
  }

  isLoggedIn(session: Handle): boolean {
    const { state } = calling('C_GetSessionInfo', () => this.#native.C_GetSessionInfo(session))
    return state === readOnlyUser || state === readWriteUser
  }

  find(session: Handle, template: readonly Attribute[]): readonly Handle[] {
    const native = this.#native
    calling('C_FindObjectsInit', () => native.C_FindObjectsInit(session, ours(template)))
    try {
      return calling('C_FindObjects', () => native.C_FindObjects(session, objectsMax))
    } finally {
      calling('C_FindObjectsFinal', () => native.C_FindObjectsFinal(session))
    }
  }

  attribute(session: Handle, object: Handle, type: number): Uint8Array | undefined {
    try {
      const [found] = calling('C_GetAttributeValue', () =>
        this.#native.C_GetAttributeValue(session, object, [{ type }]),
      )
      return found?.value
    } catch (error) {
      if (error instanceof CryptokiError && notShown.has(error.returnValue)) return undefined
      throw error
    }
  }

  destroy(session: Handle, object: Handle): void {
    calling('C_DestroyObject', () => this.#native.C_DestroyObject(session, object))
  }

  random(session: Handle, length: number): Uint8Array {
    const bytes = Buffer.alloc(length)
    calling('C_GenerateRandom', () => this.#native.C_GenerateRandom(session, bytes))
    return bytes
  }

  generatePair(
    session: Handle,
    publicTemplate: readonly Attribute[],
    privateTemplate: readonly Attribute[],
  ): Promise<Pair> {
    const how = { mechanism: mechanism.ecKeyPairGeneration }
    return awaiting('C_GenerateKeyPair', () =>
      this.#native.C_GenerateKeyPairAsync(
        session,
        how,
        ours(publicTemplate),
        ours(privateTemplate),
      ),
    )
  }

  sign(session: Handle, key: Handle, digest: Uint8Array, length: number): Promise<Uint8Array> {
    this.#beginSign(session, key)
    const out = Buffer.alloc(length)
    return awaiting('C_Sign', () => this.#native.C_SignAsync(session, bufferOf(digest), out))
  }

  signNow(session: Handle, key: Handle, digest: Uint8Array, length: number): Uint8Array {
    this.#beginSign(session, key)
    const out = Buffer.alloc(length)
    return calling('C_Sign', () => this.#native.C_Sign(session, bufferOf(digest), out))
  }

  derive(
    session: Handle,
    key: Handle,
    peer: Uint8Array,
    template: readonly Attribute[],
  ): Promise<Handle> {
    const parameter = { type: ecdhParameters, kdf: noKdf, publicData: bufferOf(peer) }
    const how = { mechanism: mechanism.ecdh1Derive, parameter }
    return awaiting('C_DeriveKey', () =>
      this.#native.C_DeriveKeyAsync(session, how, key, ours(template)),
    )
  }

  #beginSign(session: Handle, key: Handle): void {
    calling('C_SignInit', () =>
      this.#native.C_SignInit(session, { mechanism: mechanism.ecdsa }, key),
    )
  }
}

const notShown: ReadonlySet<number> = new Set([
  returnValue.attributeSensitive,
  returnValue.attributeTypeInvalid,
])

function calling<T>(call: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw told(call, error)
  }
}

async function awaiting<T>(call: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw told(call, error)
  }
}

/** pkcs11js puts the return value in `code`, as a number. */
function told(call: string, error: unknown): unknown {
  const isAnswer = error instanceof Error && 'code' in error && typeof error.code === 'number'
  return isAnswer ? new CryptokiError(call, Number(error.code)) : error
}

/** Fixed fields of CK_TOKEN_INFO are padded with blanks; some libraries pad with zeros. */
function unpadded(text: string): string {
  // oxlint-disable-next-line no-control-regex -- the zeros are what is looked for
  return text.replace(/[ \u0000]+$/, '')
}

/** The addon takes Buffers only. */
function ours(template: readonly Attribute[]): NativeAttribute[] {
  return template.map(({ type, value }) => ({
    type,
    value: value instanceof Uint8Array ? bufferOf(value) : value,
  }))
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}
