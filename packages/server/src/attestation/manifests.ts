/**
 * Manifests in the store: what makers say of elements. An import is whole or not at all: everything is
 * read, verified and compared with what is here before the first row is written; a crash in between
 * leaves rows that the next import finds known. What somebody said who is no more believed stands in
 * nobody's way: it is removed when another speaks of the same element or key.
 */
import { hex } from '@countersign/core/codec'
import {
  type ManifestElement,
  type MakerKey,
  parseManifest,
  spkiOfP256,
} from '@countersign/core/attestation'
import { parseCertificate } from '@countersign/core/credential'
import { CallerError } from '@countersign/core/errors'
import type { Clock, Crypto } from '@countersign/core/ports'
import type { AnchorRow, ManifestKeyRow, ManifestRow, Store, Write } from '../ports.ts'

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
    const elements = parseManifest(text, signers, crypto)
    const fresh: ManifestElement[] = []
    for (const element of elements) if (await this.#isNew(element)) fresh.push(element)
    const keys = fresh.flatMap((element) => this.#keyRows(element))
    const holders = await this.#requireFreeKeys(keys)
    await this.#removeUnbelieved([...fresh.map(({ serial }) => serial), ...holders])
    for (let from = 0; from < fresh.length; from += elementsPerChange) {
      await this.#write(fresh.slice(from, from + elementsPerChange))
    }
    const known = elements.length - fresh.length
    return { elements: elements.length, imported: fresh.length, known, keys: keys.length }
  }

  /** What is said of a key, as long as who said it is believed. */
  async ofKey(
    spkiHash: string,
  ): Promise<{ readonly manifest: ManifestRow; readonly key: ManifestKeyRow } | undefined> {
    const key = await this.#parts.store.get('manifestKey', spkiHash)
    if (key === undefined) return undefined
    const manifest = await this.#believed(key.serial)
    return manifest === undefined ? undefined : { manifest, key }
  }

  /** What is said of the keys of an element. */
  async keysOf(serial: string): Promise<readonly MakerKey[]> {
    const manifest = await this.#believed(serial)
    if (manifest === undefined) return []
    const { partNumber, signer, isEmulated } = manifest
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

  async #believed(serial: string): Promise<ManifestRow | undefined> {
    const manifest = await this.#parts.store.get('manifest', serial)
    if (manifest === undefined) return undefined
    const signer = await this.#parts.store.get('anchor', manifest.signer)
    return signer?.role === 'manifest' ? manifest : undefined
  }

  #signers(): Promise<readonly AnchorRow[]> {
    return this.#parts.store.find('anchor', 'role', 'manifest', { limit: anchorsMax })
  }

  /** The same payload is the same word, however it was signed. */
  async #isNew({ serial, digest }: ManifestElement): Promise<boolean> {
    const known = await this.#believed(serial)
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
   * have one of them by somebody who is no more believed.
   */
  async #requireFreeKeys(keys: readonly ManifestKeyRow[]): Promise<readonly string[]> {
    const holders = new Map<string, string>()
    const unbelieved: string[] = []
    for (const { spkiHash, serial } of keys) {
      const row = await this.#parts.store.get('manifestKey', spkiHash)
      const isBelieved = row !== undefined && (await this.#believed(row.serial)) !== undefined
      if (row !== undefined && !isBelieved) unbelieved.push(row.serial)
      const known = isBelieved ? row.serial : undefined
      const holder = known ?? holders.get(spkiHash) ?? serial
      if (holder !== serial) {
        throw conflict(`a key of the element ${serial} is one of ${holder} already`, serial)
      }
      holders.set(spkiHash, serial)
    }
    return unbelieved
  }

  /** Of these elements none is believed that is here. */
  async #removeUnbelieved(serials: readonly string[]): Promise<void> {
    const { store, clock } = this.#parts
    for (const serial of new Set(serials)) {
      if ((await store.get('manifest', serial)) === undefined) continue
      const keys = await store.find('manifestKey', 'serial', serial, { limit: keysOfElementMax })
      const writes: Write[] = [
        { kind: 'delete', table: 'manifest', key: serial },
        ...keys.map(
          ({ spkiHash }): Write => ({ kind: 'delete', table: 'manifestKey', key: spkiHash }),
        ),
      ]
      const data = JSON.stringify({ elements: 1, serials: [serial] })
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

function conflict(message: string, where: string): CallerError<ManifestImportErrorCode> {
  return new CallerError(
    'ERR_MANIFEST_CONFLICT',
    message,
    {},
    { where, hint: 'Nothing was imported: ask the maker which of the two is right.' },
  )
}
