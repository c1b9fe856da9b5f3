/**
 * What of a security context is written down (RFC 8613 §7.5, Appendix B.1): what it was derived
 * from, and the state that changes. Keys are in it: whoever writes a record seals it, leaves it out
 * of backups, and never brings an old one back, for numbers would be used again. A MAC under the
 * Master Secret tells a record that was changed or cut from one that was written here; it does not
 * tell an old one from the last.
 *
 * The state alone is small and has no secrets: a server may keep it beside a record that it wrote
 * once.
 *
 * @example fs.write(encodeContext(crypto, { ...keys, state: stateOf(context, context.sender.sequence.boundAfter(64)) }))
 */
import { CborReader, cbor, concat, equalSecretBytes, utf8 } from '../codec/index.ts'
import { noBytes } from '../cose/index.ts'
import type { HashName, SecretKey } from '../ports.ts'
import {
  type ContextParameters,
  idContextBytesMax,
  type OscoreCrypto,
  type SecurityContext,
} from './context.ts'
import { sequenceNumberMax } from './partialIv.ts'
import { isSnapshot, type WindowState } from './replayWindow.ts'
import type { UsageSnapshot } from './usage.ts'

/** What of a context changes while it lives. */
export interface ContextState {
  /** The bound: where the next life begins. */
  readonly senderReserved: number
  readonly window: WindowState
  readonly usage: UsageSnapshot
}

export interface ContextRecord {
  readonly masterSecret: SecretKey
  readonly masterSalt?: SecretKey
  readonly senderId: Uint8Array
  readonly recipientId: Uint8Array
  readonly idContext?: Uint8Array
  /** Number of the AEAD. */
  readonly algorithm: number
  readonly hash: HashName
  readonly state: ContextState
}

/** Everything but the names and secrets is a few bytes; they have these limits. */
export const recordLimits = {
  /** Of a record, the longest of each field in it. */
  bytesMax: 512,
  /** Of the Master Secret and the Master Salt: as much as a hash gives. EDHOC makes 16 and 8. */
  secretBytesMax: 64,
  /** Of an ID, under the longest nonce (RFC 8613 §3.3). */
  idBytesMax: 7,
} as const

const version = 1
const fields = 11
const macBytes = 16
const macInfo = 'countersign OSCORE context record'
const macKeyBytes = 32
const hashNames: readonly HashName[] = ['sha256', 'sha384', 'sha512']
const hashNameBytesMax = 8

type RecordCrypto = Pick<
  OscoreCrypto,
  'hkdfExtract' | 'hkdfExpand' | 'hmac' | 'importSecret' | 'exportSecret'
>

/**
 * To write down; with a bound that `reserve` gets when that is done. What is reserved counts as
 * sealed: a crash cannot make the keys younger than they are.
 */
export function stateOf(
  { sender, recipient, usage }: SecurityContext,
  senderReserved: number = sender.sequence.reserved,
): ContextState {
  const { sealed, failed } = usage
  const reserved = senderReserved - sender.sequence.next
  return {
    senderReserved,
    window: recipient.window.snapshot(),
    usage: { sealed: sealed + reserved, failed },
  }
}

/**
 * For deriveContext, in another life than the record was written in. Nothing can be sent before a
 * new bound is written down and reserved.
 */
export function parametersOf({ state, ...record }: ContextRecord): ContextParameters {
  return { ...record, ...state, senderSequenceNumber: state.senderReserved }
}

/** The bytes have keys in them. */
export function encodeContext(crypto: RecordCrypto, record: ContextRecord): Uint8Array {
  const { masterSecret, masterSalt, senderId, recipientId, idContext, state } = record
  const secret = (key: SecretKey): Uint8Array => cbor.byteString(crypto.exportSecret(key))
  const body = concat(
    arrayHead,
    cbor.int(version),
    secret(masterSecret),
    masterSalt === undefined ? cbor.nullValue : secret(masterSalt),
    cbor.byteString(senderId),
    cbor.byteString(recipientId),
    idContext === undefined ? cbor.nullValue : cbor.byteString(idContext),
    cbor.int(record.algorithm),
    cbor.textString(record.hash),
    cbor.int(state.senderReserved),
    windowItem(state.window),
    cbor.array(cbor.int(state.usage.sealed), cbor.int(state.usage.failed)),
  )
  return concat(body, cbor.byteString(macOf(crypto, masterSecret, body)))
}

/** Of the fields and the MAC. */
const arrayHead = Uint8Array.of(0x80 + fields + 1)

function windowItem(window: WindowState): Uint8Array {
  if (window === 'lost') return cbor.nullValue
  return cbor.array(cbor.int(window.highest), cbor.int(window.accepted))
}

/** Throws PeerError ERR_CBOR_* for bytes that `encodeContext` did not make. */
export function decodeContext(crypto: RecordCrypto, bytes: Uint8Array): ContextRecord {
  const reader = new CborReader(bytes, 'OSCORE context record', recordLimits.bytesMax)
  if (reader.array('record') !== fields + 1) throw reader.bad('another number of fields', 'record')
  const found = reader.int('version')
  if (found !== version) throw reader.bad(`version ${found} is not known`, 'version')
  const record = readRecord(crypto, reader)
  const body = bytes.subarray(0, reader.offset)
  const mac = reader.byteString('mac', macBytes)
  reader.end()
  if (equalSecretBytes(macOf(crypto, record.masterSecret, body), mac)) return record
  throw reader.bad('the record was changed', 'mac')
}

function readRecord(crypto: RecordCrypto, reader: CborReader): ContextRecord {
  const { secretBytesMax, idBytesMax } = recordLimits
  const secret = (field: string): SecretKey =>
    crypto.importSecret(reader.byteString(field, secretBytesMax))
  // A copy: whoever decoded it wipes the bytes, and `slice` of a Node Buffer would share them.
  const id = (field: string, lengthMax: number): Uint8Array =>
    Uint8Array.from(reader.byteString(field, lengthMax))
  const masterSecret = secret('masterSecret')
  const masterSalt = reader.nullable('masterSalt', () => secret('masterSalt'))
  const senderId = id('senderId', idBytesMax)
  const recipientId = id('recipientId', idBytesMax)
  const idContext = reader.nullable('idContext', () => id('idContext', idContextBytesMax))
  return {
    masterSecret,
    ...(masterSalt !== undefined && { masterSalt }),
    senderId,
    recipientId,
    ...(idContext !== undefined && { idContext }),
    algorithm: reader.int('algorithm'),
    hash: readHash(reader),
    state: {
      senderReserved: reader.unsigned('senderReserved', sequenceNumberMax + 1),
      window: readWindow(reader),
      usage: readUsage(reader),
    },
  }
}

function readHash(reader: CborReader): HashName {
  const name = reader.textString('hash', hashNameBytesMax)
  const hash = hashNames.find((known) => known === name)
  if (hash === undefined) throw reader.bad('a hash that is not known', 'hash')
  return hash
}

function readWindow(reader: CborReader): WindowState {
  return (
    reader.nullable('window', () => {
      readPair(reader, 'window')
      const window = {
        highest: reader.int('window.highest'),
        accepted: reader.unsigned('window.accepted'),
      }
      if (!isSnapshot(window)) throw reader.bad('no replay window looks like this', 'window')
      return window
    }) ?? 'lost'
  )
}

function readUsage(reader: CborReader): UsageSnapshot {
  readPair(reader, 'usage')
  const sealed = reader.unsigned('usage.sealed')
  return { sealed, failed: reader.unsigned('usage.failed') }
}

function readPair(reader: CborReader, field: string): void {
  if (reader.array(field) !== 2) throw reader.bad('no pair', field)
}

function macOf(crypto: RecordCrypto, masterSecret: SecretKey, body: Uint8Array): Uint8Array {
  const hash = 'sha256'
  const prk = crypto.hkdfExtract(hash, crypto.importSecret(noBytes), masterSecret)
  const key = crypto.hkdfExpand(hash, prk, utf8(macInfo), macKeyBytes)
  return crypto.hmac(hash, key, body).subarray(0, macBytes)
}
