/**
 * Messages that somebody on the path can make without any key: he reads Message IDs, tokens and the
 * names of contexts in what goes by, and answers in the name of whoever should. None of them may
 * make either side give up a context or a reading (RFC 8613 §12, RFC 9528 §9.1).
 */
import {
  type CoapMessage,
  coapCode,
  codeKind,
  encodeMessage,
  optionNumber,
  parseMessage,
  uintValue,
} from '@countersign/core/coap'
import { cbor, concat, utf8 } from '@countersign/core/codec'
import { isCountersignError } from '@countersign/core/errors'
import { oscoreOptionOf } from '@countersign/core/oscore'
import type { Seeded } from '../seeded.ts'

export type Forgery =
  | 'forged reset'
  | 'forged acknowledgement'
  | 'forged 4.01'
  | 'forged echo'
  | 'forged busy'
  | 'forged edhoc error'
  | 'forged edhoc error of the initiator'

/** `to`: whoever sent the datagram that was seen, or whoever it was for. */
export interface Forged {
  readonly datagram: Uint8Array
  readonly to: 'its sender' | 'its receiver'
}

/** RFC 9528 §10.11: application/edhoc+cbor-seq, application/cid-edhoc+cbor-seq. */
const contentFormat = { edhoc: 64, cidEdhoc: 65 } as const
const none = new Uint8Array()

/** Undefined where nothing of the kind can be made from what was seen. */
export function forge(forgery: Forgery, seen: Uint8Array, random: Seeded): Forged | undefined {
  const message = readOrNothing(() => parseMessage(seen))
  if (message === undefined) return undefined
  const datagram =
    forgery === 'forged edhoc error of the initiator'
      ? errorOfInitiator(message, random)
      : answerTo(message, forgery, random)
  if (datagram === undefined) return undefined
  const to = forgery === 'forged edhoc error of the initiator' ? 'its receiver' : 'its sender'
  return { datagram, to }
}

function answerTo(
  seen: CoapMessage,
  forgery: Exclude<Forgery, 'forged edhoc error of the initiator'>,
  random: Seeded,
): Uint8Array | undefined {
  if (seen.type === 'ACK' || seen.type === 'RST') return undefined
  if (forgery === 'forged reset') return empty(seen, 'RST')
  if (forgery === 'forged acknowledgement') {
    return seen.type === 'CON' ? empty(seen, 'ACK') : undefined
  }
  if (codeKind(seen.code) !== 'request') return undefined
  switch (forgery) {
    case 'forged 4.01':
      return response(seen, random, { code: coapCode.unauthorized })
    case 'forged echo':
      return response(seen, random, {
        code: coapCode.unauthorized,
        options: [{ number: optionNumber.echo, value: anyBytes(8, random) }],
      })
    case 'forged busy':
      return response(seen, random, {
        code: coapCode.serviceUnavailable,
        options: [{ number: optionNumber.maxAge, value: uintValue(86_400) }],
      })
    case 'forged edhoc error':
      return response(seen, random, {
        code: coapCode.badRequest,
        options: [{ number: optionNumber.contentFormat, value: uintValue(contentFormat.edhoc) }],
        payload: errorMessage(random),
      })
  }
}

/** RFC 9528 §A.2.1: C_R in front, here of whatever context the request that was seen names. */
function errorOfInitiator(seen: CoapMessage, random: Seeded): Uint8Array | undefined {
  const kid = readOrNothing(() => oscoreOptionOf(seen).kid)
  if (kid === undefined) return undefined
  return encodeMessage({
    type: 'CON',
    code: coapCode.post,
    messageId: random.below(0x1_0000),
    token: anyBytes(2, random),
    options: [
      { number: optionNumber.uriPath, value: utf8('.well-known') },
      { number: optionNumber.uriPath, value: utf8('edhoc') },
      { number: optionNumber.contentFormat, value: uintValue(contentFormat.cidEdhoc) },
    ],
    payload: concat(identifier(kid), errorMessage(random)),
  })
}

/** One of the three errors of RFC 9528 §6. */
function errorMessage(random: Seeded): Uint8Array {
  const errors = [
    concat(cbor.int(1), cbor.textString('go away')),
    concat(cbor.int(2), cbor.array(cbor.int(0), cbor.int(3))),
    concat(cbor.int(3), cbor.boolean(true)),
  ]
  return errors[random.below(errors.length)] ?? none
}

/** RFC 9528 §3.3.2: one byte that is an integer in CBOR stands for itself. */
function identifier(id: Uint8Array): Uint8Array {
  const [first = 0] = id
  const isInteger = id.length === 1 && (first <= 0x17 || (first >= 0x20 && first <= 0x37))
  return isInteger ? id : cbor.byteString(id)
}

function empty({ messageId }: CoapMessage, type: 'RST' | 'ACK'): Uint8Array {
  return encodeMessage({
    type,
    code: coapCode.empty,
    messageId,
    token: none,
    options: [],
    payload: none,
  })
}

function response(
  request: CoapMessage,
  random: Seeded,
  content: Pick<CoapMessage, 'code'> & Partial<Pick<CoapMessage, 'options' | 'payload'>>,
): Uint8Array {
  const piggybacked = request.type === 'CON'
  return encodeMessage({
    type: piggybacked ? 'ACK' : 'NON',
    messageId: piggybacked ? request.messageId : random.below(0x1_0000),
    token: request.token,
    options: [],
    payload: none,
    ...content,
  })
}

/** What cannot be read teaches a forger nothing. */
function readOrNothing<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (isCountersignError(error)) return undefined
    throw error
  }
}

function anyBytes(length: number, random: Seeded): Uint8Array {
  return Uint8Array.from({ length }, () => random.below(256))
}
