/**
 * message_3 and the first protected request in one (RFC 9668 §3): the option EDHOC says so, C_R is
 * the kid of OSCORE and does not travel twice. Leaves out: parts of such a request in blocks
 * (§3.2.2), since what does not fit goes after a message_3 that was sent alone.
 */
import {
  type CoapMessage,
  coapLimits,
  encodeMessage,
  optionNumber,
  sortedOptions,
} from '../coap/index.ts'
import { CborReader, concat } from '../codec/index.ts'
import { channelError } from './errors.ts'

/** `request` is under OSCORE already (RFC 9668 §3.2.1). */
export function combine(message3: Uint8Array, request: CoapMessage): CoapMessage {
  const option = { number: optionNumber.edhoc, value: new Uint8Array() }
  return {
    ...request,
    options: sortedOptions([...request.options, option]),
    payload: concat(message3, request.payload),
  }
}

/** Whether it goes out as one message, whatever token it gets. */
export function fitsCombined(message3: Uint8Array, request: CoapMessage): boolean {
  const { payload, ...head } = combine(message3, request)
  const bare = { ...head, token: new Uint8Array(), payload: new Uint8Array() }
  const around = encodeMessage(bare).length + coapLimits.tokenBytesMax + payloadMarkerBytes
  return around + payload.length <= coapLimits.messageBytesMax
}

const payloadMarkerBytes = 1

export function isCombined({ options }: Pick<CoapMessage, 'options'>): boolean {
  return options.some(({ number }) => number === optionNumber.edhoc)
}

export interface Combined {
  readonly message3: Uint8Array
  /** The request under OSCORE, as if it had come alone. */
  readonly request: CoapMessage
}

/** Throws PeerError ERR_EDHOC_COMBINED (RFC 9668 §3.3.1, steps 1 to 3). */
export function separate(message: CoapMessage): Combined {
  const options = message.options.filter(({ number }) => number !== optionNumber.edhoc)
  if (message.options.length - options.length !== 1) {
    throw channelError('ERR_EDHOC_COMBINED', 'the option EDHOC is there more than once')
  }
  if (!options.some(({ number }) => number === optionNumber.oscore)) {
    throw channelError('ERR_EDHOC_COMBINED', 'no OSCORE option')
  }
  const end = endOfMessage3(message.payload)
  // Copies: the caller may use its buffer again, and `slice` of a Buffer is a view.
  const rest = Uint8Array.from(message.payload.subarray(end))
  if (rest.length === 0) throw channelError('ERR_EDHOC_COMBINED', 'nothing behind message_3')
  return {
    message3: Uint8Array.from(message.payload.subarray(0, end)),
    request: { ...message, options, payload: rest },
  }
}

/** message_3 is one byte string (RFC 9528 §5.4.1). */
function endOfMessage3(payload: Uint8Array): number {
  const reader = new CborReader(payload, 'combined request')
  try {
    reader.byteString('message_3')
  } catch (error) {
    throw channelError('ERR_EDHOC_COMBINED', 'it does not begin with message_3', error)
  }
  return reader.offset
}
