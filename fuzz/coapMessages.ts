/** What the fuzzers of CoAP start from: the figures of RFC 7252 and RFC 7959, OSCORE's examples. */
import { readFileSync } from 'node:fs'
import { concat, fromHex } from '@countersign/core/codec'

interface Vectors {
  readonly vectors: readonly { readonly parts: readonly { readonly v: Record<string, string> }[] }[]
}

const file = new URL('../vectors/oscore-rfc8613.json', import.meta.url)
const { vectors } = JSON.parse(readFileSync(file, 'utf8')) as Vectors

/** RFC 8613 Appendix C. */
export const oscoreMessages: readonly Uint8Array[] = vectors
  .flatMap(({ parts }) => parts.flatMap(({ v }) => Object.entries(v)))
  .filter(([label]) => label.includes('CoAP re'))
  .map(([, message]) => new Uint8Array(Buffer.from(message, 'hex')))

/** RFC 7252 Appendix A: requests, answers with and after the acknowledgement, signals. */
export const figures: readonly Uint8Array[] = [
  '40017d34bb74656d7065726174757265',
  '60457d34ff32322e332043',
  '41017d3520bb74656d7065726174757265',
  '61457d3520ff32322e332043',
  '60007d38',
  '4145ad7b53ff32322e332043',
  '7000ad7c',
  '51017d4075bb74656d7065726174757265',
  '51840000752a',
  // A ping.
  '4000ad7d',
].map(fromHex)

const sixteen = '30313233343536373839616263646566'

/** POST /b in blocks of 16 bytes with Request-Tag 07: the first with Size1, a last one of 2. */
export const blocks: readonly Uint8Array[] = [
  `440200010a0b0c0d b162 d10308 d11422 d1db07 ff ${sixteen}`,
  `440200020a0b0c0e b162 d10318 d1fc07 ff ${sixteen}`,
  '440200030a0b0c0f b162 d10320 d1fc07 ff 4041',
  // GET /b: the second block of the response, a block of 1024 wanted.
  '440100040a0b0c10 b162 c110',
  '440100050a0b0c11 b162 c106',
].map(spaced)

/** Queries and a Content-Format of two bytes; an ETag, Max-Age and a code; a path of dots. */
export const others: readonly Uint8Array[] = [
  '4402000601020304 b16d 0174 120119 336e3d37 0174 ff 41',
  '6484000701020304 44aabbccdd a13c ff 4552525f58',
  '4401000801020304 b22e2e',
].map(spaced)

/** Each behind its length, in two bytes: what a peer says one after the other. */
export function inRow(...messages: readonly Uint8Array[]): Uint8Array {
  return concat(
    ...messages.flatMap((one) => [Uint8Array.of(one.length >> 8, one.length & 0xff), one]),
  )
}

/** The messages of a row, whatever it became. */
export function messagesOf(row: Uint8Array): readonly Uint8Array[] {
  const messages: Uint8Array[] = []
  for (let at = 0; at + 2 <= row.length; ) {
    const start = at + 2
    at = start + (row[at] ?? 0) * 256 + (row[at + 1] ?? 0)
    messages.push(row.subarray(start, at))
  }
  return messages
}

function spaced(text: string): Uint8Array {
  return fromHex(text.replaceAll(' ', ''))
}
