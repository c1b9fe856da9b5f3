/**
 * The records of the house: one row type a table. Ids and digests are lower-case hex; text has no
 * U+0000, since not every database can hold it.
 */
import type { RevocationReason, Role } from '@countersign/core/credential'
import type { Authentication } from '@countersign/core/edhoc'
import type { Milliseconds } from '@countersign/core/ports'

export type DeviceState =
  | 'manufactured'
  | 'personalized'
  | 'enrolled'
  | 'active'
  | 'suspended'
  | 'revoked'
  | 'retired'

/** 0 software, 1 isolated, 2 tpm-attested, 3 se-attested, 4 se-certified. */
export type Assurance = 0 | 1 | 2 | 3 | 4

export type Road = 'mqtts' | 'https' | 'coap' | 'lorawan' | 'ble' | 'zigbee' | 'serial'

export interface DeviceRow {
  /** `urn:dev:mac:<eui64>` (RFC 9039). */
  readonly id: string
  readonly eui64: string
  readonly serial: string
  readonly product: string
  readonly owner: string
  readonly state: DeviceState
  readonly assurance: Assurance
  readonly road: Road | null
  readonly firstSeen: Milliseconds | null
  readonly lastSeen: Milliseconds | null
  /** The operator's or the system's reason for the present state. */
  readonly reason: string | null
  /** What `resume` goes back to; null unless suspended. */
  readonly resumeState: DeviceState | null
  readonly createdAt: Milliseconds
  /** Counts every write of this row: what optimistic conditions compare. */
  readonly version: number
  /** Of the key that `assurance` is of: see `KeyRow`. */
  readonly voucher: string | null
}

export type KeyOrigin = 'element' | 'tpm' | 'token' | 'software' | 'imported'

export interface KeyRow {
  /** SHA-256 of the SubjectPublicKeyInfo. */
  readonly spkiHash: string
  readonly spki: Uint8Array
  /** Device id, `application:<id>`, or `house:<profile>`. */
  readonly holder: string
  readonly elementKind: string | null
  readonly elementSerial: string | null
  readonly slot: number | null
  readonly origin: KeyOrigin
  /** What the element or its maker said of this key, as it came. */
  readonly evidence: Uint8Array | null
  /** JSON: what the verifier made of it. */
  readonly verdict: string | null
  readonly createdAt: Milliseconds
  /** What it was judged; it is worth that as long as its voucher gives as much. */
  readonly assurance: Assurance
  /** Of the evidence: `atecc608-internal-sign`, `trust-platform-manifest`, or an OID. */
  readonly evidenceFormat: string | null
  /** Name and version of the rules that judged. */
  readonly verifier: string | null
  readonly judgedAt: Milliseconds | null
  /**
   * Whose word the level is: `attestation:<fingerprint>` or `manifest:<fingerprint>` of an anchor; null
   * for nobody, or the house itself.
   */
  readonly voucher: string | null
  /**
   * The most that it can be judged: what the anchor of its device's maker gave when that certificate
   * enrolled it, and what renewals take over; 4 when no foreign maker did.
   */
  readonly assuranceMax: Assurance
}

export type CertificateStatus =
  | 'reserved'
  | 'issued'
  | 'confirmed'
  | 'superseded'
  | 'revoked'
  | 'void'

export type ProfileName =
  | 'idevid'
  | 'ldevid'
  | 'server'
  /** How the server shows itself in EDHOC, by a signature or by a static key. */
  | 'server-edhoc-sign'
  | 'server-edhoc-dh'
  | 'operator'
  | 'application'
  | 'ca'

/** A secure element: one passport, one device. */
export interface ElementRow {
  /** Its serial number; of a claim below level 3, with `@` and the voucher behind it. */
  readonly claim: string
  readonly kind: string
  readonly device: string
  readonly createdAt: Milliseconds
  /** As in `KeyRow`: by whose word it is claimed. */
  readonly voucher: string | null
}

export interface CertificateRow {
  /** Serial number, lower-case hex of the INTEGER's content octets: unique in the whole house. */
  readonly serial: string
  /** Common name of the issuing CA's record: see `ca` rows. */
  readonly ca: string
  /** SHA-256 of the DER; null while reserved. */
  readonly fingerprint: string | null
  /** First eight bytes of the fingerprint; null while reserved. */
  readonly x5t: string | null
  readonly profile: ProfileName
  readonly device: string | null
  readonly application: string | null
  readonly spkiHash: string
  readonly der: Uint8Array | null
  readonly status: CertificateStatus
  readonly notBefore: Milliseconds
  readonly notAfter: Milliseconds
  readonly revokedAt: Milliseconds | null
  readonly reason: RevocationReason | null
  /** A superseded certificate is still accepted until then; null unless superseded. */
  readonly overlapUntil: Milliseconds | null
  /** A reservation without a certificate by then becomes void. */
  readonly reservedUntil: Milliseconds
  /** What asked for it: `token:<id>`, `renew:<serial>`, `maker:<fingerprint>`, `operator`. */
  readonly request: string
  readonly createdAt: Milliseconds
}

export interface CaRow {
  /** `root`, `maker`, `owner`, `server`, `operator`. */
  readonly name: string
  readonly role: Role | 'root'
  readonly der: Uint8Array
  readonly fingerprint: string
  readonly status: 'active' | 'retired'
  /** File of the encrypted key in `keys/`; `token:` and a label for one in the house's token. */
  readonly keyFile: string
  readonly crlNumber: number
  readonly createdAt: Milliseconds
}

/** Those of the profile, the one with the longer tags and MACs last. */
export type EdhocSuite = 2 | 3

export interface ProductRow {
  readonly name: string
  /** What a road accepts: the maker's certificate, the owner's, or either. */
  readonly credential: 'factory' | 'owner' | 'either'
  /** JSON array of roads. */
  readonly roads: string
  readonly assuranceMin: Assurance
  /** The least suite of EDHOC that is let in on coap. */
  readonly edhocSuiteMin: EdhocSuite
  /** Days of an LDevID. */
  readonly validityDays: number
  /** Days before notAfter from which `simplereenroll` is welcome. */
  readonly renewalDays: number
  /** Days for which a superseded certificate is still accepted. */
  readonly overlapDays: number
  /**
   * Anchored pattern of serials: letters stand for themselves, `*` for any run, `?` for one
   * character.
   */
  readonly serialPattern: string
  /** First and last EUI-64 of the block; the next free one. */
  readonly euiFirst: string
  readonly euiLast: string
  readonly euiNext: string
  readonly messagesPerMinute: number
  readonly createdAt: Milliseconds
  readonly version: number
}

export interface TokenRow {
  /** First 16 hex digits of the hash: what logs and listings call it. */
  readonly id: string
  /** SHA-256 of the token. The token itself is stored nowhere. */
  readonly hash: string
  readonly product: string
  readonly serial: string | null
  readonly count: number
  readonly used: number
  readonly expiresAt: Milliseconds
  readonly createdAt: Milliseconds
}

/**
 * `attestation`: under whose root elements speak of their keys; `manifest`: who signs what a maker says
 * of its elements. Neither is a role of peers: no chain of TLS ends in one.
 */
export type ElementAnchorRole = 'attestation' | 'manifest'
export type AnchorRole = Role | ElementAnchorRole

export interface AnchorRow {
  /** SHA-256 of the certificate. */
  readonly fingerprint: string
  readonly role: AnchorRole
  readonly der: Uint8Array
  /** Our own issuing CA, or a foreign maker's. */
  readonly origin: 'house' | 'foreign'
  readonly product: string | null
  readonly serialPattern: string | null
  readonly notAfter: Milliseconds | null
  readonly assuranceCap: Assurance
  readonly createdAt: Milliseconds
}

/** The only anchors that a judge of peers is given. */
export interface PeerAnchorRow extends AnchorRow {
  readonly role: Role
}

/** What a maker says of one element: an imported manifest. */
export interface ManifestRow {
  /** Of the element, lower-case hex. */
  readonly serial: string
  /** SHA-256 of the payload. */
  readonly digest: string
  /** SHA-256 of the certificate of who signed; it counts as long as that is an anchor. */
  readonly signer: string
  readonly partNumber: string
  /** 1: signed by an emulator's works. */
  readonly isEmulated: number
  /** The JWS as it was written. */
  readonly jws: string
  readonly createdAt: Milliseconds
}

/** One key of such an element. */
export interface ManifestKeyRow {
  /** SHA-256 of the SubjectPublicKeyInfo. */
  readonly spkiHash: string
  readonly serial: string
  readonly slot: number
  /** X || Y. */
  readonly point: Uint8Array
}

export interface ApplicationRow {
  readonly id: string
  readonly name: string
  /** SHA-256 of the bearer token. */
  readonly tokenHash: string
  /** Sealed by the folder's secret key: signs webhooks. */
  readonly secret: Uint8Array
  readonly webhook: string | null
  /**
   * `paused`: the receiver answered 410, or the operator said so; nothing is sent until it is
   * resumed.
   */
  readonly webhookState: 'active' | 'paused'
  /** Everything up to this message has been delivered or dead-lettered. */
  readonly cursor: number
  readonly createdAt: Milliseconds
  readonly version: number
}

/** One CloudEvent on its way to the applications. Numbered by the store. */
export interface MessageRow {
  readonly seq: number
  /** CloudEvents id: unique together with the source. */
  readonly id: string
  readonly source: string
  readonly type: string
  readonly time: Milliseconds
  /** The whole CloudEvent as JSON. */
  readonly body: string
}

export interface DeadLetterRow {
  /** `<application>/<seq>`. */
  readonly id: string
  readonly application: string
  readonly seq: number
  readonly body: string
  readonly attempts: number
  readonly lastError: string
  readonly createdAt: Milliseconds
}

export interface SettingRow {
  readonly name: string
  readonly value: string
}

/**
 * One entry of the audit log. Chained by the store: hash = SHA-256(previous hash || canonical JSON
 * of the rest).
 */
export interface EventRow {
  readonly seq: number
  readonly time: Milliseconds
  readonly type: string
  /** Device id, certificate serial, product, application … */
  readonly subject: string
  /** Who did it: `operator`, `device`, `system`, `token:<id>`. */
  readonly actor: string
  /** JSON object of public values. */
  readonly data: string
  readonly previous: string
  readonly hash: string
}

/** `queued` waits for the device; `delivered`: it has it; the others are the end. */
export type CommandState = 'queued' | 'delivered' | 'answered' | 'expired' | 'refused'

/** What an operator or an application wants of a device. */
export interface CommandRow {
  /** 12 digits of the time (milliseconds), 20 drawn: the order of ids is the order of commands. */
  readonly id: string
  /** Device id. */
  readonly device: string
  /** The device's id while it is queued, then null: what the index of waiting commands is made of. */
  readonly waiting: string | null
  readonly name: string
  /** JSON. */
  readonly data: string
  readonly expiresAt: Milliseconds
  readonly state: CommandState
  /** Why it was refused or dropped. */
  readonly reason: string | null
  /** The device's answer as it sent it, and its media type. */
  readonly result: Uint8Array | null
  readonly resultType: string | null
  /** `operator`, `application:<id>`. */
  readonly actor: string
  readonly createdAt: Milliseconds
  readonly deliveredAt: Milliseconds | null
  /** Answered, expired or refused. */
  readonly endedAt: Milliseconds | null
}

/** An MQTT session that outlives its connection (MQTT 5 §4.1). */
export interface MqttSessionRow {
  /** `<holder> <client id>`. */
  readonly id: string
  /** Id of a device or of an application. */
  readonly holder: string
  readonly clientId: string
  /** JSON array of [filter, QoS]. */
  readonly subscriptions: string
  /** JSON array: packet identifiers of QoS 2 that were received and not yet released. */
  readonly received: string
  /** Of an application: everything up to this message has been acknowledged. */
  readonly position: number
  readonly expiryMs: Milliseconds
  /** When the connection ended; null while there is one. */
  readonly leftAt: Milliseconds | null
  readonly createdAt: Milliseconds
}

/**
 * A security context with a device (RFC 8613), made by a handshake (RFC 9528): what of it must outlive
 * the process. It is in no backup: its numbers would be used a second time.
 */
export interface CoapContextRow {
  /** C_R, what the device calls it: hex, unique in the house. */
  readonly id: string
  readonly device: string
  /** Of the certificate that the device has shown. */
  readonly fingerprint: string
  /** Its parameters with their secrets, sealed. */
  readonly context: Uint8Array
  /** Sequence numbers of the server below it may have been used. */
  readonly reserved: number
  /** The replay window: the highest number of the device that was accepted, -1 for none. */
  readonly highest: number
  /** The same: bit n for the number n below it. */
  readonly accepted: number
  /** The life of the process that wrote the window: see `coapLives`. */
  readonly life: number
  /** Messages that were protected, and that did not verify, as of the newest write. */
  readonly sealed: number
  readonly failed: number
  /** Where the newest message of the device came from. */
  readonly peerAddress: string
  readonly createdAt: Milliseconds
  /** The place of its handshake among all of this server: see `coapLives`. */
  readonly begun: number
  /** The earliest end of its chain. */
  readonly notAfter: Milliseconds
  /** Which of its certificates the server has shown in the handshake. */
  readonly serverKind: Authentication
  /** Number of the suite of EDHOC that its keys came from. */
  readonly suite: number
  /** The newest successor of that certificate which the device has said it has: SHA-256, hex. */
  readonly confirmed: string | null
  /** `tombstone`: its device may not come in any more, and is told so when it comes. */
  readonly state: 'live' | 'tombstone'
  /** Code of the refusal that ended it. */
  readonly reason: string | null
  readonly endedAt: Milliseconds | null
}

export interface Tables {
  device: DeviceRow
  key: KeyRow
  element: ElementRow
  certificate: CertificateRow
  ca: CaRow
  product: ProductRow
  token: TokenRow
  anchor: AnchorRow
  manifest: ManifestRow
  manifestKey: ManifestKeyRow
  application: ApplicationRow
  message: MessageRow
  deadLetter: DeadLetterRow
  command: CommandRow
  mqttSession: MqttSessionRow
  coapContext: CoapContextRow
  setting: SettingRow
  event: EventRow
}
export type TableName = keyof Tables
/** Tables that a Change writes by row; messages and events are appended, never written. */
export type RowTable = Exclude<TableName, 'message' | 'event'>
