/**
 * The authority: the house's CAs, what they issue, their CRLs, and enrolment over
 * EST. This file puts the parts of the room together; what may be issued is in request.ts and
 * profiles.ts, how in issuer.ts.
 */
import { createHash } from 'node:crypto'
import type { Role } from '@countersign/core/credential'
import { CallerError, isCountersignError } from '@countersign/core/errors'
import type { ChannelCrypto, Clock } from '@countersign/core/ports'
import type {
  Assurance,
  AttestationDesk,
  CaRow,
  EdhocCredentials,
  EstService,
  KeyOrigin,
  Log,
  Notices,
  ReservationRequest,
  Store,
  Timers,
} from '../ports.ts'
import { type CaToken, openRootKey, type RootKeyWay } from './caKeys.ts'
import { CrlPublisher } from './crlPublisher.ts'
import { ServerEdhoc } from './edhocCredentials.ts'
import { createEst, type EnrolmentDesk } from './est.ts'
import { Hierarchy } from './hierarchy.ts'
import { type Issued, Issuer, type Reservations } from './issuer.ts'
import { createNonceService } from './nonce.ts'
import { commonName } from './profiles.ts'
import { judgeDeviceRequest, judgeKeyRequest, requireName } from './request.ts'
import { readRootCrl, writeRootCrl } from './rootCrl.ts'
import { type ServerCredential, ServerLeaf } from './serverLeaf.ts'
import type { Vault } from './vault.ts'

const dayMs = 86_400_000
/** A leaf of the server is looked at daily: it is renewed a month before its end. */
const leafCheckMs = dayMs
const lifetimeDays = { server: 90, operator: 365, application: 365 } as const

export interface AuthorityParts {
  readonly store: Store
  readonly registry: Reservations & EnrolmentDesk
  readonly attestation: AttestationDesk
  readonly notices: Notices
  readonly vault: Vault
  /** Where new CA keys are made, when the house has a token. */
  readonly caToken?: CaToken | undefined
  readonly crypto: ChannelCrypto
  readonly clock: Clock
  readonly timers: Timers
  readonly log: Log
  /** Folder of the published CRLs. */
  readonly directory: string
  /** Names and addresses of the server. */
  readonly hosts: readonly string[]
  /** URL that CRL distribution points begin with; none when absent. */
  readonly crlBase?: string
}

export interface FoundingParts
  extends Pick<AuthorityParts, 'store' | 'vault' | 'caToken' | 'clock' | 'directory' | 'crlBase'> {
  readonly rootPassphrase: string
  readonly organization?: string
}

export interface RolloverRequest extends RootKeyWay {
  readonly role: Role
}

/** A certificate and the CA above it, both DER. */
export interface IssuedUnder extends Issued {
  readonly issuer: Uint8Array
}

export class Authority {
  readonly est: EstService
  /** `POST /v1/attestation/nonce`, for whoever may enrol or renew. */
  readonly attestationNonce: EstService
  readonly #parts: AuthorityParts
  readonly #hierarchy: Hierarchy
  readonly #issuer: Issuer
  readonly #publisher: CrlPublisher
  readonly #leaf: ServerLeaf
  /** Made when a door first asks for it. */
  #edhoc: Promise<ServerEdhoc> | undefined
  #timer: { cancel(): void } | undefined
  #unlisten: (() => void) | undefined
  #isOpen = false
  #renewing: Promise<void> = Promise.resolve()
  /** One behind the other: two at once would make one key file. */
  #rollovers: Promise<unknown> = Promise.resolve()

  private constructor(parts: AuthorityParts, hierarchy: Hierarchy, publisher: CrlPublisher) {
    const issuer = new Issuer(parts.registry, parts.clock, parts.crypto)
    this.#parts = parts
    this.#hierarchy = hierarchy
    this.#issuer = issuer
    this.#publisher = publisher
    this.#leaf = new ServerLeaf({ ...parts, hierarchy, issuer })
    const est = { ...parts, desk: parts.registry, hierarchy, issuer }
    this.est = createEst(est)
    this.attestationNonce = createNonceService(est)
  }

  /** Once in the life of a folder: the root, one issuing CA a role, and the root's first CRL. */
  static async found(parts: FoundingParts): Promise<void> {
    const { hierarchy, rootSigner } = await Hierarchy.found(parts)
    await writeRootCrl(parts, hierarchy.root, rootSigner)
  }

  static async open(parts: AuthorityParts): Promise<Authority> {
    const hierarchy = await Hierarchy.open(parts)
    return new Authority(parts, hierarchy, await CrlPublisher.open(parts, hierarchy.issuing()))
  }

  /** The server lives: CRLs are kept fresh and its leaf is renewed in time, each new one told. */
  async start(onCredential: (credential: ServerCredential) => void): Promise<void> {
    await this.#publisher.start()
    this.#isOpen = true
    const again = (): void => {
      if (!this.#isOpen) return
      this.#timer = this.#parts.timers.after(leafCheckMs, () => {
        this.#renewing = this.#renewing.then(() => this.#renewAll(onCredential)).finally(again)
      })
    }
    again()
    // Of no device: the leaf may be the one that was revoked, and is not shown until tomorrow.
    this.#unlisten = this.#parts.notices.listen((notice) => {
      if (notice.kind !== 'certificate' || notice.device !== null) return
      this.#renewing = this.#renewing.then(() => this.#renewAll(onCredential))
    })
  }

  async close(): Promise<void> {
    this.#isOpen = false
    this.#unlisten?.()
    this.#timer?.cancel()
    // What is being made is written before the store goes.
    await this.#renewing
    await this.#edhoc?.then(
      (edhoc) => edhoc.settled(),
      () => undefined,
    )
    await this.#publisher.close()
  }

  /** Root and issuing CAs, retired ones too. */
  cas(): readonly CaRow[] {
    return this.#hierarchy.rows()
  }

  /** What devices pin: SHA-256 of the SubjectPublicKeyInfo of the server issuing CA, hex. */
  serverAnchor(): string {
    const { spki } = this.#hierarchy.active('server').certificate
    return createHash('sha256').update(spki.der).digest('hex')
  }

  /** The leaf that doors show, made or renewed when that is due. */
  async serverCredential(): Promise<ServerCredential> {
    return (await this.#leaf.renew()).credential
  }

  /**
   * What the doors of EDHOC show, made when there is none yet. It renews itself from then on, as long
   * as the authority is started.
   */
  edhocCredentials(): Promise<EdhocCredentials> {
    const parts = { ...this.#parts, hierarchy: this.#hierarchy, issuer: this.#issuer }
    this.#edhoc ??= ServerEdhoc.open(parts).catch((error: unknown) => {
      this.#edhoc = undefined
      throw error
    })
    return this.#edhoc
  }

  /** The current CRL, DER; undefined when there is no such CA. */
  crl(name: string): Promise<Uint8Array | undefined> {
    return name === 'root' ? readRootCrl(this.#parts.directory) : this.#publisher.crl(name)
  }

  /** `ca issue`: the operator vouches for the names. */
  async issueByOperator(wanted: {
    readonly profile: 'server' | 'operator' | 'application'
    readonly csr: Uint8Array
    readonly hosts: readonly string[]
    readonly days?: number
  }): Promise<IssuedUnder> {
    const { profile, hosts } = wanted
    const { spki, name } = this.#judged(wanted.csr)
    if (profile === 'server' && hosts.length === 0) {
      throw new CallerError(
        'ERR_PARAMETER',
        'a server needs a name',
        {},
        {
          where: '--host',
          hint: 'Give its names and addresses: --host server.example.com.',
        },
      )
    }
    const ca = this.#hierarchy.active(profile === 'server' ? 'server' : 'operator')
    const issued = await this.#issuer.issue({
      ca,
      profile,
      spki,
      lifetimeMs: (wanted.days ?? lifetimeDays[profile]) * dayMs,
      request: 'operator',
      actor: 'operator',
      target: { kind: 'house', name },
      subject: commonName(name),
      ...(profile === 'server' ? { hosts } : {}),
    })
    return { ...issued, issuer: ca.row.der }
  }

  /** `application add --csr`. */
  async issueForApplication(application: {
    readonly id: string
    readonly name: string
    readonly csr: Uint8Array
  }): Promise<IssuedUnder> {
    const ca = this.#hierarchy.active('operator')
    const { spki } = judgeKeyRequest(application.csr, this.#parts.crypto)
    const issued = await this.#issuer.issue({
      ca,
      profile: 'application',
      spki,
      lifetimeMs: lifetimeDays.application * dayMs,
      request: `application:${application.id}`,
      actor: 'operator',
      target: { kind: 'application', id: application.id },
      subject: commonName(application.name),
    })
    return { ...issued, issuer: ca.row.der }
  }

  /**
   * A factory's own order: an IDevID for a device that its station vouches for.
   */
  async issueIdevid(order: {
    readonly csr: Uint8Array
    readonly product: string
    readonly origin: KeyOrigin
    readonly assurance: Assurance
    readonly actor: string
    readonly hardwareModuleType?: string
  }): Promise<IssuedUnder> {
    const asked = judgeDeviceRequest(order.csr, this.#parts.crypto)
    const ca = this.#hierarchy.active('maker')
    const { product, origin, assurance } = order
    const { serial, eui64, spki } = asked
    const target: ReservationRequest['target'] = {
      kind: 'newDevice',
      product,
      serial,
      eui64,
      origin,
      assurance,
      tokenHash: undefined,
    }
    const type = order.hardwareModuleType
    const issued = await this.#issuer.issue({
      ca,
      profile: 'idevid',
      spki,
      lifetimeMs: 'never',
      request: `order:${order.actor}`,
      actor: order.actor,
      target,
      ...(type === undefined ? {} : { hardwareModuleType: type }),
    })
    return { ...issued, issuer: ca.row.der }
  }

  /**
   * A new issuing CA for a role, signed by the root, whose key the operator brings unless it is in
   * the token.
   */
  rollover(wanted: RolloverRequest): Promise<CaRow> {
    const made = this.#rollovers.then(() => this.#rollover(wanted))
    this.#rollovers = made.catch(() => undefined)
    return made
  }

  async #rollover(wanted: RolloverRequest): Promise<CaRow> {
    await this.#refusePinned(wanted.role)
    const root = await openRootKey(this.#parts, this.#hierarchy.root, wanted)
    const made = await this.#hierarchy.rollover(wanted.role, root)
    await writeRootCrl(this.#parts, this.#hierarchy.root, root)
    await this.#publisher.add(made)
    if (wanted.role === 'server') await this.#renewEdhoc()
    this.#parts.notices.tell({ kind: 'anchors' })
    return made.row
  }

  /**
   * Devices pin the key of the server's CA, and nothing brings them another one yet: a rollover
   * would lock them all out.
   */
  async #refusePinned(role: Role): Promise<void> {
    if (role !== 'server') return
    const devices = await this.#parts.store.scan('device', { limit: 1 })
    if (devices.length === 0) return
    throw new CallerError(
      'ERR_ROLLOVER_PINNED',
      'devices have pinned the key of the server CA, and would no longer find this server',
      {},
      {
        where: 'role server',
        hint: 'Roll it over only before the first device enrols; set up a second house and enrol devices there otherwise.',
      },
    )
  }

  #judged(csr: Uint8Array): { readonly spki: Uint8Array; readonly name: string } {
    const { spki, commonName: name } = judgeKeyRequest(csr, this.#parts.crypto)
    return { spki, name: requireName(name) }
  }

  async #renewAll(onCredential: (credential: ServerCredential) => void): Promise<void> {
    await this.#tried("the server's certificate", async () => {
      const { credential, renewed } = await this.#leaf.renew()
      if (renewed) onCredential(credential)
    })
    await this.#tried("the server's certificates for EDHOC", () => this.#renewEdhoc())
  }

  async #renewEdhoc(): Promise<void> {
    await (await this.#edhoc)?.renew()
  }

  /** Tomorrow is another day. */
  async #tried(what: string, renew: () => Promise<void>): Promise<void> {
    try {
      await renew()
    } catch (error) {
      const code = isCountersignError(error) ? error.code : 'ERR_INTERNAL'
      this.#parts.log.error({ code }, `${what} could not be renewed: ${String(error)}`)
    }
  }
}
