/**
 * What an operator can do about each reason for which a device is turned away. One sentence each;
 * `why` and the hints of errors say it.
 */
import type { AttestationErrorCode } from '@countersign/core/attestation'
import type { ChainErrorCode } from '@countersign/core/credential'
import type { AttestationDoorErrorCode, RegistryErrorCode, RoadErrorCode } from '../ports.ts'

type Code =
  | RegistryErrorCode
  | RoadErrorCode
  | ChainErrorCode
  | AttestationErrorCode
  | AttestationDoorErrorCode

const remedies: Readonly<Record<Code, string>> = {
  ERR_DEVICE_UNKNOWN: 'Enrol the device: "countersign identity invite" makes a token for it.',
  ERR_DEVICE_SUSPENDED:
    'Let it in again with "countersign identity resume", if the reason is gone.',
  ERR_DEVICE_REVOKED:
    'Revocation is final: a repaired device enrols as a new one, with a new key, and with a new serial number or in another product.',
  ERR_DEVICE_RETIRED:
    'Retirement is final: a device that comes back enrols as a new one, with a new key, and with a new serial number or in another product.',
  ERR_DEVICE_STATE: 'Finish its enrolment first, or ask "countersign identity why".',
  ERR_DEVICE_EXISTS:
    'Renew the certificate of the device that exists instead of enrolling it again.',
  ERR_CERT_UNKNOWN:
    'It was issued after the backup this folder comes from, or by another house: enrol the device again.',
  ERR_CERT_REVOKED:
    'It never comes back: the device enrols again with its factory certificate, or as a new one, with a new key and a new serial number.',
  ERR_CERT_SUPERSEDED:
    'The device has a newer certificate: it must use that one, or enrol again with its factory certificate.',
  ERR_APPLICATION_GONE:
    'The application was removed: add it again with "countersign application add".',
  ERR_CA_ACTIVE: 'Let another one take over first with "countersign ca rollover".',
  ERR_KEY_USED: 'Make a new key pair: one key belongs to one device.',
  ERR_ELEMENT_USED:
    'This secure element belongs to another device, also after that one was retired: use another element.',
  ERR_RESERVATION_VOID:
    'Too much time passed between request and signature: send the request again.',
  ERR_EUI64_USED:
    'Leave the EUI-64 out to get a free one: an address is never given again, also after its device was retired.',
  ERR_EUI64_INVALID: 'Give 16 hexadecimal digits of an individual address, not a group address.',
  ERR_EUI64_EXHAUSTED: 'Give the product a new block with "countersign product set".',
  ERR_EUI64_OUTSIDE_BLOCK: "Leave the EUI-64 out, or extend the product's block.",
  ERR_SERIAL_USED:
    'Use the serial number printed on the device: one that a device has had in this product is never given again, also after it was retired.',
  ERR_SERIAL_PATTERN:
    'Correct the serial number, or the pattern of the product with "countersign product set".',
  ERR_TOKEN_UNKNOWN: 'Check that the whole token was given, and to the server that made it.',
  ERR_TOKEN_EXPIRED: 'Make a new one with "countersign identity invite".',
  ERR_TOKEN_SPENT: 'Every enrolment this token pays for is used: make a new one.',
  ERR_TOKEN_PRODUCT: 'Use a token that was made for this product.',
  ERR_TOKEN_SERIAL: 'Use the token that was made for this serial number.',
  ERR_PRODUCT_UNKNOWN: 'See "countersign product list".',
  ERR_PRODUCT_EXISTS: 'Change it with "countersign product set".',
  ERR_ROAD_NOT_ALLOWED: 'Let the product use this road with "countersign product set".',
  ERR_CREDENTIAL_NOT_ALLOWED:
    'Enrol the device for the kind of certificate its product asks for, or change the product.',
  ERR_SUITE_NOT_ALLOWED:
    'Have the device offer suite 3 of EDHOC alone ("countersign device run --road coap --edhoc-suite 3"), or take suite 2 with "countersign product set --edhoc-suite-min 2".',
  ERR_ASSURANCE_TOO_LOW:
    'Look at the reasons below "keys". Where the root became known only after the key was judged: lower the demand, have the device renew, raise it again. Otherwise another element, or a lower demand.',
  ERR_ATTESTATION_MALFORMED: 'The device sends evidence in another form: update it.',
  ERR_ATTESTATION_NONCE:
    'Let the device ask for a nonce each time, and use it within ten minutes; if it did, somebody replays its evidence.',
  ERR_ATTESTATION_KEY:
    'The evidence is about another key than the device asks with: examine the device.',
  ERR_ATTESTATION_STATEMENT:
    'The element signed something else than a statement about this key: examine the device.',
  ERR_ATTESTATION_CONFIG:
    'Use a slot that is configured for a private key of P-256, secret and without PrivWrite.',
  ERR_ATTESTATION_SIGNATURE: 'The evidence was changed or is a forgery: examine the device.',
  ERR_ATTESTATION_CHAIN:
    'Give the device the certificate of its element\'s attestation key, and see "countersign ca anchor list --role attestation".',
  ERR_ATTESTATION_RATE: 'The device asks for nonces and does not use them: find out why.',
  ERR_ATTESTATION_STATEMENTS: 'Let the device send one attestation statement.',
  ERR_CERT_MALFORMED: 'The device must send the certificate exactly as it was issued.',
  ERR_CERT_EXPIRED:
    'The device enrols again with its factory certificate, or as a new one, with a new key and a new serial number; let it renew before its certificate ends.',
  ERR_CERT_NOT_YET_VALID: 'Check the clock of this server.',
  ERR_CHAIN_EXPIRED: 'Renew the certificate that is named; check the clock of this server.',
  ERR_CHAIN_UNKNOWN_ISSUER:
    'Enrol the device here, or add its maker with "countersign ca anchor add".',
  ERR_CHAIN_SIGNATURE: 'The certificate was changed or is a forgery: examine the device.',
  ERR_CHAIN_ALGORITHM: 'Issue certificates with ECDSA P-256, P-384 or Ed25519.',
  ERR_CHAIN_NOT_A_CA: 'A leaf was used as a CA: examine the device.',
  ERR_CHAIN_PATH_LENGTH: 'The issuing CA may have no CA below it: correct the hierarchy.',
  ERR_CHAIN_KEY_USAGE: 'Issue the certificate that is named with the key usage it needs.',
  ERR_CHAIN_PURPOSE: 'Give the device a certificate made for clients.',
  ERR_CHAIN_ROLE: 'The certificate comes from the CA of another role: enrol the device.',
  ERR_CHAIN_SCOPE: "Widen the scope of the maker's anchor, or examine the device.",
  ERR_CHAIN_NAME: 'The certificate names somebody else.',
  ERR_CHAIN_NAME_CONSTRAINTS: 'The CA may not issue for this name: correct the hierarchy.',
  ERR_CHAIN_CRITICAL_EXTENSION: 'Issue certificates without the extension that is named.',
  ERR_CHAIN_POLICY: 'Correct the policies in the chain that is named.',
  ERR_CHAIN_LIMIT: 'The chain is longer or larger than any honest one: examine the device.',
  ERR_CERT_MISSING: 'Let the client show its certificate: with mosquitto, --cert and --key.',
  ERR_TOPIC: 'Let the device use topics of letters, digits, "_", ".", "~" and "-" between slashes.',
  ERR_TOPIC_FOREIGN:
    'A device may use devices/<its EUI-64>/… only: correct its topics, or examine the device.',
  ERR_CLIENT_ID: 'Give the client an id of at most 128 bytes, or a clean session.',
  ERR_CLIENT_ID_FOREIGN:
    'The client calls itself by the name of another device: correct it, or examine the device.',
  ERR_MESSAGE_TYPE: 'Let the device name the type that its messages have.',
  ERR_MESSAGE_JSON: 'Let the device send JSON, or name another type.',
  ERR_MESSAGE_NUMBER: 'Let the device number its messages in decimal, at most 16 digits.',
  ERR_MESSAGE_SIZE: 'Let the device send less at once.',
  ERR_MESSAGE_RATE:
    'Let the device send less often, or allow more with "countersign product set --messages-per-minute".',
  ERR_REQUEST_RATE:
    'See what the device asks for again and again: it hears nothing until it asks less often.',
  ERR_MQTT_MALFORMED: 'The client does not speak MQTT as the standard says: update or examine it.',
  ERR_MQTT_PROTOCOL: 'The client does not speak MQTT as the standard says: update or examine it.',
  ERR_MQTT_VERSION: 'Let the client speak MQTT 3.1.1 or 5.',
  ERR_MQTT_TOO_LARGE: 'Let the client send packets of at most 72 KiB.',
  ERR_MQTT_ALIAS: 'Let the client use no topic alias: CONNACK says that none is taken.',
  ERR_MQTT_IDENTIFIERS:
    'Let the client use no subscription identifiers: CONNACK says that none are taken.',
  ERR_MQTT_UNRELEASED: 'Let the client answer each PUBREC with PUBREL: update or examine it.',
  ERR_MQTT_AUTH: 'Let the client name no authentication method: its certificate says who it is.',
  ERR_MQTT_RETAIN:
    'Let the client leave its will without the retain flag: nothing is retained here.',
  ERR_CREDENTIAL_UNKNOWN:
    'No certificate here has the thumbprint that it names: a device of this house sends it whole next; another one has to be enrolled.',
  ERR_CREDENTIAL_CONTRADICTORY: 'It names one certificate and sends another: examine the device.',
  ERR_EDHOC_PROOF:
    'Whoever it was has not the key of the certificate that it named: if it was the device, compare its certificate and its key.',
  ERR_EDHOC_CREDENTIAL:
    'Give the device a certificate whose key is for what its method of EDHOC does: sign, or agree.',
  ERR_EDHOC_EAD: 'Let the device send no critical authorization data: none is known here.',
  ERR_COAP_OPTION: 'The device does not speak CoAP as the standard says: update or examine it.',
  ERR_COAP_QUERY: 'Let the device send ?n=<number> and ?t, each once, and nothing else.',
  ERR_CONTEXT_ENDED: 'Nothing is to be done: the device makes a new security context.',
  ERR_CRL_UNUSABLE: 'Fetch the CRL of the CA that is named again.',
  ERR_CRL_STALE: 'Fetch the CRL of the CA that is named again.',
  ERR_OCSP_UNUSABLE: 'Let the peer staple an OCSP response of the CA that issued its certificate.',
  ERR_OCSP_STALE: 'Let the peer staple a current OCSP response; check the clock of this server.',
  ERR_OCSP_MISSING: 'Its certificate promises an OCSP response: let the peer staple it.',
}

const known: ReadonlyMap<string, string> = new Map(Object.entries(remedies))

export function remedyOf(code: string): string {
  return known.get(code) ?? 'Ask "countersign identity why" and read the log of the server.'
}
