/**
 * Enrolment over Secure Transport (RFC 7030, RFC 8951) as a function of request and answer; the
 * https door carries it. First enrolment by the token of an invitation (HTTP Basic, user `token`)
 * or by a maker's certificate, renewal by the current one. A retried request whose answer was lost
 * gets the certificate that was made for it. Left out: fullcmc, serverkeygen (a device makes its
 * own keys), CA labels in the path.
 */
import {
  encodeCertsOnly,
  euiFromCertificate,
  serialNumberOf,
  type VerifiedPeer,
} from '@countersign/core/credential'
import { isCountersignError } from '@countersign/core/errors'
import type { Clock, Crypto } from '@countersign/core/ports'
import type {
  AdmittedToRenew,
  Assurance,
  AttestationDesk,
  CaRow,
  DeviceRow,
  EstRequest,
  EstResponse,
  EstService,
  KeyAttestation,
  Log,
  Notices,
  ProductRow,
  Refusal,
  ReservationRequest,
  TokenRow,
} from '../ports.ts'
import { csrAttributes } from './estAttributes.ts'
import { EnrolmentRate } from './estRate.ts'
import {
  decodeBody,
  derAnswer,
  parseBasic,
  problemAnswer,
  refuse,
  requireMediaType,
  statusOf,
} from './estWire.ts'
import type { Hierarchy } from './hierarchy.ts'
import { certificateHolder, tokenHolder } from './holders.ts'
import type { Issuer } from './issuer.ts'
import { type DeviceRequest, judgeDeviceRequest } from './request.ts'

const dayMs = 86_400_000

/** The registry as enrolment sees it. */
export interface EnrolmentDesk {
  checkToken(token: string): Promise<TokenRow>
  product(name: string): Promise<ProductRow>
  /** Judges the state of device and certificate: throws for a suspended or revoked one. */
  admitToRenew(peer: VerifiedPeer): Promise<AdmittedToRenew>
  /**
   * What a maker's certificate entitles to: the device that it names, or a new one of the product
   * in its anchor's scope.
   */
  admitMaker(peer: VerifiedPeer): Promise<
    | {
        readonly kind: 'device'
        readonly device: DeviceRow
        /** What a key is worth at most that this maker's certificate asks for. */
        readonly assuranceMax: Assurance
      }
    | {
        readonly kind: 'newDevice'
        readonly product: string
        readonly serial: string
        readonly assuranceMax: Assurance
      }
  >
  refused(refusal: Refusal): void
}

export interface EstParts {
  readonly desk: EnrolmentDesk
  readonly attestation: AttestationDesk
  readonly hierarchy: Hierarchy
  readonly issuer: Issuer
  readonly crypto: Crypto
  readonly clock: Clock
  readonly log: Log
  readonly notices: Notices
}

interface Operation {
  readonly method: 'GET' | 'POST'
  readonly run: (request: EstRequest) => Promise<EstResponse>
}

/** Answers every request; never throws. */
export function createEst(parts: EstParts): EstService {
  const enrolment = new Enrolment(parts)
  const operations: ReadonlyMap<string, Operation> = new Map<string, Operation>([
    ['cacerts', { method: 'GET', run: async () => caCertificates(parts.hierarchy) }],
    ['csrattrs', { method: 'GET', run: async () => attributes }],
    ['simpleenroll', { method: 'POST', run: (request) => enrolment.enrol(request) }],
    ['simplereenroll', { method: 'POST', run: (request) => enrolment.renew(request) }],
  ])
  return async (request) => {
    try {
      return await find(operations, request).run(request)
    } catch (error) {
      const method = operations.get(request.operation)?.method
      return explain(parts, request, method, error, enrolment.serialOf(request))
    }
  }
}

const attributes: EstResponse = derAnswer('application/csrattrs', csrAttributes)

function find(operations: ReadonlyMap<string, Operation>, request: EstRequest): Operation {
  const operation = operations.get(request.operation)
  if (operation === undefined) {
    throw refuse(
      'ERR_EST_OPERATION',
      'this server does not know the operation',
      `It knows ${[...operations.keys()].join(', ')}.`,
    )
  }
  if (operation.method === request.method) return operation
  throw refuse(
    'ERR_EST_METHOD',
    `this operation is asked by ${operation.method}`,
    'See RFC 7030 §3.2.2.',
  )
}

/** The operator reads the reason (audit log), the peer gets what it can act on. */
export function explain(
  parts: Pick<EstParts, 'desk' | 'log'>,
  request: EstRequest,
  method: string | undefined,
  error: unknown,
  serial?: string,
): EstResponse {
  const status = statusOf(error)
  if (status >= 500 || !isCountersignError(error)) {
    const code = isCountersignError(error) ? error.code : 'ERR_INTERNAL'
    parts.log.error({ code, operation: request.operation }, `enrolment failed: ${String(error)}`)
    return problemAnswer(error, {})
  }
  const { code, message, where, hint } = error
  parts.desk.refused({
    road: 'https',
    address: request.peerAddress,
    code,
    message,
    ...(request.peer === undefined ? {} : { fingerprint: request.peer.fingerprint }),
    ...(serial === undefined ? {} : { serial }),
    ...(where === undefined ? {} : { where }),
    ...(hint === undefined ? {} : { hint }),
  })
  return problemAnswer(error, status === 405 && method !== undefined ? { allow: method } : {})
}

/**
 * RFC 7030 §4.1.3: what a device needs to judge us and to build its own chain. The server's and the
 * owner's issuing CAs, retired ones too as long as their certificates are about, and the root.
 */
function caCertificates(hierarchy: Hierarchy): EstResponse {
  const issuing = hierarchy.issuing().map((ca) => ca.row)
  const rows = [...issuing.filter(({ role }) => shown.has(role)), hierarchy.root]
  return derAnswer('application/pkcs7-mime', encodeCertsOnly(rows.map((row) => row.der)))
}

const shown: ReadonlySet<CaRow['role']> = new Set<CaRow['role']>(['server', 'owner'])

class Enrolment {
  readonly #parts: EstParts
  readonly #rate: EnrolmentRate
  readonly #products: Policies
  readonly #serials = new WeakMap<EstRequest, string>()

  constructor(parts: EstParts) {
    this.#parts = parts
    this.#rate = new EnrolmentRate(parts.clock)
    this.#products = new Policies(parts.desk, parts.notices)
  }

  /** Whom a request was for, once its token was good: by this name the operator asks why. */
  serialOf(request: EstRequest): string | undefined {
    return this.#serials.get(request)
  }

  /** §4.2.1: a first certificate of the owner. */
  async enrol(request: EstRequest): Promise<EstResponse> {
    const basic = parseBasic(request.authorization)
    if (basic !== undefined) return this.#byToken(request, basic)
    const { peer } = request
    if (peer?.role === 'maker') return this.#byMaker(request, peer)
    if (peer !== undefined) {
      throw refuse(
        'ERR_EST_CERTIFICATE',
        'this certificate does not enrol: it is no certificate of a maker',
        'Renew it with simplereenroll, or give the token of an invitation.',
      )
    }
    throw refuse(
      'ERR_EST_AUTHENTICATION',
      'a first enrolment needs the token of an invitation or the certificate of a maker',
      'Ask the operator for "countersign identity invite", and give its token: "curl -u token:<token>".',
    )
  }

  async #byToken(
    request: EstRequest,
    { user, password }: { readonly user: string; readonly password: string },
  ): Promise<EstResponse> {
    if (user !== 'token') {
      throw refuse('ERR_EST_AUTHENTICATION', 'the user is not "token"', 'Give "token" as the user.')
    }
    const token = await this.#parts.desk.checkToken(password)
    const asked = this.#read(request)
    this.#serials.set(request, asked.serial)
    return this.#issue(asked, token.product, tokenHolder(token.id), {
      request: `token:${token.id}`,
      actor: `token:${token.id}`,
      target: {
        kind: 'newDevice',
        product: token.product,
        serial: asked.serial,
        eui64: asked.eui64,
        origin: 'software',
        assurance: 0,
        tokenHash: token.hash,
      },
    })
  }

  async #byMaker(request: EstRequest, peer: VerifiedPeer): Promise<EstResponse> {
    const standing = await this.#parts.desk.admitMaker(peer)
    const asked = this.#read(request)
    const named = serialNumberOf(peer.leaf.subject)
    const wanted = { request: `maker:${peer.fingerprint}`, actor: 'device' }
    const holder = certificateHolder(peer.fingerprint)
    const { assuranceMax } = standing
    if (standing.kind === 'device') {
      const { id, product, eui64 } = standing.device
      requireSame(asked, named, eui64)
      this.#rate.take(id, peer.fingerprint, asked.spki, false)
      const target = { kind: 'device', id, origin: 'software' } as const
      return this.#issue(asked, product, holder, { ...wanted, target }, assuranceMax)
    }
    const { product, serial } = standing
    // An address that the maker does not vouch for is given from the product's block.
    const eui64 = euiFromCertificate(peer.leaf)
    requireSame(asked, named, eui64)
    const target = {
      kind: 'newDevice',
      product,
      serial,
      eui64,
      // What speaks for the key is its own evidence, and the maker's anchor caps it.
      origin: 'software',
      assurance: 0,
      tokenHash: undefined,
    } as const
    return this.#issue(asked, product, holder, { ...wanted, target }, assuranceMax)
  }

  /** §4.2.2: the current certificate is renewed, with its key or a new one. */
  async renew(request: EstRequest): Promise<EstResponse> {
    const { peer } = request
    if (peer === undefined || peer.role !== 'owner') {
      throw refuse(
        'ERR_EST_CERTIFICATE',
        'a renewal needs the current certificate of the device in the TLS handshake',
        'Connect with the certificate that is to be renewed; a first one comes by simpleenroll.',
      )
    }
    const admitted = await this.#parts.desk.admitToRenew(peer)
    const { device, certificate, assuranceMax } = admitted
    const asked = this.#read(request)
    requireSame(asked, device.serial, device.eui64)
    const product = await this.#products.of(device.product)
    const isDue = peer.leaf.notAfter - product.renewalDays * dayMs <= this.#parts.clock.now()
    this.#rate.take(device.id, peer.fingerprint, asked.spki, isDue)
    const wanted = {
      request: `renew:${certificate?.serial ?? peer.fingerprint}`,
      actor: 'device',
      target: { kind: 'device', id: device.id, origin: 'software' },
    } as const
    return this.#issue(asked, product, certificateHolder(peer.fingerprint), wanted, assuranceMax)
  }

  #read(request: EstRequest): DeviceRequest {
    requireMediaType(request.contentType, 'application/pkcs10')
    return judgeDeviceRequest(decodeBody(request.body), this.#parts.crypto)
  }

  async #issue(
    asked: DeviceRequest,
    product: string | ProductRow,
    holder: string,
    wanted: Pick<ReservationRequest, 'request' | 'actor'> & { readonly target: DeviceTarget },
    assuranceMax: Assurance = 4,
  ): Promise<EstResponse> {
    const { hierarchy, issuer } = this.#parts
    const judged = await this.#parts.attestation.judge({ ...asked, holder })
    const attestation = judged && capped(judged, assuranceMax)
    const policy = typeof product === 'string' ? await this.#products.of(product) : product
    const issued = await issuer.issue({
      ca: hierarchy.active('owner'),
      profile: 'ldevid',
      spki: asked.spki,
      lifetimeMs: policy.validityDays * dayMs,
      ...wanted,
      target: placed(wanted.target, attestation),
      attestation,
      assuranceMax,
    })
    const der = encodeCertsOnly([issued.der])
    return derAnswer('application/pkcs7-mime; smime-type=certs-only', der)
  }
}

type DeviceTarget = Extract<ReservationRequest['target'], { readonly kind: 'device' | 'newDevice' }>

function capped(attestation: KeyAttestation, max: Assurance): KeyAttestation {
  return attestation.assurance <= max ? attestation : { ...attestation, assurance: max }
}

/** Where the key is, once somebody stands behind what its element says. */
function placed(target: DeviceTarget, attestation: KeyAttestation | undefined): DeviceTarget {
  if (attestation?.element === undefined) return target
  const { element, assurance } = attestation
  const place = { origin: 'element', element } as const
  return target.kind === 'newDevice' ? { ...target, ...place, assurance } : { ...target, ...place }
}

/** Products as they are asked for again and again; forgotten when one changes. */
class Policies {
  readonly #desk: EnrolmentDesk
  readonly #known = new Map<string, Promise<ProductRow>>()

  constructor(desk: EnrolmentDesk, notices: Notices) {
    this.#desk = desk
    notices.listen((notice) => {
      if (notice.kind === 'product') this.#known.delete(notice.name)
    })
  }

  of(name: string): Promise<ProductRow> {
    const known = this.#known.get(name)
    if (known !== undefined) return known
    const asked = this.#desk.product(name)
    this.#known.set(name, asked)
    // What could not be read is asked again.
    asked.catch(() => this.#known.delete(name))
    return asked
  }
}

/**
 * §4.2.2: the request names the device that the certificate names. What the profile does not carry
 * over is not compared.
 */
function requireSame(
  asked: DeviceRequest,
  serial: string | undefined,
  eui64: string | undefined,
): void {
  if (asked.serial !== serial) {
    throw refuse(
      'ERR_EST_SUBJECT',
      `the request names ${asked.serial}, the certificate ${serial ?? 'no serialNumber'}`,
      'Ask with the serialNumber of the certificate in use.',
    )
  }
  if (asked.eui64 === undefined || asked.eui64 === eui64) return
  throw refuse(
    'ERR_EST_SUBJECT',
    `the request names the EUI-64 ${asked.eui64}, the certificate ${eui64 ?? 'none'}`,
    'Ask with the EUI-64 of the certificate in use, or leave subjectAltName out.',
  )
}
