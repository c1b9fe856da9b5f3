/**
 * EDHOC over CoAP, the initiator as client (RFC 9528 Appendix A.2.1): what stands in the payload of
 * a request to `/.well-known/edhoc`. `true` is in front of message_1, C_R in front of everything
 * that follows, so that the server finds the handshake. Responses carry a message alone.
 */
import { CborReader, cbor, concat } from '../codec/index.ts'
import { encodeByteIdentifier, readByteIdentifier } from '../cose/index.ts'
import { edhocLimits } from '../edhoc/index.ts'
import { channelError } from './errors.ts'

/** Segments of Uri-Path. */
export const edhocPath: readonly string[] = ['.well-known', 'edhoc']

/** RFC 9528 §10.9 (application/edhoc+cbor-seq, application/cid-edhoc+cbor-seq). */
export const edhocContentFormat = { message: 64, withIdentifier: 65 } as const

export type EdhocPayload =
  | { readonly kind: 'message_1'; readonly message: Uint8Array }
  /** message_3, or an error. */
  | { readonly kind: 'continued'; readonly cR: Uint8Array; readonly message: Uint8Array }

export function encodeStart(message1: Uint8Array): Uint8Array {
  return concat(cbor.trueValue, message1)
}

export function encodeContinued(cR: Uint8Array, message: Uint8Array): Uint8Array {
  return concat(encodeByteIdentifier(cR), message)
}

/** Throws PeerError ERR_EDHOC_PAYLOAD. The message itself is for the states of EDHOC. */
export function parseEdhocPayload(payload: Uint8Array): EdhocPayload {
  if (payload.length > edhocLimits.messageBytesMax) {
    throw channelError('ERR_EDHOC_PAYLOAD', `${payload.length} bytes`)
  }
  const reader = new CborReader(payload, 'EDHOC payload')
  try {
    return readPayload(reader)
  } catch (error) {
    throw channelError('ERR_EDHOC_PAYLOAD', 'neither true nor an identifier is in front', error)
  }
}

function readPayload(reader: CborReader): EdhocPayload {
  const kind = reader.peek()
  if (kind === 'unsigned' || kind === 'negative' || kind === 'bytes') {
    const cR = readByteIdentifier(reader, 'C_R', edhocLimits.identifierBytesMax)
    return { kind: 'continued', cR: Uint8Array.from(cR), message: rest(reader) }
  }
  // null and false are none of a forward flow (RFC 9528 Appendix A.2.1).
  if (!reader.boolean('true')) throw reader.bad('false says nothing', 'true')
  return { kind: 'message_1', message: rest(reader) }
}

/** A copy, also of a Buffer, whose `slice` is a view. */
function rest({ bytes, offset }: CborReader): Uint8Array {
  return Uint8Array.from(bytes.subarray(offset))
}
