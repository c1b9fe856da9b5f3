/**
 * The software twin of a secure element: P-256 keys in one file of the state folder (mode 0600). It
 * keeps the port's promises about use, not about theft: whoever reads the file has the keys, which
 * is why its assurance is 0.
 *
 * Private bytes never leave this module and the file's. Node's own TLS takes no key by handle, so
 * `tlsContext` loads one into OpenSSL and hands out the finished context; other elements sign
 * through core's TLS client and have no such method.
 */
import {
  createHash,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto'
import { createSecureContext, type SecureContext } from 'node:tls'
import {
  type DataSlotInfo,
  type ElementCounters,
  type ElementData,
  type ElementEphemeral,
  type ElementInfo,
  type ElementState,
  elementError,
  type LockConfirmation,
  type LockTarget,
  lockWords,
  type SecureElement,
  type SlotInfo,
} from './ports.ts'
import {
  pointOfSpki,
  requireDigest,
  requirePoint,
  requireRandomLength,
  spkiOfPoint,
} from './signer.ts'
import { signDigest } from './softwareEcdsa.ts'
import {
  counterCount,
  counterMax,
  dataSize,
  dataSlot,
  formatVersion,
  isSlot,
  readTwin,
  slotCount,
  type TwinContent,
  writeTwin,
} from './softwareFile.ts'

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

/** Opens the twin in this file, or makes an empty one unless it must be there. */
export async function openSoftwareElement(
  path: string,
  { mustExist = false }: { readonly mustExist?: boolean } = {},
): Promise<SoftwareElement> {
  return new FileElement(path, await readTwin(path, mustExist))
}

class FileElement implements SoftwareElement {
  readonly #path: string
  #content: TwinContent
  #isClosed = false
  /** One writer at a time: the file is always one whole state. */
  #writing: Promise<unknown> = Promise.resolve()

  constructor(path: string, content: TwinContent) {
    this.#path = path
    this.#content = content
  }

  async info(): Promise<ElementInfo> {
    this.#requireOpen()
    return {
      kind: 'software',
      vendor: 'countersign',
      model: 'software twin',
      revision: String(formatVersion),
      serial: this.#content.serial,
      capabilities: ['ecdh', 'ephemeral', 'data', 'counters', 'lock'],
    }
  }

  /** A twin has no time before its rules hold. */
  async state(): Promise<ElementState> {
    this.#requireOpen()
    return { config: 'locked', data: 'locked' }
  }

  async slots(): Promise<readonly SlotInfo[]> {
    this.#requireOpen()
    return Array.from({ length: slotCount }, (_, slot) => ({
      slot,
      curve: 'P-256',
      state: this.#content.keys.has(slot) ? 'key' : 'empty',
      uses: ['sign', 'ecdh'],
      canGenerate: !this.#isLocked(slot),
      locked: this.#isLocked(slot),
    }))
  }

  /**
   * The key is used only once it is on the disk: a certificate never names a key that a power cut
   * could take.
   */
  async generateKey(slot: number): Promise<Uint8Array> {
    requireSlot(slot)
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    await this.#change((content) => {
      if (content.lockedSlots.includes(slot)) throw slotLocked(slot)
      return { ...content, keys: new Map(content.keys).set(slot, privateKey) }
    })
    return pointOf(privateKey)
  }

  async publicKey(slot: number): Promise<Uint8Array> {
    return pointOf(this.#key(slot))
  }

  async sign(slot: number, digest: Uint8Array): Promise<Uint8Array> {
    requireDigest(digest)
    return signDigest(this.#key(slot), digest)
  }

  async random(length: number): Promise<Uint8Array> {
    requireRandomLength(length)
    this.#requireOpen()
    return new Uint8Array(randomBytes(length))
  }

  async ecdh(slot: number, peer: Uint8Array): Promise<Uint8Array> {
    return agree(this.#key(slot), peer)
  }

  async ephemeral(agreements = 1): Promise<ElementEphemeral> {
    this.#requireOpen()
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    return ephemeralOf(privateKey, agreements)
  }

  readonly data: ElementData = {
    slots: async (): Promise<readonly DataSlotInfo[]> => {
      this.#requireOpen()
      return [{ slot: dataSlot, size: dataSize, writable: true }]
    },
    read: async (slot, offset, length) => {
      requireRange(slot, offset, length)
      this.#requireOpen()
      return this.#content.data.slice(offset, offset + length)
    },
    write: async (slot, offset, bytes) => {
      requireRange(slot, offset, bytes.length)
      const written = bytes.slice()
      await this.#change((content) => {
        const data = content.data.slice()
        data.set(written, offset)
        return { ...content, data }
      })
    },
  }

  readonly counters: ElementCounters = {
    count: counterCount,
    valueMax: counterMax,
    read: async (counter) => this.#counter(counter),
    increment: async (counter) => {
      this.#counter(counter)
      const after = await this.#change((content) => ({
        ...content,
        counters: content.counters.map((value, i) => (i === counter ? counted(value) : value)),
      }))
      return after.counters[counter] ?? 0
    },
  }

  async lockDigest(target: LockTarget): Promise<Uint8Array> {
    const slot = requireLockable(target)
    return new Uint8Array(
      createHash('sha256')
        .update(pointOf(this.#key(slot)))
        .digest(),
    )
  }

  async lock(target: LockTarget, confirmation: LockConfirmation): Promise<void> {
    const slot = requireLockable(target)
    this.#requireOpen()
    if (this.#isLocked(slot)) throw slotLocked(slot)
    const there = await this.lockDigest(target)
    if (confirmation.confirm !== lockWords || !same(there, confirmation.expected)) {
      throw elementError(
        'ERR_ELEMENT_CONFIRMATION',
        `slot ${slot} is not locked: the caller did not confirm what is in it`,
        { slot },
        { hint: `Give "${lockWords}" and the digest that lockDigest answers now.` },
      )
    }
    await this.#change((content) => ({ ...content, lockedSlots: [...content.lockedSlots, slot] }))
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
    this.#isClosed = true
    await this.#writing
    this.#content = { ...this.#content, keys: new Map() }
  }

  #key(slot: number): KeyObject {
    requireSlot(slot)
    this.#requireOpen()
    const key = this.#content.keys.get(slot)
    if (key !== undefined) return key
    throw elementError(
      'ERR_ELEMENT_SLOT_EMPTY',
      `slot ${slot} of the element holds no key`,
      { slot },
      { hint: 'Make one first with generateKey, or name the slot that holds it.' },
    )
  }

  /** Its keys are forgotten by then: a change would write a file without them. */
  #requireOpen(): void {
    if (this.#isClosed) throw elementError('ERR_ELEMENT_GONE', 'the element was closed')
  }

  #isLocked(slot: number): boolean {
    return this.#content.lockedSlots.includes(slot)
  }

  #counter(counter: number): number {
    this.#requireOpen()
    const value = this.#content.counters[counter]
    if (value !== undefined) return value
    throw elementError(
      'ERR_ELEMENT_ARGUMENT',
      `a software element has the counters 0 and 1, not ${counter}`,
    )
  }

  /** New content, from what is there when its turn comes; in memory once it is on the disk. */
  async #change(next: (content: TwinContent) => TwinContent): Promise<TwinContent> {
    this.#requireOpen()
    const write = this.#writing.then(async () => {
      const content = next(this.#content)
      await writeTwin(this.#path, content)
      this.#content = content
      return content
    })
    // A failed write must not stop the next one; its own caller hears of it.
    this.#writing = write.catch(() => undefined)
    return write
  }
}

function pointOf(key: KeyObject): Uint8Array {
  return pointOfSpki(createPublicKey(key).export({ type: 'spki', format: 'der' }))
}

function ephemeralOf(privateKey: KeyObject, agreements: number): ElementEphemeral {
  let key: KeyObject | undefined = privateKey
  let left = agreements
  return {
    point: pointOf(privateKey),
    agree: async (peer) => {
      if (key === undefined) {
        throw elementError(
          'ERR_ELEMENT_ARGUMENT',
          'an ephemeral key agrees as often as it was made for',
          {},
          { hint: 'Ask the element for a new one.' },
        )
      }
      // A try counts, also one that fails; the key is gone with the last.
      const own = key
      if (--left <= 0) key = undefined
      return agree(own, peer)
    },
  }
}

function agree(privateKey: KeyObject, peer: Uint8Array): Uint8Array {
  requirePoint(peer)
  try {
    const publicKey = createPublicKey({
      key: Buffer.from(spkiOfPoint(peer)),
      format: 'der',
      type: 'spki',
    })
    return new Uint8Array(diffieHellman({ privateKey, publicKey }))
  } catch (cause) {
    throw elementError('ERR_ELEMENT_ECC', 'the peer gave no point of P-256', {}, { cause })
  }
}

function counted(value: number): number {
  if (value < counterMax) return value + 1
  throw elementError('ERR_ELEMENT_COUNTER_LIMIT', 'the counter is at its highest value')
}

function requireRange(slot: number, offset: number, length: number): void {
  if (slot !== dataSlot) {
    throw elementError(
      'ERR_ELEMENT_SLOT',
      `slot ${slot} of a software element holds no data; slot ${dataSlot} does`,
      { slot },
    )
  }
  if (Number.isInteger(offset) && offset >= 0 && length >= 0 && offset + length <= dataSize) return
  throw elementError(
    'ERR_ELEMENT_ARGUMENT',
    `slot ${slot} has ${dataSize} bytes; ${length} at ${offset} are not inside it`,
    { slot },
  )
}

function requireLockable(target: LockTarget): number {
  if (target.kind !== 'slot')
    throw elementError('ERR_ELEMENT_LOCKED', `a twin's ${target.kind} is locked`)
  requireSlot(target.slot)
  return target.slot
}

function slotLocked(slot: number): Error {
  return elementError('ERR_ELEMENT_LOCKED', `slot ${slot} is locked for ever`, { slot })
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((octet, i) => octet === b[i])
}

function requireSlot(slot: number): void {
  if (isSlot(slot)) return
  throw elementError(
    'ERR_ELEMENT_SLOT',
    `a software element has the slots 0 to ${slotCount - 1}, not ${slot}`,
    { slot },
  )
}
