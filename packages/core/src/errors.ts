/**
 * The four kinds of error. The class says whose fault it is, the code what went wrong, `hint` what
 * to do about it. Messages and details carry identifiers and public values only: they end in logs.
 */

export type ErrorDetails = Readonly<Record<string, string | number | boolean | undefined>>

export interface ErrorOptions {
  /** Where in the input: a link of the chain, a field, a path. One line. */
  readonly where?: string
  /** What the reader can do about it. One sentence. */
  readonly hint?: string
  readonly cause?: unknown
}

abstract class CountersignError<Code extends string = string> extends Error {
  readonly code: Code
  readonly where: string | undefined
  readonly hint: string | undefined
  readonly details: ErrorDetails

  constructor(code: Code, message: string, details: ErrorDetails = {}, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = new.target.name
    this.code = code
    this.details = details
    this.where = options.where
    this.hint = options.hint
  }
}

/** The other side sent something that we refuse. */
export class PeerError<Code extends string = string> extends CountersignError<Code> {}

/** Our API, command or configuration was used wrongly. */
export class CallerError<Code extends string = string> extends CountersignError<Code> {}

/** A bus, file, store or network below us failed. */
export class AdapterError<Code extends string = string> extends CountersignError<Code> {}

/** Our own bug: a state that the code claims to be impossible. */
export class InvariantError<Code extends string = string> extends CountersignError<Code> {}

export type AnyCountersignError = PeerError | CallerError | AdapterError | InvariantError

export function isCountersignError(error: unknown): error is AnyCountersignError {
  return error instanceof CountersignError
}
