/**
 * What the server shows in EDHOC: one certificate whose key signs, one whose key agrees, each with
 * a kid of one byte. Unlike the TLS leaf a device keeps them, so a successor is made long before it
 * is needed and devices are told of it; which one is shown is one setting, written after key and
 * certificate are safe. A crash between leaves the old one in use.
 */
import { parseCertificate } from '@countersign/core/credential'
import type { Authentication } from '@countersign/core/edhoc'
import { CallerError, InvariantError } from '@countersign/core/errors'
import type { Clock } from '@countersign/core/ports'
import { softwareCoseSigner } from '@countersign/element/softwareSigner'
import { softwareStaticKey } from '@countersign/element/softwareStaticKey'
import type {
  CertificateRow,
  EdhocCredentials,
  EdhocServerCredential,
  ProfileName,
  Store,
} from '../ports.ts'
import {
  type EdhocEntry,
  type EdhocSetting,
  endedKeys,
  isAlive,
  keyFileOf,
  put,
  readEdhocSetting,
  settingChange,
} from './edhocSetting.ts'
import type { Hierarchy, HouseCa } from './hierarchy.ts'
import type { Issuer } from './issuer.ts'
import { freeKid } from './kids.ts'
import { commonName } from './profiles.ts'
import { sha256 } from './founding.ts'
import { spkiOf, type Vault } from './vault.ts'

export type EdhocKeeperErrorCode = 'ERR_CA_ENDED'

const dayMs = 86_400_000

/** A device is told of the next one for five months: longer than most of them sleep. */
export const edhocLifetimeMs: number = 365 * dayMs
export const nextBeforeMs: number = 180 * dayMs
/** Who has not confirmed by then asks for the certificate in its next handshake. */
export const promoteBeforeMs: number = 30 * dayMs
/** After months without a server the successor is new: it is told first, and shown at the last. */
const promoteLatestMs = dayMs

export const edhocKinds: readonly Authentication[] = ['signature', 'static key']
export const edhocProfiles: Readonly<Record<Authentication, ProfileName>> = {
  signature: 'server-edhoc-sign',
  'static key': 'server-edhoc-dh',
}

export interface EdhocParts {
  readonly store: Store
  readonly vault: Vault
  readonly hierarchy: Hierarchy
  readonly issuer: Issuer
  readonly clock: Clock
}

/** Entry, certificate and key of one that can be shown. */
interface Usable {
  readonly entry: EdhocEntry
  readonly row: CertificateRow
  readonly credential: EdhocServerCredential
}

interface Shown {
  readonly current: Usable
  readonly next: Usable | undefined
}

export class ServerEdhoc implements EdhocCredentials {
  readonly #parts: EdhocParts
  readonly #shown = new Map<Authentication, Shown>()
  #setting: EdhocSetting
  /** One change behind the other. */
  #turn: Promise<unknown> = Promise.resolve()

  private constructor(parts: EdhocParts, setting: EdhocSetting) {
    this.#parts = parts
    this.#setting = setting
  }

  /** With everything made that is missing. */
  static async open(parts: EdhocParts): Promise<ServerEdhoc> {
    const edhoc = new ServerEdhoc(parts, await readEdhocSetting(parts.store))
    await edhoc.#forgetPastKeys()
    await edhoc.renew()
    return edhoc
  }

  current(kind: Authentication): EdhocServerCredential {
    return this.#of(kind).current.credential
  }

  next(kind: Authentication): EdhocServerCredential | undefined {
    return this.#of(kind).next?.credential
  }

  promote(kind: Authentication, fingerprint: string): Promise<boolean> {
    return this.#inTurn(async () => {
      const { next } = this.#of(kind)
      if (next?.credential.fingerprint !== fingerprint) return false
      // Revoked in between: renewing decides what follows.
      if ((await this.#usable(next.entry)) === undefined) return false
      await this.#show(kind, next)
      return true
    })
  }

  /** Looks whether something is due, and does it. */
  renew(): Promise<void> {
    return this.#inTurn(async () => {
      for (const kind of edhocKinds) await this.#renew(kind)
    })
  }

  /** What is under way has ended, well or not. */
  async settled(): Promise<void> {
    await this.#turn
  }

  async #renew(kind: Authentication): Promise<void> {
    const current = await this.#usable(this.#entry(kind, 'current'))
    const next = await this.#usable(this.#entry(kind, 'next'))
    if (current === undefined) {
      await this.#show(kind, next ?? (await this.#make(kind)))
    } else if (next === undefined && this.#isNextDue(current)) {
      const made = await this.#make(kind)
      await this.#place(made, 'next')
      this.#shown.set(kind, { current, next: made })
    } else if (next !== undefined && this.#isPromotionDue(current, next)) {
      await this.#show(kind, next)
    } else {
      this.#shown.set(kind, { current, next })
    }
  }

  #isNextDue({ credential: { notAfter } }: Usable): boolean {
    if (notAfter - this.#parts.clock.now() > nextBeforeMs) return false
    // The CA ends, and nothing of it can last longer: a new CA is what is due.
    return this.#ca.certificate.notAfter - notAfter > dayMs
  }

  #isPromotionDue({ credential: { notAfter } }: Usable, next: Usable): boolean {
    const now = this.#parts.clock.now()
    const left = notAfter - now
    const isTold = now - next.row.createdAt >= promoteBeforeMs
    return left <= promoteLatestMs || (left <= promoteBeforeMs && isTold)
  }

  async #show(kind: Authentication, made: Usable): Promise<void> {
    await this.#place(made, 'current')
    this.#shown.set(kind, { current: made, next: undefined })
  }

  /** The keys of those whose place it takes are gone from then on. */
  async #place({ entry }: Usable, state: 'current' | 'next'): Promise<void> {
    const { store, clock, vault } = this.#parts
    const before = this.#setting
    const after = put(before, { ...entry, state })
    await store.apply(settingChange(before, after, clock.now()))
    this.#setting = after
    for (const file of endedKeys(before, after)) await vault.removeKey(file)
  }

  /** What a crash has left of them. */
  async #forgetPastKeys(): Promise<void> {
    const past = this.#setting.entries.filter((entry) => !isAlive(entry))
    await Promise.all(past.map((entry) => this.#parts.vault.removeKey(keyFileOf(entry))))
  }

  async #make(kind: Authentication): Promise<Usable> {
    const { vault, issuer, clock } = this.#parts
    const ca = this.#ca
    if (ca.certificate.notAfter <= clock.now()) throw caEnded(ca.row.name)
    const number = this.#setting.made + 1
    const keyFile = keyFileOf({ kind, number })
    // What a crash left under this name was never shown: it is written over.
    const key = await vault.createKey(keyFile, 'P-256')
    const { serial, der } = await issuer.issue({
      ca,
      profile: edhocProfiles[kind],
      spki: spkiOf(key),
      ...(kind === 'static key' ? { key: softwareStaticKey(key) } : {}),
      // A device without a clock judges at the last time it was sure of, which may be long past.
      validFrom: 'beginning of the CA',
      lifetimeMs: edhocLifetimeMs,
      request: `house:${edhocProfiles[kind]}`,
      actor: 'system',
      target: { kind: 'house', name: edhocProfiles[kind] },
      subject: commonName('countersign server'),
    })
    const kid = freeKid(this.#setting.entries)
    const { notAfter } = parseCertificate(der)
    const made = await this.#usable({ kind, state: 'next', number, serial, kid, notAfter })
    if (made !== undefined) return made
    throw new InvariantError('ERR_EDHOC_CREDENTIAL', 'what was just made cannot be used', {
      serial,
    })
  }

  /** undefined: it has ended, was revoked, is of another CA, or its key is gone. */
  async #usable(entry: EdhocEntry | undefined): Promise<Usable | undefined> {
    if (entry === undefined) return undefined
    const { vault, clock, store } = this.#parts
    const row = await store.get('certificate', entry.serial)
    if (row === undefined || row.der === null || row.status === 'revoked') return undefined
    if (row.ca !== this.#ca.row.name) return undefined
    if (row.notAfter <= clock.now()) return undefined
    const keyFile = keyFileOf(entry)
    if (!(await vault.hasKey(keyFile))) return undefined
    return { entry, row, credential: await this.#credential(entry, row.der) }
  }

  async #credential(entry: EdhocEntry, der: Uint8Array): Promise<EdhocServerCredential> {
    const { kind, kid } = entry
    const key = await this.#parts.vault.openKey(keyFileOf(entry))
    const { notAfter } = parseCertificate(der)
    const agreeing = kind === 'static key' ? softwareStaticKey(key) : undefined
    return {
      kind,
      kid: Uint8Array.of(kid),
      der,
      issuer: this.#ca.row.der,
      fingerprint: sha256(der),
      notAfter,
      ...(agreeing === undefined
        ? { signer: softwareCoseSigner(key) }
        : { agree: (peerShare) => agreeing.agree(peerShare) }),
    }
  }

  get #ca(): HouseCa {
    return this.#parts.hierarchy.active('server')
  }

  #entry(kind: Authentication, state: EdhocEntry['state']): EdhocEntry | undefined {
    return this.#setting.entries.find((entry) => entry.kind === kind && entry.state === state)
  }

  #of(kind: Authentication): Shown {
    const shown = this.#shown.get(kind)
    if (shown !== undefined) return shown
    throw new InvariantError('ERR_EDHOC_CREDENTIAL', `there is no credential of kind ${kind}`)
  }

  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = this.#turn.then(work)
    // Whoever asked hears of a failure; the next one only waits.
    this.#turn = done.catch(() => undefined)
    return done
  }
}

function caEnded(name: string): CallerError<EdhocKeeperErrorCode> {
  return new CallerError(
    'ERR_CA_ENDED',
    `the CA ${name} has ended, and can sign nothing that is valid`,
    {},
    { where: 'role server', hint: 'Make a new one: countersign ca rollover server.' },
  )
}
