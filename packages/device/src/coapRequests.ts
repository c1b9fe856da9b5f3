/** What the road coap says to the server, and to itself, as values. */
import {
  type CoapOption,
  coapCode,
  contentFormatOption,
  sortedOptions,
  uriPath,
  uriQuery,
} from '@countersign/core/coap'
import type { NarrowRequest, NarrowResponse } from './portable/narrow/index.ts'
import type { Problem } from './problem.ts'
import type { Reading } from './state/outbox.ts'

/** `POST /m/<topic>?n=<number>`. */
export function requestOf({ number, topic, data }: Reading, format: number): NarrowRequest {
  const options: readonly CoapOption[] = [
    ...uriPath('m', ...topic.split('/')),
    contentFormatOption(format),
    ...uriQuery(`n=${number}`),
  ]
  return { code: coapCode.post, options: sortedOptions(options), payload: data }
}

/** Asks for the time, which every server has, and needs nothing of it. */
export const keepAlive: NarrowRequest = {
  code: coapCode.post,
  options: uriQuery('t'),
  payload: new Uint8Array(),
}

/** As the server would say it. */
export function unnumbered(contentType: string): Problem {
  return {
    status: 415,
    code: undefined,
    message: `over coap a media type goes by its number, and ${contentType} has none here`,
    hint: 'Send it as application/octet-stream, or by another road.',
  }
}

/** To a request of the server that nobody here serves. */
export async function nobody(): Promise<NarrowResponse> {
  return { code: coapCode.notFound, options: [], payload: new Uint8Array() }
}
