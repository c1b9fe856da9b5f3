/**
 * The control socket's language: one JSON document per line, any number of requests per connection,
 * answers carry the request's id. `{id, operation, params}` → `{id, result}` or `{id, error}`. An
 * error keeps its class, so that the command ends as if it had run the operation itself.
 */
import {
  AdapterError,
  type AnyCountersignError,
  CallerError,
  InvariantError,
  isCountersignError,
  PeerError,
} from '@countersign/core/errors'

/** The longest request: a CSR or a foreign certificate with room to spare. */
export const requestBytesMax: number = 1024 * 1024
/** The longest answer: a CRL of a million entries in base64. */
export const answerBytesMax: number = 64 * 1024 * 1024

export interface Request {
  readonly id: number
  readonly operation: string
  readonly params: unknown
}

export type ErrorClass = 'PeerError' | 'CallerError' | 'AdapterError' | 'InvariantError'

export interface CarriedError {
  readonly class: ErrorClass
  readonly code: string
  readonly message: string
  readonly where: string | null
  readonly hint: string | null
}

export type Answer =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: CarriedError }

export function carry(error: unknown): CarriedError {
  if (!isCountersignError(error)) return carryForeign(error)
  return {
    class: classOf(error),
    code: error.code,
    message: error.message,
    where: error.where ?? null,
    hint: error.hint ?? null,
  }
}

/** What the operating system refused is told as such; anything else is a defect. */
function carryForeign(error: unknown): CarriedError {
  const message = error instanceof Error ? error.message : String(error)
  if (!(error instanceof Error && 'syscall' in error && 'code' in error)) {
    return { class: 'InvariantError', code: 'ERR_BUG', message, where: null, hint: bugHint }
  }
  const where = 'path' in error && typeof error.path === 'string' ? error.path : null
  const code = `ERR_SYSTEM_${String(error.code)}`
  return { class: 'AdapterError', code, message, where, hint: null }
}

function classOf(error: AnyCountersignError): ErrorClass {
  if (error instanceof PeerError) return 'PeerError'
  if (error instanceof CallerError) return 'CallerError'
  return error instanceof AdapterError ? 'AdapterError' : 'InvariantError'
}

const bugHint = 'This is a defect of countersign. Please report it with the log of serve.'

const classes = { PeerError, CallerError, AdapterError, InvariantError } as const

export function uncarry(carried: CarriedError): Error {
  const Class = classes[carried.class] ?? InvariantError
  return new Class(
    carried.code,
    carried.message,
    {},
    {
      ...(carried.where === null ? {} : { where: carried.where }),
      ...(carried.hint === null ? {} : { hint: carried.hint }),
    },
  )
}

/**
 * Cuts a byte stream into lines. Bounded: a peer that never ends its line is refused instead of
 * filling the memory.
 */
export class LineReader {
  readonly #bytesMax: number
  readonly #onLine: (line: string) => void
  #parts: Buffer[] = []
  #length = 0

  constructor(bytesMax: number, onLine: (line: string) => void) {
    this.#bytesMax = bytesMax
    this.#onLine = onLine
  }

  /** Throws PeerError ERR_CONTROL_LINE when a line is longer than agreed. */
  push(chunk: Buffer): void {
    let from = 0
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, from)) {
      this.#keep(chunk.subarray(from, at))
      from = at + 1
      const line = Buffer.concat(this.#parts).toString('utf8')
      this.#parts = []
      this.#length = 0
      if (line.trim() !== '') this.#onLine(line)
    }
    this.#keep(chunk.subarray(from))
  }

  #keep(part: Buffer): void {
    this.#length += part.length
    if (this.#length > this.#bytesMax) {
      throw new PeerError('ERR_CONTROL_LINE', `a line is longer than ${this.#bytesMax} bytes`)
    }
    if (part.length > 0) this.#parts.push(part)
  }
}
