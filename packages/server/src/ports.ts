/**
 * Where the server's rooms meet: the store, and what the rooms tell each other. The records
 * themselves are in `records.ts`. A room imports this file and never another room; `compose.ts`
 * hands each one its neighbours.
 */
import type { VerifiedPeer } from '@countersign/core/credential'
import type { Authentication } from '@countersign/core/edhoc'
import type { Milliseconds, SecretKey, Signer } from '@countersign/core/ports'
import type {
  ApplicationRow,
  Assurance,
  CertificateRow,
  CommandRow,
  DeviceRow,
  EventRow,
  KeyOrigin,
  MessageRow,
  ProfileName,
  Road,
  RowTable,
  TableName,
  Tables,
} from './records.ts'

export type { Timers } from '@countersign/core/ports'
export type * from './records.ts'

// --- The store -----------------------------------------------------------------------------------

type NumericColumn<T extends TableName> = {
  [C in keyof Tables[T]]: Tables[T][C] extends number ? C : never
}[keyof Tables[T]] &
  string

/**
 * What a row that is missing cannot take (update, add, delete) is a conflict, like a key or a
 * unique value that is taken.
 */
export type Write = {
  [T in RowTable]:
    | { readonly kind: 'insert'; readonly table: T; readonly row: Tables[T] }
    | {
        readonly kind: 'update'
        readonly table: T
        readonly key: string
        readonly set: Partial<Tables[T]>
      }
    | { readonly kind: 'delete'; readonly table: T; readonly key: string }
    /**
     * Adds without reading first, so that many may count at once; a result beyond `atMost` (a
     * column of the same row) is a conflict.
     */
    | {
        readonly kind: 'add'
        readonly table: T
        readonly key: string
        readonly column: NumericColumn<T>
        readonly by: number
        readonly atMost?: NumericColumn<T>
      }
}[RowTable]

/**
 * Every named column of the row must have this value (null for null); a missing row never matches.
 */
export type Condition = {
  [T in RowTable]:
    | {
        readonly kind: 'equals'
        readonly table: T
        readonly key: string
        readonly where: Partial<Tables[T]>
      }
    | { readonly kind: 'absent'; readonly table: T; readonly key: string }
}[RowTable]

export type EventDraft = Omit<EventRow, 'seq' | 'previous' | 'hash'>
export type MessageDraft = Omit<MessageRow, 'seq'>

/**
 * One write: all of it or nothing. Conditions are judged inside the transaction, before any write.
 * A message whose (source, id) was stored before is dropped, and `Applied.duplicates` counts it.
 */
export interface Change {
  readonly conditions?: readonly Condition[]
  readonly writes?: readonly Write[]
  readonly events?: readonly EventDraft[]
  readonly messages?: readonly MessageDraft[]
}

export interface Applied {
  /** Sequence numbers of the messages stored, in order; a duplicate has none. */
  readonly messageSeqs: readonly number[]
  readonly duplicates: number
  readonly lastEventSeq: number
}

/**
 * `ERR_CONFLICT` carries details {table, column?}: a condition did not hold or a unique value was
 * taken.
 */
export type StoreErrorCode =
  | 'ERR_CONFLICT'
  | 'ERR_STORE_FULL'
  | 'ERR_STORE_IO'
  | 'ERR_STORE_CORRUPT'
  | 'ERR_STORE_NEWER'
  | 'ERR_STORE_CLOSED'

/**
 * Columns with a secondary index, per table. A device's EUI-64 is in its id, a token's id in its
 * hash: both are looked up by key.
 */
export interface Indexes {
  device: 'serial' | 'state' | 'product'
  key: never
  element: 'device'
  certificate: 'fingerprint' | 'x5t' | 'device' | 'application' | 'status'
  ca: 'role'
  product: never
  token: never
  anchor: 'role'
  manifest: never
  manifestKey: 'serial'
  application: 'name' | 'tokenHash'
  message: 'source'
  deadLetter: 'application'
  command: 'device' | 'waiting'
  mqttSession: 'holder'
  coapContext: 'device'
  setting: never
  event: 'subject'
}

export interface Store {
  get<T extends TableName>(table: T, key: string | number): Promise<Tables[T] | undefined>
  /**
   * At most `limit` (default 1000) rows whose indexed column has this value, in primary-key order,
   * those after `after`. `newestFirst` turns the order round, and `after` with it. `withoutBlobs`:
   * blobs that may be null come as null, for whoever has no use for them.
   */
  find<T extends TableName>(
    table: T,
    column: Indexes[T],
    value: string | number,
    options?: {
      readonly limit?: number
      readonly after?: string | number
      readonly newestFirst?: boolean
      readonly withoutBlobs?: boolean
    },
  ): Promise<readonly Tables[T][]>
  /** Rows in primary-key order after `after`. */
  scan<T extends TableName>(
    table: T,
    options: { readonly after?: string | number; readonly limit: number },
  ): Promise<readonly Tables[T][]>
  /**
   * How many rows have this value in this indexed column, counted up to `atMost`: one range of the
   * index.
   */
  count<T extends TableName>(
    table: T,
    column: Indexes[T],
    value: string | number,
    atMost: number,
  ): Promise<number>
  /**
   * Durable when it resolves. Concurrent calls share one transaction and one fsync (group commit).
   */
  apply(change: Change): Promise<Applied>
  /**
   * The newest entry of the audit log: what an auditor writes down. `seq` 0 and 64 zeros before the
   * first.
   */
  eventHead(): Promise<{ readonly seq: number; readonly hash: string }>
  /**
   * Forgets messages up to and including `throughSeq`. Their ids stay known for duplicates, for a
   * bounded time and number.
   */
  trimMessages(throughSeq: number): Promise<void>
  /** A consistent copy while the store is in use. */
  backup(file: string): Promise<void>
  close(): Promise<void>
}

// --- What the rooms tell each other --------------------------------------------------------------

/** Said after the commit, synchronously, to everyone who holds live sessions or a cache. */
export type Notice =
  | { readonly kind: 'device'; readonly id: string }
  | { readonly kind: 'certificate'; readonly serial: string; readonly device: string | null }
  | { readonly kind: 'product'; readonly name: string }
  | { readonly kind: 'anchors' }
  | { readonly kind: 'application'; readonly id: string }
  | { readonly kind: 'messages'; readonly throughSeq: number }
  /** Something waits for this device, or waits no more. */
  | { readonly kind: 'commands'; readonly device: string }

export interface Notices {
  tell(notice: Notice): void
  /** Returns the way out. */
  listen(listener: (notice: Notice) => void): () => void
}

// --- The registry: who is who, and what may happen to them ---------------------------------------

export type RegistryErrorCode =
  | 'ERR_DEVICE_UNKNOWN'
  | 'ERR_DEVICE_SUSPENDED'
  | 'ERR_DEVICE_REVOKED'
  | 'ERR_DEVICE_RETIRED'
  | 'ERR_DEVICE_STATE'
  | 'ERR_DEVICE_EXISTS'
  | 'ERR_CERT_UNKNOWN'
  | 'ERR_CERT_REVOKED'
  | 'ERR_CERT_SUPERSEDED'
  | 'ERR_APPLICATION_GONE'
  | 'ERR_CA_ACTIVE'
  | 'ERR_KEY_USED'
  | 'ERR_ELEMENT_USED'
  | 'ERR_RESERVATION_VOID'
  | 'ERR_EUI64_USED'
  | 'ERR_EUI64_INVALID'
  | 'ERR_EUI64_EXHAUSTED'
  | 'ERR_EUI64_OUTSIDE_BLOCK'
  | 'ERR_SERIAL_USED'
  | 'ERR_SERIAL_PATTERN'
  | 'ERR_TOKEN_UNKNOWN'
  | 'ERR_TOKEN_EXPIRED'
  | 'ERR_TOKEN_SPENT'
  | 'ERR_TOKEN_PRODUCT'
  | 'ERR_TOKEN_SERIAL'
  | 'ERR_PRODUCT_UNKNOWN'
  | 'ERR_PRODUCT_EXISTS'
  | 'ERR_ROAD_NOT_ALLOWED'
  | 'ERR_CREDENTIAL_NOT_ALLOWED'
  | 'ERR_ASSURANCE_TOO_LOW'
  | 'ERR_SUITE_NOT_ALLOWED'

/** What a device or an application may not do on its connection, whatever the road calls it. */
export type RoadErrorCode =
  | 'ERR_CERT_MISSING'
  | 'ERR_TOPIC'
  | 'ERR_TOPIC_FOREIGN'
  | 'ERR_CLIENT_ID'
  | 'ERR_CLIENT_ID_FOREIGN'
  | 'ERR_MESSAGE_TYPE'
  | 'ERR_MESSAGE_JSON'
  | 'ERR_MESSAGE_NUMBER'
  | 'ERR_MESSAGE_SIZE'
  | 'ERR_MESSAGE_RATE'
  | 'ERR_REQUEST_RATE'
  | 'ERR_MQTT_MALFORMED'
  | 'ERR_MQTT_PROTOCOL'
  | 'ERR_MQTT_VERSION'
  | 'ERR_MQTT_TOO_LARGE'
  | 'ERR_MQTT_ALIAS'
  | 'ERR_MQTT_IDENTIFIERS'
  | 'ERR_MQTT_UNRELEASED'
  | 'ERR_MQTT_AUTH'
  | 'ERR_MQTT_RETAIN'
  | 'ERR_CREDENTIAL_UNKNOWN'
  | 'ERR_CREDENTIAL_CONTRADICTORY'
  | 'ERR_EDHOC_PROOF'
  | 'ERR_EDHOC_CREDENTIAL'
  | 'ERR_EDHOC_EAD'
  | 'ERR_COAP_OPTION'
  | 'ERR_COAP_QUERY'
  | 'ERR_CONTEXT_ENDED'

/** A device that passed chain, registry and policy: what a session holds. */
export interface Admitted {
  readonly device: DeviceRow
  readonly certificate: CertificateRow | null
  /** Session must end by then. */
  readonly notAfter: Milliseconds
  readonly messagesPerMinute: number
  /** x5t, lower-case hex. */
  readonly credential: string
}

/** What asks for the next certificate of its device. */
export interface AdmittedToRenew extends Admitted {
  /** Of the key in use, as in `KeyRow`: the next one is worth no more. */
  readonly assuranceMax: Assurance
}

/** An application that passed chain and registry: what its session holds. */
export interface AdmittedApplication {
  readonly application: ApplicationRow
  /** Session must end by then. */
  readonly notAfter: Milliseconds
}

/** What an element, or its maker, says of a key, and what the verifier made of it. */
export interface KeyAttestation {
  readonly assurance: Assurance
  readonly format: string
  /** As it came. */
  readonly evidence: Uint8Array
  /** JSON. */
  readonly verdict: string
  readonly verifier: string
  readonly judgedAt: Milliseconds
  /** Where the key is; undefined when nobody whom we know stands behind it. */
  readonly element: ElementPlace | undefined
}

/** Where a key is, and whose word that is. */
export interface ElementPlace {
  readonly serial: string
  readonly kind: string
  readonly slot: number
  /** What is taken of it: see `ElementRow`. */
  readonly claim: string
  /** As in `KeyRow.voucher`. */
  readonly voucher: string
}

/** Attestation as enrolment sees it. */
export interface AttestationDesk {
  /**
   * A nonce for `holder` alone, once and for a few minutes. Throws PeerError
   * ERR_ATTESTATION_RATE.
   */
  nonce(holder: string): { readonly nonce: Uint8Array; readonly expires: Milliseconds }
  /**
   * Judges what came with a key whose possession was shown. undefined: nothing speaks of this key.
   * Throws PeerError (AttestationErrorCode) for what is forged, replayed or about another key.
   */
  judge(asked: {
    readonly holder: string
    readonly spki: Uint8Array
    /** The AttestationBundle of the request, DER. */
    readonly attestation: Uint8Array | undefined
  }): Promise<KeyAttestation | undefined>
}

/** What the house adds to the codes of core/attestation. */
export type AttestationDoorErrorCode = 'ERR_ATTESTATION_RATE' | 'ERR_ATTESTATION_STATEMENTS'

/**
 * What a certificate is reserved for. The serial and EUI-64 of a new device are fixed by the
 * reservation.
 */
export interface ReservationRequest {
  readonly profile: ProfileName
  readonly ca: string
  readonly spki: Uint8Array
  readonly notBefore: Milliseconds
  readonly notAfter: Milliseconds
  readonly request: string
  readonly actor: string
  /** What is known of the key beyond its possession. */
  readonly attestation?: KeyAttestation | undefined
  /** As in `KeyRow`; absent, 4. The attestation is within it already. */
  readonly assuranceMax?: Assurance | undefined
  readonly target: /** A new device: serial by the CSR; EUI-64 by the CSR or taken from the product's block. */
    | {
        readonly kind: 'newDevice'
        readonly product: string
        readonly serial: string
        readonly eui64: string | undefined
        readonly origin: KeyOrigin
        readonly assurance: Assurance
        /** Hash of the token that pays for it. */
        readonly tokenHash: string | undefined
        readonly element?: ElementPlace
      }
    | {
        readonly kind: 'device'
        readonly id: string
        readonly origin: KeyOrigin
        readonly element?: ElementPlace
      }
    | { readonly kind: 'application'; readonly id: string }
    | { readonly kind: 'house'; readonly name: string }
}

export interface Reservation {
  /** Certificate serial number, hex. */
  readonly serial: string
  readonly device: DeviceRow | null
  /** The same request was answered before: this is that certificate, nothing needs signing. */
  readonly issued: CertificateRow | null
}

// --- Log lines for the operator (not the audit log) ----------------------------------------------

export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>

/** Identifiers and public values only. */
export interface Log {
  debug(fields: LogFields, message: string): void
  info(fields: LogFields, message: string): void
  warn(fields: LogFields, message: string): void
  error(fields: LogFields, message: string): void
}

/**
 * An attempt that was turned away. The peer learned the minimum; this is what the operator reads.
 */
export interface Refusal {
  readonly road: Road
  readonly address: string
  /** Of a device that is not known yet, from a request whose token was good. */
  readonly serial?: string
  readonly fingerprint?: string
  /**
   * The peer has named this certificate, or sent it, and has not shown its key: anybody can have. It is
   * told in nobody's name.
   */
  readonly isNamedOnly?: boolean
  readonly device?: string
  readonly code: string
  readonly message: string
  /** Link and field. */
  readonly where?: string
  readonly hint?: string
}

/** The registry as the front end's doors see it. */
export interface Gatekeeper {
  /** `suite`: of EDHOC, on coap. Throws PeerError<RegistryErrorCode>. */
  admit(peer: VerifiedPeer, road: Road, suite?: number): Promise<Admitted>
  /** An application's certificate, of role operator. Throws PeerError<RegistryErrorCode>. */
  admitApplication(peer: VerifiedPeer): Promise<AdmittedApplication>
  /** Whether this id is some device's. */
  isDevice(id: string): Promise<boolean>
  /** Never throws: bounded, and what is dropped is counted. */
  refused(refusal: Refusal): void
}

/** The registry as a door sees it whose sessions sleep for months. */
export interface LodgingGatekeeper extends Gatekeeper {
  /**
   * As `admit`, of a device that was let in before and says nothing now: nothing is accepted by it, and
   * the device was not seen. Throws PeerError<RegistryErrorCode>.
   */
  mayStay(peer: VerifiedPeer, road: Road, suite?: number): Promise<Admitted>
}

/** What a device said of a command. */
export interface CommandAnswer {
  /** `refused`: the device will not do it; the body says why. */
  readonly state: 'answered' | 'refused'
  /** Media type of the body. */
  readonly contentType: string
  readonly body: Uint8Array
}

/** Commands as the front end's doors see them. Nothing here throws for what a peer sends. */
export interface DeviceCommands {
  /** What waits for a device, oldest first; what has expired is not among it. */
  waiting(device: string, limit: number): Promise<readonly CommandRow[]>
  /**
   * The device has it: QoS 1 PUBACK, CoAP 2.xx, or an empty answer over https. Says whether there
   * is such a command of this device; one that has ended stays as it is.
   */
  delivered(device: string, id: string): Promise<boolean>
  /** False: this device has no such command, or it has ended already. */
  answered(device: string, id: string, answer: CommandAnswer): Promise<boolean>
}

/** EST (RFC 7030) as a function: the https door carries it, the authority answers it. */
export interface EstRequest {
  readonly method: string
  /** The operation: what follows `/.well-known/est/`. */
  readonly operation: string
  readonly contentType: string | undefined
  readonly body: Uint8Array
  /** Value of the Authorization header. */
  readonly authorization: string | undefined
  readonly peer: VerifiedPeer | undefined
  readonly peerAddress: string
}

export interface EstResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array | string
}

export type EstService = (request: EstRequest) => Promise<EstResponse>

/** One way in which the server shows itself in EDHOC: the half of an X.509 identity that a method asks for. */
export interface EdhocServerCredential {
  readonly kind: Authentication
  /**
   * One byte, which travels as an integer (RFC 9528 §3.5.3.2): 00..17 or 20..37. No two that have
   * not ended share one.
   */
  readonly kid: Uint8Array
  readonly der: Uint8Array
  /** DER of the CA that issued it: what the anchor of devices is the key of. */
  readonly issuer: Uint8Array
  /** SHA-256 of `der`, hex. */
  readonly fingerprint: string
  readonly notAfter: Milliseconds
  /** Of 'signature': ECDSA P-256 with SHA-256, r || s. */
  readonly signer?: Signer
  /** Of 'static key': the secret with an uncompressed point of 65 bytes. Throws PeerError ERR_KEY_SHARE. */
  readonly agree?: (peerShare: Uint8Array) => Promise<SecretKey>
}

/** What the server shows now in EDHOC, and what it tells devices of. */
export interface EdhocCredentials {
  /** Asked for each handshake: it changes while the server runs. */
  current(kind: Authentication): EdhocServerCredential
  /**
   * The one that follows, where one is due: devices are told of it. It becomes current when all live
   * contexts have confirmed it (`promote`), or when the current one is near its end.
   */
  next(kind: Authentication): EdhocServerCredential | undefined
  /**
   * Every live context has confirmed the next one. `fingerprint` says which: whoever counted another
   * one changes nothing, and false is the answer.
   */
  promote(kind: Authentication, fingerprint: string): Promise<boolean>
}

/** What a reader of the events door asks for: the console parses it, the outbox answers it. */
export interface EventsQuery {
  /** Whose streams are counted and closed together: an application, or a session of the page. */
  readonly application: string
  /** Whether the cursor is this reader's to move: a webhook moves it itself. */
  readonly movesCursor: boolean
  readonly lastEventId: number | undefined
  readonly type: string | undefined
  /** Device id. */
  readonly device: string | undefined
  /**
   * Lines (`event:`, `data:`) that this reader is shown of a message, undefined for none; without
   * it, the whole CloudEvent.
   */
  readonly shape?: (message: MessageRow) => string | undefined
  /**
   * A reader that wants the present and not the past: further behind than this it is told
   * `event: reset` and goes on from the newest message.
   */
  readonly behindMax?: number
}

/** The message log as an application reads it over a road that is not the application room's own. */
export interface ApplicationFeed {
  /** Number of the newest message. */
  head(): number
  /** Messages after this one, oldest first. */
  after(position: number, limit: number): Promise<readonly MessageRow[]>
  /** This application has had everything up to here. */
  advanced(application: string, position: number): void
}

/** Seals small secrets of the house under the folder's key; the name is bound into the seal. */
export interface Sealer {
  seal(name: string, secret: Uint8Array): Uint8Array
  open(name: string, sealed: Uint8Array): Uint8Array
}
