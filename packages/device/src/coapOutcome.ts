/** What a response of the narrow channel means for the reading that waits: one total function. */
import {
  type CoapMessage,
  coapCode,
  codeClass,
  codeText,
  isServerError,
  isSuccess,
  optionNumber,
  readUint,
  valuesOf,
} from '@countersign/core/coap'
import { fromUtf8 } from '@countersign/core/codec'
import { PeerError } from '@countersign/core/errors'
import type { Milliseconds } from '@countersign/core/ports'
import type { Problem } from './problem.ts'
import type { Outcome } from './road.ts'

type Response = Pick<CoapMessage, 'code' | 'options' | 'payload'>

/** They speak of now, not of the reading; so does every 5.xx. */
const passing: ReadonlySet<number> = new Set([
  coapCode.requestEntityIncomplete,
  coapCode.tooManyRequests,
])
/** Of this device. */
const refusals: ReadonlySet<number> = new Set([coapCode.unauthorized, coapCode.forbidden])

/** `id` is the event's, should the reading have been taken. */
export function judgeResponse(response: Response, id: string): Outcome {
  const { code } = response
  if (isSuccess(code)) return { kind: 'taken', id }
  const problem = problemIn(response)
  if (refusals.has(code)) return { kind: 'refused', problem }
  if (isServerError(code) || passing.has(code)) {
    return { kind: 'later', problem, afterMs: maxAgeMs(response) }
  }
  return { kind: 'rejected', problem }
}

/** What a server asks for in earnest; one wrong answer must not silence a device for days. */
const afterMsMax: Milliseconds = 3_600_000

/** RFC 7252 §5.9.3.4, RFC 8516 §3: when to come again. */
function maxAgeMs({ options }: Response): Milliseconds | undefined {
  const [value] = valuesOf(options, optionNumber.maxAge)
  if (value === undefined) return undefined
  try {
    return Math.min(readUint(value, 'Max-Age') * 1000, afterMsMax)
  } catch (error) {
    if (error instanceof PeerError) return undefined
    throw error
  }
}

/** The code of the refusal is all that travels; the server tells its operator the words. */
function problemIn({ code, payload }: Response): Problem {
  const text = codeIn(payload)
  return {
    // As HTTP writes it: 4.03 is 403.
    status: codeClass(code) * 100 + (code & 31),
    code: text,
    message: text === undefined ? `it answered ${codeText(code)}` : `${text} (${codeText(code)})`,
    hint: undefined,
  }
}

/** Longer than any code of ours. */
const problemCodeBytesMax = 64

function codeIn(payload: Uint8Array): string | undefined {
  if (payload.length > problemCodeBytesMax) return undefined
  try {
    const text = fromUtf8(payload)
    return /^ERR_[A-Z0-9_]+$/.test(text) ? text : undefined
  } catch (error) {
    if (error instanceof PeerError) return undefined
    throw error
  }
}
