/**
 * What of the narrow channel is written down, as one record of deterministic CBOR (RFC 8949 §4.2):
 * the context in use with what is reserved of it, the certificates of the server, the last
 * authenticated time, how many handshakes the day has had and when. There are keys in it.
 *
 * [version, time, [day, handshakes, last, failures], issuer / null, [+ server], context / null]
 *
 * Of version 1, whose contexts did not say when they end, everything but the context is taken.
 */
import { CborReader, cbor, hex } from '@countersign/core/codec'
import { PeerError } from '@countersign/core/errors'
import type { ChannelCrypto, Milliseconds } from '@countersign/core/ports'
import {
  type ContextRecord,
  decodeContext,
  encodeContext,
  recordLimits,
} from '@countersign/core/oscore'
import { recordDamaged } from './errors.ts'
import { certificateBytesMax, kidBytesMax, recordBytesMax } from './limits.ts'

/** A certificate of the server that was judged, and has shown its key. */
export interface ServerCredential {
  readonly kind: 'signature' | 'static key'
  /** Undefined: it came without one. */
  readonly kid: Uint8Array | undefined
  /** DER. */
  readonly leaf: Uint8Array
}

export interface StoredContext {
  /** x5t of the device's certificate that it was made with. */
  readonly deviceX5t: Uint8Array
  readonly since: Milliseconds
  /** The earliest notAfter of the server's chain that it was made with: nothing goes after it. */
  readonly until: Milliseconds
  /** The server wants new keys. */
  readonly isUnwanted: boolean
  readonly context: ContextRecord
}

export interface DayOfHandshakes {
  readonly began: Milliseconds
  readonly handshakes: number
  /** When the last one began. */
  readonly last: Milliseconds
  /** In a row. */
  readonly failures: number
}

export interface NarrowRecord {
  /** The last authenticated time: it is not earlier. */
  readonly time: Milliseconds
  readonly day: DayOfHandshakes
  /** DER of the CA whose key is pinned. */
  readonly issuer: Uint8Array | undefined
  /** The last one used first. */
  readonly servers: readonly ServerCredential[]
  readonly current: StoredContext | undefined
}

export const emptyRecord: NarrowRecord = {
  time: 0,
  day: { began: 0, handshakes: 0, last: 0, failures: 0 },
  issuer: undefined,
  servers: [],
  current: undefined,
}

const version = 2
const versionWithoutEnd = 1
const fields = 6
/** SHA-256/64 (RFC 9360 §2). */
const x5tBytes = 8
const serversMax = 8

export function encodeRecord(crypto: ChannelCrypto, record: NarrowRecord): Uint8Array {
  const { time, day, issuer, servers, current } = record
  return cbor.array(
    cbor.int(version),
    cbor.int(time),
    cbor.array(...[day.began, day.handshakes, day.last, day.failures].map(cbor.int)),
    orNull(issuer),
    cbor.array(...servers.map(encodeServer)),
    current === undefined
      ? cbor.nullValue
      : cbor.array(
          cbor.byteString(current.deviceX5t),
          cbor.int(current.since),
          cbor.int(current.until),
          cbor.boolean(current.isUnwanted),
          cbor.byteString(encodeContext(crypto, current.context)),
        ),
  )
}

function encodeServer({ kind, kid, leaf }: ServerCredential): Uint8Array {
  return cbor.array(cbor.boolean(kind === 'signature'), orNull(kid), cbor.byteString(leaf))
}

function orNull(bytes: Uint8Array | undefined): Uint8Array {
  return bytes === undefined ? cbor.nullValue : cbor.byteString(bytes)
}

/** Throws AdapterError ERR_NARROW_RECORD for bytes that `encodeRecord` did not make. */
export function decodeRecord(crypto: ChannelCrypto, bytes: Uint8Array): NarrowRecord {
  try {
    const reader = new CborReader(bytes, 'narrow record', recordBytesMax)
    const record = readRecord(crypto, reader)
    reader.end()
    return record
  } catch (error) {
    if (!(error instanceof PeerError)) throw error
    throw recordDamaged(error)
  }
}

function readRecord(crypto: ChannelCrypto, reader: CborReader): NarrowRecord {
  requireCount(reader, 'record', fields)
  const found = reader.int('version')
  if (found !== version && found !== versionWithoutEnd) {
    throw reader.bad(`version ${found} is not known`, 'version')
  }
  const time = reader.unsigned('time')
  const day = readDay(reader)
  const issuer = reader.nullable('issuer', () => readCertificate(reader, 'issuer'))
  const servers = readServers(reader)
  const read = found === version ? readCurrent : readEndless
  return {
    time,
    day,
    issuer,
    servers,
    current: reader.nullable('context', () => read(crypto, reader)),
  }
}

function readDay(reader: CborReader): DayOfHandshakes {
  requireCount(reader, 'day', 4)
  return {
    began: reader.unsigned('day.began'),
    handshakes: reader.unsigned('day.handshakes'),
    last: reader.unsigned('day.last'),
    failures: reader.unsigned('day.failures'),
  }
}

function readServers(reader: CborReader): readonly ServerCredential[] {
  const count = reader.array('servers')
  if (count > serversMax) throw reader.bad(`${count} of them`, 'servers')
  return Array.from({ length: count }, () => {
    requireCount(reader, 'server', 3)
    const kind = reader.boolean('server.signs') ? 'signature' : 'static key'
    const kid = reader.nullable('server.kid', () => readBytes(reader, 'server.kid', kidBytesMax))
    return { kind, kid, leaf: readCertificate(reader, 'server.leaf') }
  })
}

function readCurrent(crypto: ChannelCrypto, reader: CborReader): StoredContext {
  requireCount(reader, 'context', 5)
  return {
    deviceX5t: readX5t(reader),
    since: reader.unsigned('context.since'),
    until: reader.unsigned('context.until'),
    isUnwanted: reader.boolean('context.isUnwanted'),
    context: readKeys(crypto, reader),
  }
}

/** Of version 1: whole as it may be, nobody can say when it ends, so it is not used again. */
function readEndless(crypto: ChannelCrypto, reader: CborReader): undefined {
  requireCount(reader, 'context', 3)
  readX5t(reader)
  reader.unsigned('context.since')
  readKeys(crypto, reader)
}

function readX5t(reader: CborReader): Uint8Array {
  const x5t = readBytes(reader, 'context.deviceX5t', x5tBytes)
  if (x5t.length === x5tBytes) return x5t
  throw reader.bad(`x5t is ${hex(x5t)}`, 'context.deviceX5t')
}

function readKeys(crypto: ChannelCrypto, reader: CborReader): ContextRecord {
  return decodeContext(crypto, reader.byteString('context.record', recordLimits.bytesMax))
}

function readCertificate(reader: CborReader, field: string): Uint8Array {
  const der = readBytes(reader, field, certificateBytesMax)
  if (der.length === 0) throw reader.bad('no bytes', field)
  return der
}

/** A copy: whoever loaded the record may wipe it, and `slice` of a Buffer is a view. */
function readBytes(reader: CborReader, field: string, lengthMax: number): Uint8Array {
  return Uint8Array.from(reader.byteString(field, lengthMax))
}

function requireCount(reader: CborReader, field: string, count: number): void {
  const found = reader.array(field)
  if (found !== count) throw reader.bad(`${found} fields and not ${count}`, field)
}
