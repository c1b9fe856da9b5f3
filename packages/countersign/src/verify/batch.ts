/**
 * `countersign verify --batch`: one question a line, one answer a line. A line that is no question
 * gets an answer too, and the lines after it are judged all the same.
 */
import { isCountersignError, PeerError } from '@countersign/core/errors'
import type { Crypto, Milliseconds } from '@countersign/core/ports'
import { z } from 'zod'
import { parseTime } from '../cli/time.ts'
import { type ChainQuestion, judgeChain } from './chain.ts'
import type { Source } from './material.ts'

export interface BatchAnswer {
  readonly id: string | number | null
  readonly ok: boolean
  readonly code: string | null
  readonly where: string | null
  readonly hint: string | null
}

export interface BatchContext {
  readonly crypto: Crypto
  /** For lines without a time. */
  readonly now: Milliseconds
}

/** `judged` is false when the line was no question: the exit code tells it. */
export interface BatchResult {
  readonly answer: BatchAnswer
  readonly judged: boolean
}

/** Longest line: a large CRL and a large bag in PEM. */
const batchLineBytesMax = 64 * 1024 * 1024
/** Texts in one list of a line; each may hold several certificates. */
const textsMax = 16_384
const nameLengthMax = 1024

const texts = z.array(z.string()).max(textsMax)
const questionSchema = z.object({
  id: z.union([z.string().max(nameLengthMax), z.number()]),
  anchors: texts,
  intermediates: texts.nullish(),
  leaf: z.string(),
  crls: texts.nullish(),
  time: z.string().max(64).nullish(),
  purpose: z.enum(['device', 'server', 'ca']).nullish(),
  name: z
    .object({ kind: z.enum(['DNS', 'IP', 'email']), value: z.string().max(nameLengthMax) })
    .nullish(),
  depthMax: z.int().min(0).max(1024).nullish(),
})
type Question = z.infer<typeof questionSchema>

/** Answers one line of the batch. Throws only what is a bug. */
export function answerLine(line: string, context: BatchContext): BatchResult {
  let document: unknown
  try {
    document = JSON.parse(line)
  } catch {
    return notAQuestion(null, 'line', 'Write one JSON object on one line.')
  }
  const parsed = questionSchema.safeParse(document)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    const where = issue === undefined || issue.path.length === 0 ? 'line' : pathText(issue.path)
    return notAQuestion(idOf(document), where, batchHint)
  }
  const question = parsed.data
  try {
    judgeChain(asChainQuestion(question, context.now), context.crypto)
    return {
      answer: { id: question.id, ok: true, code: null, where: null, hint: null },
      judged: true,
    }
  } catch (error) {
    if (!isCountersignError(error)) throw error
    const { code, where = null, hint = null } = error
    // A refusal of the chain is a judgement; a time that is none is a mistake in the line.
    const judged = error instanceof PeerError
    return { answer: { id: question.id, ok: false, code, where, hint }, judged }
  }
}

const batchHint =
  'A line is {id, anchors[], intermediates[], leaf, crls[], time, purpose: device|server|ca, name?: {kind: DNS|IP|email, value}, depthMax?}.'

function asChainQuestion(question: Question, now: Milliseconds): ChainQuestion {
  const { time } = question
  return {
    leaf: { where: 'leaf', text: question.leaf },
    anchors: sources('anchors', question.anchors),
    intermediates: sources('intermediates', question.intermediates ?? []),
    crls: sources('crls', question.crls ?? []),
    at: time === undefined || time === null ? now : parseTime(time, now, 'time'),
    purpose: question.purpose ?? undefined,
    name: question.name ?? undefined,
    depthMax: question.depthMax ?? undefined,
  }
}

function sources(list: string, values: readonly string[]): readonly Source[] {
  return values.map((text, index) => ({ where: `${list}[${index}]`, text }))
}

function notAQuestion(id: string | number | null, where: string, hint: string): BatchResult {
  return { answer: { id, ok: false, code: 'ERR_BATCH_LINE', where, hint }, judged: false }
}

const idSchema = z.object({ id: z.union([z.string().max(nameLengthMax), z.number()]) })

function idOf(document: unknown): string | number | null {
  const parsed = idSchema.safeParse(document)
  return parsed.success ? parsed.data.id : null
}

function pathText(path: readonly PropertyKey[]): string {
  let text = ''
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`
    else text += text === '' ? String(part) : `.${String(part)}`
  }
  return text
}

/**
 * Answers every line of a stream as it comes; empty lines are skipped, a line over the limit is
 * answered and passed over.
 */
export async function* answerBatch(
  input: AsyncIterable<Uint8Array>,
  context: BatchContext,
): AsyncGenerator<BatchResult> {
  for await (const line of linesOf(input)) {
    if (line === undefined) {
      yield notAQuestion(null, 'line', `A line has at most ${batchLineBytesMax} bytes.`)
    } else if (line.trim() !== '') {
      yield answerLine(line, context)
    }
  }
}

const newline = 0x0a

/** Lines of UTF-8; undefined for one that is too long. */
async function* linesOf(input: AsyncIterable<Uint8Array>): AsyncGenerator<string | undefined> {
  let held: Uint8Array[] = []
  let length = 0
  const take = (): string | undefined => {
    const line = length > batchLineBytesMax ? undefined : Buffer.concat(held).toString('utf8')
    held = []
    length = 0
    return line
  }
  for await (const chunk of input) {
    let start = 0
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      length += end - start
      if (length <= batchLineBytesMax) held.push(chunk.subarray(start, end))
      yield take()
      start = end + 1
    }
    length += chunk.length - start
    // Beyond the limit only the length is kept.
    if (length <= batchLineBytesMax) held.push(chunk.subarray(start))
    else held = []
  }
  if (length > 0) yield take()
}
