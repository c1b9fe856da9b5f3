/**
 * Messages that somebody on the path can make without any key: Message IDs, tokens and the kids of
 * contexts stand in clear in what goes by, so that anybody can answer in another's name. None of
 * them may make either side give up a context or a reading (RFC 8613 §12, RFC 9528 §9.1).
 */
import { edhocContentFormat, edhocPath, encodeContinued } from '@countersign/core/channel'
import {
  type CoapMessage,
  coapCode,
  codeKind,
  contentFormatOption,
  encodeMessage,
  optionNumber,
  parseMessage,
  uintValue,
  uriPath,
} from '@countersign/core/coap'
import { encodeError } from '@countersign/core/edhoc'
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

/** What to send, and to which end of the datagram that was seen. */
export interface Forged {
  readonly datagram: Uint8Array
  readonly to: 'its sender' | 'its receiver'
}

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
        options: [contentFormatOption(edhocContentFormat.message)],
        payload: errorMessage(random),
      })
  }
}

/** RFC 9528 Appendix A.2.1: C_R in front, here of the context that the request names. */
function errorOfInitiator(seen: CoapMessage, random: Seeded): Uint8Array | undefined {
  const kid = readOrNothing(() => oscoreOptionOf(seen).kid)
  if (kid === undefined) return undefined
  return encodeMessage({
    type: 'CON',
    code: coapCode.post,
    messageId: random.below(0x1_0000),
    token: anyBytes(2, random),
    options: [...uriPath(...edhocPath), contentFormatOption(edhocContentFormat.withIdentifier)],
    payload: encodeContinued(kid, errorMessage(random)),
  })
}

/** One of the three errors of RFC 9528 §6. */
function errorMessage(random: Seeded): Uint8Array {
  const errors = [
    encodeError({ kind: 'unspecified', text: 'go away' }),
    encodeError({ kind: 'wrong suite', suitesR: [0, 3] }),
    encodeError({ kind: 'unknown credential' }),
  ]
  return errors[random.below(errors.length)] ?? none
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
