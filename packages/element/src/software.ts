/**
 * The software twin of a secure element: P-256 keys in one file of the state folder (mode 0600). It
 * keeps the port's promises about use, not about theft: whoever reads the file has the keys, which
 * is why its assurance is 0.
 *
 * Private bytes never leave this module. Node's own TLS takes no key by handle, so `tlsContext`
 * loads one into OpenSSL and hands out the finished context; chips will sign through core's TLS
 * client instead and have no such method.
 */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { createSecureContext, type SecureContext } from 'node:tls'
import { privateMode, writeDurably } from './durable.ts'
import {
  type ElementInfo,
  type ElementState,
  elementError,
  type SecureElement,
  type SlotInfo,
} from './ports.ts'
import { errorCode, isRecord, parseRecord } from './shapes.ts'
import { pointOfSpki, requireDigest } from './signer.ts'
import { signDigest } from './softwareEcdsa.ts'

export interface SoftwareElement extends SecureElement {
  /**
   * A TLS 1.3 client or server context that signs with this slot's key and shows these certificates
   * (PEM, leaf first).
   */
  tlsContext(slot: number, certificatesPem: string): Promise<SecureContext>
}

/** Node's own TLS can speak with its keys. */
export function isSoftware(element: SecureElement): element is SoftwareElement {
  return element instanceof FileElement
}

/** Two keys while a renewal is under way, two to spare. */
const slotCount = 4
const formatVersion = 1
const damagedHint = 'Restore the file, or enrol again in an empty state folder.'

interface ElementFile {
  readonly version: number
  readonly serial: string
  /** Slot number to PKCS#8 DER in base64. */
  readonly slots: Readonly<Record<string, string>>
}

/** Opens the twin in this file, or makes an empty one. */
export async function openSoftwareElement(path: string): Promise<SoftwareElement> {
  const found = await readElementFile(path)
  if (found !== undefined) return new FileElement(path, found)
  const fresh: ElementFile = {
    version: formatVersion,
    serial: randomBytes(9).toString('hex'),
    slots: {},
  }
  await writeDurably(path, JSON.stringify(fresh))
  return new FileElement(path, fresh)
}

class FileElement implements SoftwareElement {
  readonly #path: string
  readonly #serial: string
  readonly #keys: Map<number, KeyObject> = new Map()
  /** One writer at a time: the file is always one whole state. */
  #writing: Promise<void> = Promise.resolve()

  constructor(path: string, content: ElementFile) {
    this.#path = path
    this.#serial = content.serial
    for (const [slot, pkcs8] of Object.entries(content.slots)) {
      this.#keys.set(Number(slot), importKey(path, slot, pkcs8))
    }
  }

  async info(): Promise<ElementInfo> {
    return {
      kind: 'software',
      vendor: 'countersign',
      model: 'software twin',
      revision: String(formatVersion),
      serial: this.#serial,
      capabilities: [],
    }
  }

  async state(): Promise<ElementState> {
    return { config: 'locked', data: 'locked' }
  }

  async slots(): Promise<readonly SlotInfo[]> {
    return Array.from({ length: slotCount }, (_, slot) => ({
      slot,
      curve: 'P-256',
      state: this.#keys.has(slot) ? 'key' : 'empty',
      uses: ['sign'],
      canGenerate: true,
      locked: false,
    }))
  }

  async generateKey(slot: number): Promise<Uint8Array> {
    requireSlot(slot)
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const write = this.#writing.then(() => this.#store(slot, privateKey))
    // A failed write must not stop the next one; its own caller hears of it below.
    this.#writing = write.catch(() => undefined)
    await write
    return this.publicKey(slot)
  }

  async publicKey(slot: number): Promise<Uint8Array> {
    return pointOfSpki(createPublicKey(this.#key(slot)).export({ type: 'spki', format: 'der' }))
  }

  async sign(slot: number, digest: Uint8Array): Promise<Uint8Array> {
    requireDigest(digest)
    return signDigest(this.#key(slot), digest)
  }

  async random(length: number): Promise<Uint8Array> {
    return randomBytes(length)
  }

  async tlsContext(slot: number, certificatesPem: string): Promise<SecureContext> {
    return createSecureContext({
      key: this.#key(slot).export({ type: 'pkcs8', format: 'pem' }),
      cert: certificatesPem,
      minVersion: 'TLSv1.3',
      maxVersion: 'TLSv1.3',
    })
  }

  async close(): Promise<void> {
    await this.#writing
    this.#keys.clear()
  }

  #key(slot: number): KeyObject {
    requireSlot(slot)
    const key = this.#keys.get(slot)
    if (key !== undefined) return key
    throw elementError(
      'ERR_ELEMENT_SLOT_EMPTY',
      `slot ${slot} of the element holds no key`,
      { slot },
      { hint: 'Make one first with generateKey, or name the slot that holds it.' },
    )
  }

  /**
   * The key is used only once it is on the disk: a certificate never names a key that a power cut
   * could take.
   */
  async #store(slot: number, key: KeyObject): Promise<void> {
    const keys = new Map(this.#keys).set(slot, key)
    const slots: Record<string, string> = {}
    for (const [number, each] of keys) {
      slots[number] = each.export({ type: 'pkcs8', format: 'der' }).toString('base64')
    }
    const content: ElementFile = { version: formatVersion, serial: this.#serial, slots }
    await writeDurably(this.#path, JSON.stringify(content))
    this.#keys.set(slot, key)
  }
}

async function readElementFile(path: string): Promise<ElementFile | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
    await requirePrivate(path)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  }
  const content = parseElementFile(text)
  if (content !== undefined) return content
  throw elementError(
    'ERR_ELEMENT_DAMAGED',
    'the file of the software element is not readable as one',
    {},
    { where: path, hint: damagedHint },
  )
}

function parseElementFile(text: string): ElementFile | undefined {
  const content = parseRecord(text)
  if (content?.version !== formatVersion || typeof content.serial !== 'string') return undefined
  if (!isRecord(content.slots)) return undefined
  const slots: Record<string, string> = {}
  for (const [slot, key] of Object.entries(content.slots)) {
    if (!isSlot(Number(slot)) || typeof key !== 'string') return undefined
    slots[slot] = key
  }
  return { version: formatVersion, serial: content.serial, slots }
}

async function requirePrivate(path: string): Promise<void> {
  if (process.platform === 'win32') return
  const { mode } = await stat(path)
  if ((mode & 0o077) === 0) return
  throw elementError(
    'ERR_ELEMENT_MODE',
    `others may read the keys of this element (mode ${(mode & 0o777).toString(8)})`,
    {},
    {
      where: path,
      hint: `Close it with: chmod ${privateMode.toString(8)}. If it may have been copied, enrol anew.`,
    },
  )
}

function importKey(path: string, slot: string, pkcs8: string): KeyObject {
  try {
    const key = createPrivateKey({
      key: Buffer.from(pkcs8, 'base64'),
      format: 'der',
      type: 'pkcs8',
    })
    if (key.asymmetricKeyDetails?.namedCurve === 'prime256v1') return key
  } catch {
    // Said below without the cause: OpenSSL's words may quote what it was given.
  }
  throw elementError(
    'ERR_ELEMENT_DAMAGED',
    `slot ${slot} of the software element holds no usable P-256 key`,
    {},
    { where: path, hint: damagedHint },
  )
}

function isSlot(slot: number): boolean {
  return Number.isInteger(slot) && slot >= 0 && slot < slotCount
}

function requireSlot(slot: number): void {
  if (isSlot(slot)) return
  throw elementError(
    'ERR_ELEMENT_SLOT',
    `a software element has the slots 0 to ${slotCount - 1}, not ${slot}`,
    { slot },
  )
}
