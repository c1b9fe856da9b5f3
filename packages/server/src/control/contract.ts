/**
 * What a command may ask of a house, whether it opens the folder itself or speaks to the `serve`
 * that owns it: parameters and documents of every operation. Types and a few lists: the command
 * loads nothing of the server to know them. Times are RFC 3339 in documents, milliseconds in
 * parameters.
 */
import type { RevocationReason, Role } from '@countersign/core/credential'
import type { Milliseconds } from '@countersign/core/ports'
import type {
  AnchorRole,
  Assurance,
  CommandState,
  DeviceState,
  EdhocSuite,
  ElementAnchorRole,
  KeyOrigin,
  Road,
} from '../ports.ts'

export { assurances, deviceStates, roads } from '../recordValues.ts'

/**
 * CRLReason (RFC 5280 §5.3.1) without certificateHold and removeFromCRL: suspension is the
 * registry's, not the CRL's.
 */
export const revocationReasons: readonly RevocationReason[] = [
  'unspecified',
  'keyCompromise',
  'cACompromise',
  'affiliationChanged',
  'superseded',
  'cessationOfOperation',
  'privilegeWithdrawn',
  'aACompromise',
]

export interface DeviceDocument {
  readonly id: string
  readonly eui64: string
  readonly serial: string
  readonly product: string
  readonly owner: string
  readonly state: DeviceState
  readonly assurance: Assurance
  readonly road: Road | null
  readonly firstSeen: string | null
  readonly lastSeen: string | null
  readonly reason: string | null
}

export interface CertificateDocument {
  readonly serial: string
  readonly fingerprint: string | null
  readonly x5t: string | null
  readonly profile: string
  readonly ca: string
  readonly status: string
  readonly notBefore: string
  readonly notAfter: string
  readonly revokedAt: string | null
  readonly reason: string | null
}

/** What the house knows of a key of a device. */
export interface KeyDocument {
  /** SHA-256 of the SubjectPublicKeyInfo. */
  readonly key: string
  readonly origin: KeyOrigin
  /** What it is worth now. */
  readonly assurance: Assurance
  /** Why that is less than it was judged; null when it is not. */
  readonly lowered: string | null
  /** Whose word the level is: role and fingerprint of an anchor. */
  readonly voucher: string | null
  readonly elementKind: string | null
  readonly elementSerial: string | null
  readonly slot: number | null
  readonly evidenceFormat: string | null
  readonly verifier: string | null
  readonly judged: string | null
  /** Of the verifier, with its reasons. */
  readonly verdict: unknown
}

export interface DeviceDetail extends DeviceDocument {
  readonly certificates: readonly CertificateDocument[]
  /** Newest first. */
  readonly keys: readonly KeyDocument[]
}

/** What an import of manifests did. */
export interface ManifestsImported {
  readonly file: string
  readonly elements: number
  /** Not here before. */
  readonly imported: number
  /** Here already, with the same content. */
  readonly known: number
  readonly keys: number
}

export interface InviteDocument {
  readonly token: string
  /** `https://…`, where the device enrols. */
  readonly server: string
  /** `mqtts://…`, another road of the same server. */
  readonly mqtts: string
  /** `coap://…`, for devices on narrow links: UDP. */
  readonly coap: string
  readonly anchor: string
  readonly id: string
  readonly product: string
  readonly count: number
  readonly expires: string
}

/** An invitation without its token, which is stored nowhere. */
export interface InvitationDocument {
  readonly id: string
  readonly product: string
  readonly serial: string | null
  readonly count: number
  readonly used: number
  readonly created: string
  readonly expires: string
}

/** A command to a device, and what came of it. */
export interface CommandDocument {
  readonly id: string
  readonly device: string
  readonly name: string
  readonly data: unknown
  readonly state: CommandState
  /** Why it was refused or dropped. */
  readonly reason: string | null
  /** `operator`, `application:<id>`. */
  readonly actor: string
  readonly created: string
  readonly expires: string
  readonly delivered: string | null
  readonly ended: string | null
  /** Media type of the device's answer; null before there is one. */
  readonly resultType: string | null
  /** JSON as JSON, text as text. */
  readonly result: unknown
  /** An answer of any other type. */
  readonly resultBase64: string | null
}

/** Parsed, and as JSON text: `data` and `result` have lost what a double cannot hold. */
export interface WrittenCommand extends CommandDocument {
  readonly text: string
}

export interface ProductDocument {
  readonly name: string
  readonly credential: 'factory' | 'owner' | 'either'
  readonly roads: readonly Road[]
  readonly assuranceMin: Assurance
  readonly edhocSuiteMin: EdhocSuite
  readonly validityDays: number
  readonly renewalDays: number
  readonly overlapDays: number
  readonly serialPattern: string
  readonly euiFirst: string
  readonly euiLast: string
  readonly euiNext: string
  readonly messagesPerMinute: number
}

export interface ProductParams {
  readonly name: string
  readonly credential?: 'factory' | 'owner' | 'either' | undefined
  readonly roads?: readonly Road[] | undefined
  readonly assuranceMin?: Assurance | undefined
  readonly edhocSuiteMin?: EdhocSuite | undefined
  readonly validityDays?: number | undefined
  readonly renewalDays?: number | undefined
  readonly overlapDays?: number | undefined
  readonly serialPattern?: string | undefined
  readonly euiFirst?: string | undefined
  readonly euiLast?: string | undefined
  readonly messagesPerMinute?: number | undefined
}

export interface ApplicationDocument {
  readonly id: string
  readonly name: string
  readonly webhook: string | null
  readonly webhookState: 'active' | 'paused'
  readonly cursor: number
  readonly deadLetters: number
  readonly createdAt: string
}

export interface ApplicationAdded {
  readonly id: string
  readonly name: string
  readonly token: string
  readonly secret: string
  readonly webhook: string | null
  /** PEM, leaf and issuing CA, when a CSR was given. */
  readonly certificate?: string
}

/** A message that the webhook did not take. */
export interface DeadLetterDocument {
  readonly seq: number
  readonly attempts: number
  readonly lastError: string
  readonly createdAt: string
  /** The CloudEvent. */
  readonly event: unknown
}

export interface CaDocument {
  readonly name: string
  readonly role: Role | 'root'
  readonly status: 'active' | 'retired'
  readonly subject: string
  readonly fingerprint: string
  /** SHA-256 of the SubjectPublicKeyInfo: what devices pin. */
  readonly anchor: string
  readonly notBefore: string
  readonly notAfter: string
  readonly crlNumber: number
  /** Where its private key is: a file of the folder (the root's may be elsewhere), or the token. */
  readonly key: 'file' | 'token'
  /** Of a key in the token. */
  readonly keyLabel: string | null
  /** Of the server's CA: what the server itself shows, and what follows it. */
  readonly own: readonly OwnCertificateDocument[]
  readonly pem: string
}

/** One of the certificates that the server itself shows. */
export interface OwnCertificateDocument {
  readonly profile: 'server' | 'server-edhoc-sign' | 'server-edhoc-dh'
  /** `next`: devices are told of it, and not yet shown it. */
  readonly state: 'current' | 'next'
  /** How devices call it in EDHOC: one byte, hex. */
  readonly kid: string | null
  /** Of a `next` one: how many devices on coap are to be told of it, and how many have confirmed it. */
  readonly told: { readonly devices: number; readonly confirmed: number } | null
  readonly serial: string
  readonly fingerprint: string | null
  readonly status: string
  readonly notBefore: string
  readonly notAfter: string
  readonly pem: string | null
}

export interface AnchorDocument {
  readonly fingerprint: string
  readonly role: AnchorRole
  readonly origin: 'house' | 'foreign'
  readonly subject: string
  readonly notAfter: string
  readonly product: string | null
  readonly serialPattern: string | null
  readonly assuranceCap: Assurance
  readonly pem: string
}

export interface IssuedDocument {
  readonly serial: string
  readonly fingerprint: string
  readonly profile: string
  readonly notAfter: string
  /** Leaf and issuing CA. */
  readonly pem: string
}

export interface HouseDocument {
  readonly version: string
  readonly dir: string
  readonly demo: boolean
  readonly pid: number
  /** Empty when nobody serves. */
  readonly listeners: Readonly<Record<string, string>>
  /** What the doors show, and what follows it; empty before the first. */
  readonly own: readonly OwnCertificateDocument[]
  /** Newest entry of the audit log. */
  readonly lastEvent: { readonly seq: number; readonly time: string } | null
}

/** Opens the page once. */
export interface ConsoleLinkDocument {
  readonly url: string
  readonly expires: string
}

/** A log that fails is an error that names the entry. */
export interface LogVerdict {
  readonly ok: true
  readonly entries: number
  /** Hash of the newest entry: what an auditor writes down. */
  readonly head: string
}

/** One row of the table of operations: [parameters, result]. */
export interface Operations {
  'house.show': [Record<string, never>, HouseDocument]
  'house.backup': [
    { readonly file: string },
    {
      readonly file: string
      readonly bytes: number
      readonly passphraseInside: boolean
      /** The token that holds CA keys; they are not in the backup. */
      readonly caToken: string | null
    },
  ]
  /** Asks the process that serves; nobody else has a page to open. */
  'console.link': [Record<string, never>, ConsoleLinkDocument]
  'identity.invite': [
    {
      readonly product: string
      readonly count: number
      readonly expiresAt: Milliseconds
      readonly serial?: string | undefined
    },
    InviteDocument,
  ]
  /** Those that still admit somebody. */
  'identity.invitations': [
    { readonly after?: string | undefined; readonly limit: number },
    readonly InvitationDocument[],
  ]
  'identity.uninvite': [{ readonly id: string }, InvitationDocument]
  'identity.list': [
    {
      readonly state?: DeviceState | undefined
      readonly product?: string | undefined
      readonly after?: string | undefined
      readonly limit: number
    },
    readonly DeviceDocument[],
  ]
  'identity.show': [{ readonly id: string }, DeviceDetail]
  'identity.suspend': [
    { readonly id: string; readonly reason?: string | undefined },
    DeviceDocument,
  ]
  'identity.resume': [{ readonly id: string }, DeviceDocument]
  'identity.revoke': [{ readonly id: string; readonly reason: RevocationReason }, DeviceDocument]
  'identity.retire': [{ readonly id: string }, DeviceDocument]
  'identity.why': [{ readonly id: string }, Readonly<Record<string, unknown>>]
  'command.send': [
    {
      readonly id: string
      readonly name: string
      /** JSON text. */
      readonly data: string
      readonly expiresAt: Milliseconds
    },
    WrittenCommand,
  ]
  /** Newest first. */
  'command.list': [
    { readonly id: string; readonly before?: string | undefined; readonly limit: number },
    readonly WrittenCommand[],
  ]
  'command.show': [{ readonly id: string; readonly command: string }, WrittenCommand]
  'product.add': [ProductParams, ProductDocument]
  'product.set': [ProductParams, ProductDocument]
  'product.list': [Record<string, never>, readonly ProductDocument[]]
  'application.add': [
    {
      readonly name: string
      readonly webhook?: string | undefined
      readonly csr?: string | undefined
    },
    ApplicationAdded,
  ]
  'application.list': [Record<string, never>, readonly ApplicationDocument[]]
  'application.test': [{ readonly name: string }, Readonly<Record<string, unknown>>]
  'application.letters': [{ readonly name: string }, readonly DeadLetterDocument[]]
  'application.redeliver': [{ readonly name: string }, Readonly<Record<string, unknown>>]
  'application.remove': [{ readonly name: string }, { readonly id: string; readonly name: string }]
  'ca.show': [{ readonly name?: string | undefined }, readonly CaDocument[]]
  'ca.issue': [
    {
      readonly profile: 'server' | 'operator' | 'application' | 'idevid'
      readonly csr: string
      readonly hosts: readonly string[]
      readonly days?: number | undefined
      /** Of an IDevID; `default` when absent. */
      readonly product?: string | undefined
    },
    IssuedDocument,
  ]
  'ca.revoke': [{ readonly serial: string; readonly reason: RevocationReason }, CertificateDocument]
  'ca.crl': [{ readonly name: string }, { readonly name: string; readonly der: string }]
  'ca.rollover': [
    {
      readonly role: Role
      readonly rootKey?: string | undefined
      readonly rootPassphrase?: string | undefined
    },
    CaDocument,
  ]
  'anchor.add': [
    {
      readonly role: 'maker' | ElementAnchorRole
      readonly certificate: string
      readonly product?: string | undefined
      readonly serialPattern?: string | undefined
      readonly notAfter?: Milliseconds | undefined
      readonly assuranceCap?: Assurance | undefined
    },
    AnchorDocument,
  ]
  'anchor.list': [{ readonly role?: AnchorRole | undefined }, readonly AnchorDocument[]]
  /** The self-signed root, for stock clients that need one in their bundle. */
  'anchor.root': [Record<string, never>, { readonly pem: string }]
  'anchor.remove': [{ readonly fingerprint: string }, AnchorDocument]
  /** Path on the server's machine. */
  'factory.import': [{ readonly file: string }, ManifestsImported]
  /** `known`: an entry's number and hash that were written down earlier. */
  'log.verify': [
    { readonly known?: { readonly seq: number; readonly hash: string } | undefined },
    LogVerdict,
  ]
}

export type OperationName = keyof Operations
export type ParamsOf<N extends OperationName> = Operations[N][0]
export type ResultOf<N extends OperationName> = Operations[N][1]

/** One way to a house; the command does not see which. */
export interface House {
  call<N extends OperationName>(operation: N, params: ParamsOf<N>): Promise<ResultOf<N>>
  close(): Promise<void>
}
