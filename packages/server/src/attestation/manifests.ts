/**
 * Manifests in the store: what makers say of elements. An import is whole or not at all: everything is
 * read, verified and compared with what is here before the first row is written; a crash in between
 * leaves rows that the next import finds known. What somebody said who is no more believed, or whose
 * word gives less, stands in nobody's way: it goes when another speaks of the same element or key.
 */
import { hex } from '@countersign/core/codec'
import {
  type ManifestElement,
  type MakerKey,
  parseManifest,
  spkiOfP256,
  vouchedLevel,
} from '@countersign/core/attestation'
import { parseCertificate } from '@countersign/core/credential'
import { CallerError } from '@countersign/core/errors'
import type { Clock, Crypto } from '@countersign/core/ports'
import type { AnchorRow, Assurance, ManifestKeyRow, ManifestRow, Store, Write } from '../ports.ts'

export interface ManifestParts {
  readonly store: Store
  readonly crypto: Crypto
  readonly clock: Clock
}

export interface ManifestCounts {
  readonly elements: number
  readonly imported: number
  readonly known: number
  readonly keys: number
}

/** With the most that its signer's anchor gives. */
interface Believed {
  readonly manifest: ManifestRow
  readonly cap: Assurance
}

interface Said extends ManifestElement {
  readonly worth: number
}

export type ManifestImportErrorCode = 'ERR_MANIFEST_CONFLICT'

/** Rows of one transaction: an element has up to 17. */
const elementsPerChange = 50
const anchorsMax = 1_000
/** An element has 16 slots. */
const keysOfElementMax = 16

export class Manifests {
  readonly #parts: ManifestParts

  constructor(parts: ManifestParts) {
    this.#parts = parts
  }

  /** Throws PeerError (ManifestErrorCode), or CallerError when it contradicts what is here. */
  async add(text: string): Promise<ManifestCounts> {
    const { crypto } = this.#parts
    const anchors = await this.#signers()
    const signers = anchors.map(({ der }) => parseCertificate(der))
    const caps = new Map(anchors.map((row) => [row.fingerprint, row.assuranceCap]))
    const elements = parseManifest(text, signers, crypto).map(
      (element): Said => ({ ...element, worth: worthOf(element, caps.get(element.signer)) }),
    )
    const fresh: Said[] = []
    for (const element of elements) if (await this.#isNew(element)) fresh.push(element)
    const keys = fresh.flatMap((element) => this.#keyRows(element))
    const holders = await this.#requireFreeKeys(fresh)
    await this.#removeWeaker([...fresh.map(({ serial }) => serial), ...holders])
    for (let from = 0; from < fresh.length; from += elementsPerChange) {
      await this.#write(fresh.slice(from, from + elementsPerChange))
    }
    const known = elements.length - fresh.length
    return { elements: elements.length, imported: fresh.length, known, keys: keys.length }
  }

  /** What is said of a key, as long as who said it is believed. */
  async ofKey(
    spkiHash: string,
  ): Promise<(Believed & { readonly key: ManifestKeyRow }) | undefined> {
    const key = await this.#parts.store.get('manifestKey', spkiHash)
    if (key === undefined) return undefined
    const believed = await this.#believed(key.serial)
    return believed === undefined ? undefined : { ...believed, key }
  }

  /** What is said of the keys of an element. */
  async keysOf(serial: string): Promise<readonly MakerKey[]> {
    const believed = await this.#believed(serial)
    if (believed === undefined) return []
    const { partNumber, signer, isEmulated } = believed.manifest
    const rows = await this.#parts.store.find('manifestKey', 'serial', serial, {
      limit: keysOfElementMax,
    })
    return rows.map(({ slot, point }) => ({
      serial,
      slot,
      point,
      partNumber,
      signer,
      isEmulated: isEmulated === 1,
    }))
  }

  async #believed(serial: string): Promise<Believed | undefined> {
    const manifest = await this.#parts.store.get('manifest', serial)
    if (manifest === undefined) return undefined
    const signer = await this.#parts.store.get('anchor', manifest.signer)
    if (signer?.role !== 'manifest') return undefined
    return { manifest, cap: signer.assuranceCap }
  }

  /** What is said of an element by somebody whose word gives as much, or more. */
  async #standing(serial: string, worth: number): Promise<ManifestRow | undefined> {
    const believed = await this.#believed(serial)
    if (believed === undefined) return undefined
    const { manifest, cap } = believed
    const known = worthOf({ isEmulated: manifest.isEmulated === 1 }, cap)
    return known < worth ? undefined : manifest
  }

  #signers(): Promise<readonly AnchorRow[]> {
    return this.#parts.store.find('anchor', 'role', 'manifest', { limit: anchorsMax })
  }

  /** The same payload is the same word, however it was signed. */
  async #isNew({ serial, digest, worth }: Said): Promise<boolean> {
    const known = await this.#standing(serial, worth)
    if (known === undefined) return true
    if (known.digest === digest) return false
    throw conflict(`of the element ${serial} something else was imported before`, serial)
  }

  #keyRows({ serial, keys }: ManifestElement): readonly ManifestKeyRow[] {
    const { crypto } = this.#parts
    return keys.map(({ slot, point }) => ({
      spkiHash: hex(crypto.hash('sha256', spkiOfP256(point))),
      serial,
      slot,
      point,
    }))
  }

  /**
   * One key is in one element: said of two, one of them lies. Answers the elements that are said to
   * have one of them by somebody who is no more believed, or less.
   */
  async #requireFreeKeys(elements: readonly Said[]): Promise<readonly string[]> {
    const holders = new Map<string, string>()
    const weaker: string[] = []
    for (const element of elements) {
      const { serial, worth } = element
      for (const { spkiHash } of this.#keyRows(element)) {
        const row = await this.#parts.store.get('manifestKey', spkiHash)
        const known = row && (await this.#standing(row.serial, worth))
        if (row !== undefined && known === undefined) weaker.push(row.serial)
        const holder = known?.serial ?? holders.get(spkiHash) ?? serial
        if (holder !== serial) {
          throw conflict(`a key of the element ${serial} is one of ${holder} already`, serial)
        }
        holders.set(spkiHash, serial)
      }
    }
    return weaker
  }

  /** Of these elements only what gives way is here. */
  async #removeWeaker(serials: readonly string[]): Promise<void> {
    const { store, clock } = this.#parts
    for (const serial of new Set(serials)) {
      const known = await store.get('manifest', serial)
      if (known === undefined) continue
      const keys = await store.find('manifestKey', 'serial', serial, { limit: keysOfElementMax })
      const writes: Write[] = [
        { kind: 'delete', table: 'manifest', key: serial },
        ...keys.map(
          ({ spkiHash }): Write => ({ kind: 'delete', table: 'manifestKey', key: spkiHash }),
        ),
      ]
      const data = JSON.stringify({ elements: 1, serials: [serial], signer: known.signer })
      const event = { time: clock.now(), type: 'manifest.removed', actor: 'operator', data }
      await store.apply({ writes, events: [{ ...event, subject: 'manifest' }] })
    }
  }

  async #write(elements: readonly ManifestElement[]): Promise<void> {
    const { store, clock } = this.#parts
    const createdAt = clock.now()
    const writes = elements.flatMap((element): Write[] => {
      const { serial, digest, signer, partNumber, isEmulated, jws } = element
      const flag = isEmulated ? 1 : 0
      const row = { serial, digest, signer, partNumber, isEmulated: flag, jws, createdAt }
      return [
        { kind: 'insert', table: 'manifest', row },
        ...this.#keyRows(element).map(
          (key): Write => ({ kind: 'insert', table: 'manifestKey', row: key }),
        ),
      ]
    })
    const serials = elements.map(({ serial }) => serial)
    const data = JSON.stringify({ elements: serials.length, serials })
    const event = { time: createdAt, type: 'manifest.imported', actor: 'operator', data }
    await store.apply({ writes, events: [{ ...event, subject: 'manifest' }] })
  }
}

/** What a word gives, where no demo plays: who gives more replaces who gives less. */
function worthOf({ isEmulated }: { readonly isEmulated: boolean }, cap: Assurance = 0): number {
  return vouchedLevel(isEmulated, false, cap).level
}

function conflict(message: string, where: string): CallerError<ManifestImportErrorCode> {
  return new CallerError(
    'ERR_MANIFEST_CONFLICT',
    message,
    {},
    { where, hint: 'Nothing was imported: ask the maker which of the two is right.' },
  )
}
