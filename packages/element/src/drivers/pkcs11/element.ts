/**
 * A PKCS#11 token behind the port of secure elements: SoftHSM, smart cards, HSMs, OP-TEE, TPMs
 * through tpm2-pkcs11. Slot 0 is the key pair that the URL names by `object`, slot n the pair
 * `<object>-n`. A token makes no statement about its keys that somebody else could verify, so there
 * is no `attest`, and it has no locks and no counters.
 */
import {
  type ElementCapability,
  type ElementEphemeral,
  type ElementInfo,
  type ElementState,
  elementError,
  isElementError,
  type SecureElement,
  type SlotInfo,
  type SlotUse,
} from '@countersign/core/ports'
import { requireDigest, requirePoint } from '../../signer.ts'
import { mechanism, tokenFlag } from './constants.ts'
import { Ephemerals } from './ephemeral.ts'
import { isOnCurve, type TokenKey } from './keys.ts'
import { KeyRing } from './keyRing.ts'
import { serialOf } from './serial.ts'
import { type Connection, Token, type TokenOptions } from './token.ts'
import { parsePkcs11Url } from './url.ts'

export interface Pkcs11Info extends ElementInfo {
  readonly kind: 'pkcs11'
  /** The label of the token. */
  readonly label: string
}

export interface Pkcs11Slot extends SlotInfo {
  /** CKA_LABEL of its pair. */
  readonly label: string
  /** The token says that the private key in it may be read, or taken out under another key. */
  readonly isExposed: boolean
}

export interface Pkcs11Element extends SecureElement {
  info(): Promise<Pkcs11Info>
  slots(): Promise<readonly Pkcs11Slot[]>
}

/** Two keys while a renewal is under way, two to spare. */
const slotCount = 4
/** In one call. */
const randomLengthMax = 65_536

/**
 * Opens the token and logs in.
 *
 * @example
 *   const url = 'pkcs11:token=dev;object=devkey?module-path=/usr/lib/softhsm/libsofthsm2.so'
 *   const element = await openPkcs11Element(`${url}&pin-source=file:/etc/countersign/pin`)
 *
 * @see RFC 7512
 */
export async function openPkcs11Element(
  url: string,
  options: TokenOptions = {},
): Promise<Pkcs11Element> {
  const parsed = parsePkcs11Url(url)
  if (parsed.object === undefined) {
    throw elementError(
      'ERR_ELEMENT_URL',
      'the pkcs11: URL names no key',
      {},
      {
        where: 'pkcs11:',
        hint: 'Add object=LABEL: the label of the key pair, there or to be made.',
      },
    )
  }
  const token = await Token.open(parsed, options)
  const can = await token.use(capabilitiesOf)
  const ring = new KeyRing(token)
  if (can.includes('ephemeral')) return new MakingElement(ring, parsed.object)
  if (can.includes('ecdh')) return new AgreeingElement(ring, parsed.object)
  return new TokenElement(ring, parsed.object)
}

function capabilitiesOf({ mechanisms }: Connection): readonly ElementCapability[] {
  if (!mechanisms.has(mechanism.ecdh1Derive)) return []
  return mechanisms.has(mechanism.ecKeyPairGeneration) ? ['ecdh', 'ephemeral'] : ['ecdh']
}

class TokenElement implements Pkcs11Element {
  readonly #ring: KeyRing
  readonly #token: Token
  readonly #object: string

  constructor(ring: KeyRing, object: string) {
    this.#ring = ring
    this.#token = ring.token
    this.#object = object
  }

  async info(): Promise<Pkcs11Info> {
    return await this.#token.use((connection) => ({
      kind: 'pkcs11',
      vendor: connection.info.manufacturer,
      model: connection.info.model,
      revision: connection.info.version,
      serial: serialOf(connection.info.serial),
      capabilities: capabilitiesOf(connection),
      label: connection.info.label,
    }))
  }

  /** A token that has a user PIN protects what is in it, and is not configured further. */
  async state(): Promise<ElementState> {
    await this.#token.use(() => undefined)
    return { config: 'locked', data: 'locked' }
  }

  async slots(): Promise<readonly Pkcs11Slot[]> {
    const canGenerate = await this.#token.use(
      ({ info, mechanisms }) =>
        (info.flags & tokenFlag.writeProtected) === 0 &&
        mechanisms.has(mechanism.ecKeyPairGeneration),
    )
    const slots: Pkcs11Slot[] = []
    for (let slot = 0; slot < slotCount; slot++) slots.push(await this.#slot(slot, canGenerate))
    return slots
  }

  async generateKey(slot: number): Promise<Uint8Array> {
    return (await this.#ring.make(labelOf(this.#object, slot), 'P-256')).point
  }

  async publicKey(slot: number): Promise<Uint8Array> {
    return new Uint8Array(await this.#ring.point(labelOf(this.#object, slot), 'P-256'))
  }

  async sign(slot: number, digest: Uint8Array): Promise<Uint8Array> {
    const label = labelOf(this.#object, slot)
    requireDigest(digest)
    return await this.#ring.sign(label, 'P-256', digest)
  }

  async random(length: number): Promise<Uint8Array> {
    if (!Number.isInteger(length) || length < 0 || length > randomLengthMax) {
      throw elementError(
        'ERR_ELEMENT_ARGUMENT',
        `a token gives up to ${randomLengthMax} random bytes at once, not ${length}`,
      )
    }
    if (length === 0) return new Uint8Array()
    return await this.#token.use(({ cryptoki, sessions }, session) =>
      sessions.timed(() => cryptoki.random(session, length)),
    )
  }

  async close(): Promise<void> {
    await this.#token.close()
  }

  async #slot(slot: number, canGenerate: boolean): Promise<Pkcs11Slot> {
    const label = labelOf(this.#object, slot)
    const common = { slot, curve: 'P-256', label, canGenerate, locked: false } as const
    let key: TokenKey | undefined
    try {
      key = await this.#ring.find(label)
    } catch (error) {
      // There is something that does not serve: said when it is used.
      if (!isElementError(error) || !useless.has(error.code)) throw error
      return { ...common, state: 'unknown', uses: [], isExposed: false }
    }
    if (key === undefined)
      return { ...common, state: 'empty', uses: this.#uses(), isExposed: false }
    if (key.curve !== 'P-256') {
      return { ...common, state: 'unknown', uses: [], isExposed: key.isExposed }
    }
    const uses: SlotUse[] = []
    if (key.canSign) uses.push('sign')
    if (key.canDerive && 'ecdh' in this) uses.push('ecdh')
    return { ...common, state: 'key', uses, isExposed: key.isExposed }
  }

  /** Of a key that would be made. */
  #uses(): readonly SlotUse[] {
    return 'ecdh' in this ? ['sign', 'ecdh'] : ['sign']
  }
}

const useless: ReadonlySet<string> = new Set(['ERR_ELEMENT_CONFIG', 'ERR_ELEMENT_UNSUPPORTED'])

/** Of a token with CKM_ECDH1_DERIVE. */
class AgreeingElement extends TokenElement {
  readonly #ring: KeyRing
  readonly #object: string

  constructor(ring: KeyRing, object: string) {
    super(ring, object)
    this.#ring = ring
    this.#object = object
  }

  async ecdh(slot: number, peer: Uint8Array): Promise<Uint8Array> {
    const label = labelOf(this.#object, slot)
    requirePoint(peer)
    if (!isOnCurve(peer, 'P-256')) {
      // Before the token sees it: what it would answer is left to its maker.
      throw elementError('ERR_ELEMENT_ECC', 'the peer gave no point of P-256', { slot })
    }
    return await this.#ring.derive(label, peer)
  }
}

/** Of one that makes key pairs too. That it takes them for a session alone no token tells before. */
class MakingElement extends AgreeingElement {
  readonly #ephemerals: Ephemerals

  constructor(ring: KeyRing, object: string) {
    super(ring, object)
    this.#ephemerals = new Ephemerals(ring.token)
  }

  async ephemeral(agreements = 1): Promise<ElementEphemeral> {
    return await this.#ephemerals.make(agreements)
  }
}

function labelOf(object: string, slot: number): string {
  if (Number.isInteger(slot) && slot >= 0 && slot < slotCount) {
    return slot === 0 ? object : `${object}-${slot}`
  }
  throw elementError(
    'ERR_ELEMENT_SLOT',
    `a token has the slots 0 to ${slotCount - 1} here, not ${slot}`,
    { slot },
  )
}
