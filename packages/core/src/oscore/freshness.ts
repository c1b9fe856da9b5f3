/**
 * Requests that must be proved new (RFC 8613 Appendix B.1.2, RFC 9175 §2.3): all of a context whose
 * replay window was lost, and those that a device without a clock would otherwise take late. The
 * answer to one that shows nothing is a protected 4.01 with an Echo; the value comes back inside
 * the next request.
 */
import { type CoapMessage, coapCode } from '../coap/index.ts'
import { cbor } from '../codec/index.ts'
import type { SecurityContext } from './context.ts'
import { type EchoIssuer, echoOf, echoOption } from './echo.ts'
import { openRequest, type ReceivedRequest, receivedRequest, ServerExchange } from './exchange.ts'

/** A request that is not to be acted upon. */
export interface ChallengedRequest {
  readonly kind: 'challenge'
  /** The protected 4.01, with the token and Message ID of the request. */
  readonly answer: CoapMessage
}

/**
 * A request that verifies; nothing has been done about it, so it may come again. The step that it
 * has is taken in the same turn, or it is verified anew.
 */
export type VerifiedRequest =
  | { readonly isFresh: true; readonly accept: () => ReceivedRequest }
  /**
   * A challenge takes a number of the server's own: only now is it worth writing any down ahead.
   */
  | { readonly isFresh: false; readonly challenge: () => ChallengedRequest }

/**
 * As unprotectRequest, also where the window was lost: then a request with a good Echo sets it, and
 * any other is answered. The key of `echo` is of this life of the process.
 */
export function recoverRequest(
  context: SecurityContext,
  message: CoapMessage,
  echo: EchoIssuer,
): ReceivedRequest | ChallengedRequest {
  const verified = verifyRequest(context, message, echo)
  return verified.isFresh ? verified.accept() : verified.challenge()
}

/** recoverRequest up to where something changes. */
export function verifyRequest(
  context: SecurityContext,
  message: CoapMessage,
  echo: EchoIssuer,
): VerifiedRequest {
  const { window } = context.recipient
  if (window.isLost) return verifyUnproven(context, message, echo)
  const { bound, read } = openRequest(context, message, (number) => window.verify(number))
  return {
    isFresh: true,
    accept: () => {
      window.accept(bound.partialIv)
      return receivedRequest(context, bound, read())
    },
  }
}

function verifyUnproven(
  context: SecurityContext,
  message: CoapMessage,
  echo: EchoIssuer,
): VerifiedRequest {
  const { window } = context.recipient
  const { bound, read } = openRequest(context, message, (number) => window.verifyUnproven(number))
  const request = read()
  if (isFresh(context, request, echo)) {
    return {
      isFresh: true,
      accept: () => {
        window.recover(bound.partialIv)
        return receivedRequest(context, bound, request)
      },
    }
  }
  return {
    isFresh: false,
    challenge: () => {
      const exchange = new ServerExchange(context, bound)
      const asked = challenge(context, request, echo)
      // RFC 8613 Appendix B.1.2: an earlier life may have used the nonce of this request.
      const answer = exchange.protectResponse(asked, { ownPartialIv: true })
      window.challenge(bound.partialIv)
      return { kind: 'challenge', answer }
    },
  }
}

/** Whether the request was made after `echo` asked for it. */
export function isFresh(context: SecurityContext, request: CoapMessage, echo: EchoIssuer): boolean {
  const value = echoOf(request)
  return value !== undefined && echo.verify(value, bindingOf(context))
}

/** What a request that is not fresh is answered with; the caller protects it. */
export function challenge(
  context: SecurityContext,
  { type, messageId, token }: CoapMessage,
  echo: EchoIssuer,
): CoapMessage {
  return {
    type: type === 'CON' ? 'ACK' : 'NON',
    code: coapCode.unauthorized,
    messageId,
    token,
    options: [echoOption(echo.issue(bindingOf(context)))],
    // RFC 8613 Appendix B.1.2: the Echo option alone.
    payload: new Uint8Array(),
  }
}

/** The Common IV is of its context alone, and goes into the MAC only. */
function bindingOf({ recipient, idContext, commonIv }: SecurityContext): Uint8Array {
  return cbor.array(
    cbor.byteString(recipient.id),
    idContext === undefined ? cbor.nullValue : cbor.byteString(idContext),
    cbor.byteString(commonIv),
  )
}
