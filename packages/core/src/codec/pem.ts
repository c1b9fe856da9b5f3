/**
 * PEM: textual encodings of RFC 7468. Reading follows the standard grammar (§3): labels of BEGIN
 * and END must match, text outside the blocks is skipped (§5.2 allows explanatory text), lines may
 * have any length, white space only at line ends. RFC 1421 headers inside a block are refused: they
 * mean an encryption that we do not do here.
 */

import { PeerError } from '../errors.ts'
import { base64, fromBase64 } from './base64.ts'

/** The largest CRL that we take, in Base64 and its lines; more than that is a wrong file. */
export const pemTextMax: number = 96 * 1024 * 1024
/** A bundle of anchors has some hundred. */
export const pemBlocksMax = 4096

export interface PemBlock {
  readonly label: string
  readonly der: Uint8Array
}

/** One block, with lines of 64 characters and a newline at the end. */
export function pem(label: string, der: Uint8Array): string {
  const text = base64(der)
  let lines = ''
  for (let start = 0; start < text.length; start += 64)
    lines += `${text.slice(start, start + 64)}\n`
  return `-----BEGIN ${label}-----\n${lines}-----END ${label}-----\n`
}

/** Every block of the text, in order; none is an empty list. */
export function parsePem(text: string): readonly PemBlock[] {
  if (text.length > pemTextMax) throw bad('the text is longer than any PEM bundle', 0)
  const blocks: PemBlock[] = []
  let label: string | undefined
  let body: string[] = []
  let number = 0
  for (const raw of text.split('\n')) {
    number++
    const line = raw.trimEnd()
    const begins = boundary(line, 'BEGIN')
    const ends = boundary(line, 'END')
    if (begins !== undefined) {
      if (label !== undefined) throw bad(`${label} is not ended before the next BEGIN`, number)
      if (blocks.length === pemBlocksMax) throw bad(`more than ${pemBlocksMax} blocks`, number)
      label = begins
      body = []
    } else if (ends !== undefined) {
      if (label !== ends) throw bad('END does not match BEGIN', number)
      blocks.push({ label, der: decode(body, number) })
      label = undefined
    } else if (label !== undefined) {
      body.push(line)
    }
  }
  if (label !== undefined) throw bad(`${label} has no END`, number)
  return blocks
}

/** The only block of the text, which must have one of these labels. */
export function parsePemOne(text: string, ...labels: readonly string[]): Uint8Array {
  const blocks = parsePem(text)
  const first = blocks[0]
  if (first === undefined || blocks.length !== 1 || !labels.includes(first.label)) {
    throw bad(`expected exactly one ${labels.join(' or ')}, found ${blocks.length} blocks`, 0)
  }
  return first.der
}

/** Longer than any label of RFC 7468 or OpenSSL: labels stand in messages, and those in logs. */
const labelLengthMax = 64

/** The label between the dashes: printable characters, no two separators in a row (RFC 7468 §3). */
function boundary(line: string, word: 'BEGIN' | 'END'): string | undefined {
  const start = `-----${word} `
  if (!line.startsWith(start) || !line.endsWith('-----') || line.length < start.length + 6) {
    return undefined
  }
  const label = line.slice(start.length, -5)
  if (label.length > labelLengthMax) return undefined
  return /^[!-,.-~]+(?:[ -][!-,.-~]+)*$/.test(label) ? label : undefined
}

function decode(lines: readonly string[], line: number): Uint8Array {
  try {
    return fromBase64(lines.join(''))
  } catch (cause) {
    throw bad('the block is not Base64', line, cause)
  }
}

function bad(message: string, line: number, cause?: unknown): PeerError<'ERR_PEM'> {
  const hint =
    'PEM is a BEGIN and an END line of one label with Base64 between; for DER use `openssl … -outform PEM`.'
  return new PeerError('ERR_PEM', message, { line }, { where: `line ${line}`, hint, cause })
}
