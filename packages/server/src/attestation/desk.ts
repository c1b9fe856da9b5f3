/**
 * Attestation at enrolment: gives nonces, judges what comes with a key by core's verifier and by the
 * manifests that were imported, and writes down what came of it. Evidence that is wrong refuses the
 * enrolment; evidence that nobody we know stands behind is level 0, with the reason.
 */
import {
  type AttestationBundle,
  type AttestationErrorCode,
  parseAtecc608Evidence,
  parseAttestationBundle,
  pointOfP256,
  serialOfAtecc608,
  type Verdict,
  verifyAtecc608,
  type Voucher,
  vouchedLevel,
} from '@countersign/core/attestation'
import { hex, utf8 } from '@countersign/core/codec'
import { parseCertificate, statementOid } from '@countersign/core/credential'
import { PeerError } from '@countersign/core/errors'
import type { Clock, Crypto, Milliseconds, Random } from '@countersign/core/ports'
import type { AttestationDesk, AttestationDoorErrorCode, KeyAttestation, Store } from '../ports.ts'
import { voucherName } from '../recordValues.ts'
import { Manifests } from './manifests.ts'
import { type NonceFate, Nonces } from './nonces.ts'

export interface DeskParts {
  readonly store: Store
  readonly crypto: Crypto
  readonly clock: Clock
  readonly random: Random
  /** Made by `demo`: emulators play chips. */
  readonly isDemo: boolean
}

type Asked = Parameters<AttestationDesk['judge']>[0]

const elementKind = 'atecc608'
const manifestVerifier = 'manifest-1'
const anchorsMax = 1_000

export class Desk implements AttestationDesk {
  readonly #parts: DeskParts
  readonly #nonces: Nonces
  readonly #manifests: Manifests

  constructor(parts: DeskParts) {
    this.#parts = parts
    this.#nonces = new Nonces(parts)
    this.#manifests = new Manifests(parts)
  }

  nonce(holder: string): { readonly nonce: Uint8Array; readonly expires: Milliseconds } {
    return this.#nonces.give(holder)
  }

  /** Of the two that may speak of a key, itself and its maker, the one that says more counts. */
  async judge(asked: Asked): Promise<KeyAttestation | undefined> {
    const own = asked.attestation === undefined ? undefined : await this.#judgeOwn(asked)
    const maker = await this.#judgeMaker(asked.spki)
    if (own === undefined || maker === undefined) return own ?? maker
    return maker.assurance > own.assurance ? maker : own
  }

  async #judgeOwn(asked: Asked): Promise<KeyAttestation> {
    const evidence = asked.attestation ?? new Uint8Array()
    const bundle = parseAttestationBundle(evidence)
    const [statement, second] = bundle.statements
    if (statement === undefined || second !== undefined) throw manyStatements()
    if (statement.type !== statementOid.atecc608InternalSign) {
      const reason = 'The evidence has a format that is not known here.'
      const verdict = JSON.stringify({ level: 0, reasons: [reason] })
      return this.#unvouched(statement.type, 'none', evidence, verdict)
    }
    const verdict = await this.#verify(statement.statement, bundle, asked)
    return this.#attestation(verdict, evidence)
  }

  async #verify(
    statement: Uint8Array,
    { certificates }: AttestationBundle,
    { holder, spki }: Asked,
  ): Promise<Verdict> {
    const { store, crypto, clock, isDemo } = this.#parts
    const { nonce, message } = parseAtecc608Evidence(statement)
    // Before anything is judged: what was shown once is never shown again.
    requireGood(this.#nonces.take(nonce, holder))
    const point = pointOfP256({ der: spki })
    if (point === undefined) {
      throw refused('ERR_ATTESTATION_KEY', 'the key of the request is not of P-256', 'publicKey')
    }
    const roots = await store.find('anchor', 'role', 'attestation', { limit: anchorsMax })
    const signers = await store.find('anchor', 'role', 'manifest', { limit: anchorsMax })
    const caps = [...roots, ...signers].map((row) => [row.fingerprint, row.assuranceCap] as const)
    return verifyAtecc608(statement, {
      nonce,
      publicKey: point,
      certificates,
      roots: roots.map(({ der }) => parseCertificate(der)),
      makerKeys: await this.#manifests.keysOf(serialOfAtecc608(message)),
      caps: new Map(caps),
      at: clock.now(),
      isDemo,
      crypto,
    })
  }

  /** The maker's word about this very key. That the device has it, its request has shown. */
  async #judgeMaker(spki: Uint8Array): Promise<KeyAttestation | undefined> {
    const { crypto, isDemo } = this.#parts
    const found = await this.#manifests.ofKey(hex(crypto.hash('sha256', spki)))
    if (found === undefined) return undefined
    const { manifest, key, cap } = found
    const { level, reasons } = vouchedLevel(manifest.isEmulated === 1, isDemo, cap)
    const word = `A manifest names this key, in slot ${key.slot} of ${manifest.serial}.`
    return this.#attestation(
      {
        format: 'trust-platform-manifest',
        verifier: manifestVerifier,
        level,
        reasons: [...reasons, word],
        serial: manifest.serial,
        slot: key.slot,
        voucher: { kind: 'manifest', signer: manifest.signer },
      },
      utf8(manifest.jws),
    )
  }

  #attestation(judged: Verdict, evidence: Uint8Array): KeyAttestation {
    const { format, verifier, level, reasons, serial, slot, voucher } = judged
    const verdict = JSON.stringify({ level, reasons, serial, slot, voucher })
    if (voucher === undefined) return this.#unvouched(format, verifier, evidence, verdict)
    return {
      assurance: level,
      format,
      evidence,
      verdict,
      verifier,
      judgedAt: this.#parts.clock.now(),
      element: placeOf(judged, nameOf(voucher)),
    }
  }

  /** Kept, so that it can be seen; an element that only its host speaks for is nobody's yet. */
  #unvouched(
    format: string,
    verifier: string,
    evidence: Uint8Array,
    verdict: string,
  ): KeyAttestation {
    return {
      assurance: 0,
      format,
      evidence,
      verdict,
      verifier,
      judgedAt: this.#parts.clock.now(),
      element: undefined,
    }
  }
}

/**
 * What is claimed rests on what the voucher gives, not on what the key is worth in the end: a maker's
 * cap makes no second element of a chip.
 */
function placeOf({ level, serial, slot }: Verdict, voucher: string): KeyAttestation['element'] {
  const claim = level < 3 ? `${serial}@${voucher}` : serial
  return { serial, kind: elementKind, slot, claim, voucher }
}

function nameOf(voucher: Voucher): string {
  return voucher.kind === 'root'
    ? voucherName('attestation', voucher.fingerprint)
    : voucherName('manifest', voucher.signer)
}

const fates: Readonly<Record<Exclude<NonceFate, 'good'>, string>> = {
  unknown: 'this server gave no such nonce, or has been started again since',
  used: 'the nonce was used before',
  expired: 'the nonce has expired',
  foreign: 'the nonce was given to another token or certificate',
}

function requireGood(fate: NonceFate): void {
  if (fate !== 'good') throw refused('ERR_ATTESTATION_NONCE', fates[fate], 'nonce')
}

function refused(code: AttestationErrorCode, message: string, where: string): PeerError {
  const hint = 'Ask for a nonce, let the element speak of the key of the request, and send both.'
  return new PeerError(code, message, {}, { where, hint })
}

function manyStatements(): PeerError<AttestationDoorErrorCode> {
  return new PeerError(
    'ERR_ATTESTATION_STATEMENTS',
    'the request has more than one attestation statement',
    {},
    { where: 'attestations', hint: 'Send the one that is about the key of the request.' },
  )
}
