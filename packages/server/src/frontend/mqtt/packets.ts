/**
 * MQTT control packets as typed values: versions 3.1.1 (protocol level 4) and 5. What `parse.ts`
 * has made of the bytes is right: strings are UTF-8 without U+0000, flags and reason codes are ones
 * that the packet may have, properties stand where they may and as often as they may.
 */

/** Protocol level: 4 is MQTT 3.1.1. */
export type MqttVersion = 4 | 5
export type QoS = 0 | 1 | 2

/** MQTT 5 §2.1.2, and 3.1.1 §2.2.1; only what a client may send is parsed. */
export const packetType = {
  connect: 1,
  connack: 2,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  subscribe: 8,
  suback: 9,
  unsubscribe: 10,
  unsuback: 11,
  pingreq: 12,
  pingresp: 13,
  disconnect: 14,
  auth: 15,
} as const

/** Reason codes (MQTT 5 §2.4) that this server says or looks for. */
export const reason = {
  success: 0x00,
  grantedQos1: 0x01,
  grantedQos2: 0x02,
  disconnectWithWill: 0x04,
  noSubscriptionExisted: 0x11,
  unspecified: 0x80,
  malformed: 0x81,
  protocolError: 0x82,
  notSupportedVersion: 0x84,
  clientIdNotValid: 0x85,
  notAuthorized: 0x87,
  serverUnavailable: 0x88,
  serverBusy: 0x89,
  serverShuttingDown: 0x8b,
  badAuthMethod: 0x8c,
  keepAliveTimeout: 0x8d,
  sessionTakenOver: 0x8e,
  topicFilterInvalid: 0x8f,
  topicNameInvalid: 0x90,
  packetIdentifierNotFound: 0x92,
  receiveMaximumExceeded: 0x93,
  topicAliasInvalid: 0x94,
  packetTooLarge: 0x95,
  quotaExceeded: 0x97,
  administrativeAction: 0x98,
  payloadFormatInvalid: 0x99,
  retainNotSupported: 0x9a,
  sharedNotSupported: 0x9e,
  subscriptionIdentifiersNotSupported: 0xa1,
} as const

export type UserProperty = readonly [name: string, value: string]

/** Properties of MQTT 5 (§2.2.2) that a client may send, by their names. Absent under 3.1.1. */
export interface Properties {
  readonly payloadFormat?: 0 | 1
  /** Seconds. */
  readonly messageExpiry?: number
  readonly contentType?: string
  readonly responseTopic?: string
  readonly correlationData?: Uint8Array
  readonly subscriptionIdentifier?: number
  /** Seconds; 0xffffffff: never. */
  readonly sessionExpiry?: number
  readonly willDelay?: number
  readonly requestProblemInformation?: 0 | 1
  readonly requestResponseInformation?: 0 | 1
  readonly authenticationMethod?: string
  readonly authenticationData?: Uint8Array
  readonly receiveMaximum?: number
  readonly topicAliasMaximum?: number
  readonly topicAlias?: number
  readonly maximumPacketSize?: number
  readonly reasonString?: string
  readonly serverReference?: string
  readonly user?: readonly UserProperty[]
}

export interface Will {
  readonly topic: string
  readonly payload: Buffer
  readonly qos: QoS
  readonly retain: boolean
  readonly properties: Properties
}

export interface ConnectPacket {
  readonly type: 'connect'
  readonly version: MqttVersion
  /** Clean Session (3.1.1) or Clean Start (5). */
  readonly clean: boolean
  /** Seconds; 0: none. */
  readonly keepAlive: number
  /** May be empty: the server gives one. */
  readonly clientId: string
  readonly will: Will | undefined
  /** Identity comes from the certificate: whether there were any is all that is kept of them. */
  readonly hasUserName: boolean
  readonly hasPassword: boolean
  readonly properties: Properties
}

export interface PublishPacket {
  readonly type: 'publish'
  readonly topic: string
  /** A view of the bytes that were read. */
  readonly payload: Buffer
  readonly qos: QoS
  readonly retain: boolean
  readonly dup: boolean
  /** 1 to 65535; 0 for QoS 0. */
  readonly packetId: number
  readonly properties: Properties
}

export interface AckPacket {
  readonly type: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp'
  readonly packetId: number
  /** 0 under 3.1.1. */
  readonly reason: number
}

export interface Subscription {
  readonly filter: string
  readonly qos: QoS
}

export interface SubscribePacket {
  readonly type: 'subscribe'
  readonly packetId: number
  /** At least one. */
  readonly subscriptions: readonly Subscription[]
  readonly properties: Properties
}

export interface UnsubscribePacket {
  readonly type: 'unsubscribe'
  readonly packetId: number
  /** At least one. */
  readonly filters: readonly string[]
}

export interface DisconnectPacket {
  readonly type: 'disconnect'
  /** 0 under 3.1.1. */
  readonly reason: number
  readonly properties: Properties
}

export type ClientPacket =
  | ConnectPacket
  | PublishPacket
  | AckPacket
  | SubscribePacket
  | UnsubscribePacket
  | { readonly type: 'pingreq' }
  | DisconnectPacket
  | { readonly type: 'auth' }

/** One whole packet as it was read: the fixed header is off. */
export interface Frame {
  /** `packetType`. */
  readonly type: number
  /** Lower four bits of the first byte. */
  readonly flags: number
  readonly body: Buffer
}

export type MqttErrorCode =
  /** The bytes are no packet: MQTT 5 §4.13.1. */
  | 'ERR_MQTT_MALFORMED'
  /** A packet that may not come here, or not now. */
  | 'ERR_MQTT_PROTOCOL'
  | 'ERR_MQTT_VERSION'
  | 'ERR_MQTT_TOO_LARGE'
  /** What CONNACK says that this server does not do. */
  | 'ERR_MQTT_ALIAS'
  | 'ERR_MQTT_IDENTIFIERS'
