/**
 * Which failures pass by themselves, and how long one command goes on trying. `device run` has a
 * patience of its own, without end: see run.ts.
 */
import { AdapterError, type AnyCountersignError, PeerError } from '@countersign/core/errors'
import { isElementError, isRetryable, type Milliseconds } from '@countersign/core/ports'
import { backoffMs, brokenBackoff } from './backoff.ts'
import type { DeviceErrorCode } from './errors.ts'
import type { Problem } from './problem.ts'
import type { Listener, World } from './world.ts'

/** A command that waits for minutes looks dead: a longer "come again" is its caller's to keep. */
const askedMsMax: Milliseconds = 30_000

/** The server asks to come again (RFC 9110 §10.2.3, Retry-After). */
export class Later extends AdapterError<DeviceErrorCode> {
  readonly afterMs: Milliseconds | undefined

  /** `what` is a sentence about what the server cannot do now. */
  constructor(what: string, problem: Problem, afterMs: Milliseconds | undefined, hint: string) {
    super(
      'ERR_SERVER_ANSWER',
      `${what}: ${problem.message}`,
      { status: problem.status, code: problem.code },
      { hint },
    )
    this.afterMs = afterMs
  }
}

/** A broken way or a server that asks to come again; everything else would only repeat. */
export function isTransient(error: unknown): error is AdapterError {
  if (!(error instanceof AdapterError)) return false
  // A token may be put back, a bus may be free again.
  if (isElementError(error)) return isRetryable(error.code)
  // An element that did not sign may be busy.
  const codes = [
    'ERR_SERVER_UNREACHABLE',
    'ERR_SERVER_TIMEOUT',
    'ERR_SERVER_ANSWER',
    'ERR_TLS_SIGNER',
    'ERR_EDHOC_SIGNER',
  ]
  return codes.includes(error.code)
}

/**
 * Failures of the way and of the other end are worth another attempt, a wrong server too: somebody
 * may stand in between for a while. Our own mistakes and the disk's are not.
 */
export function isOutside(error: unknown): error is AnyCountersignError {
  return error instanceof PeerError || isTransient(error)
}

export interface Persistence {
  readonly attemptsMax: number
  /** Of them, those that nobody answers: each takes half a minute and more. All of them when absent. */
  readonly silencesMax?: number
  readonly world: World
  /** Hears `unreachable` before each further attempt. */
  readonly listener: Listener | undefined
  /** Ends the attempts. */
  readonly signal: AbortSignal | undefined
}

/**
 * Repeats `attempt` while it fails for a reason that may pass, never sooner than the server asked.
 * Throws the last failure.
 */
export async function persist<T>(
  attempt: () => Promise<T>,
  { attemptsMax, silencesMax = attemptsMax, world, listener, signal }: Persistence,
): Promise<T> {
  let silences = 0
  for (let failures = 0; ; failures++) {
    try {
      return await attempt()
    } catch (error) {
      if (!isTransient(error) || failures + 1 >= attemptsMax) throw error
      if (error.code === 'ERR_SERVER_TIMEOUT' && ++silences >= silencesMax) throw error
      const asked = error instanceof Later ? (error.afterMs ?? 0) : 0
      if (asked > askedMsMax) throw error
      const retryInMs = Math.max(asked, backoffMs(failures, brokenBackoff, world.random))
      if (signal?.aborted !== true) {
        const { code, message, hint } = error
        listener?.({ event: 'unreachable', code, message, hint, retryInMs })
        await world.wait(retryInMs, signal)
      }
      if (signal?.aborted === true) throw error
    }
  }
}
