/** What can go wrong on the narrow channel, as its user sees it. */
import { AdapterError, CallerError, PeerError } from '@countersign/core/errors'
import type { Milliseconds } from '@countersign/core/ports'

export type NarrowErrorCode =
  /** Nothing that verifies came back in time. */
  | 'ERR_NARROW_TIMEOUT'
  /** The server, or somebody in its name, asks to come later. */
  | 'ERR_NARROW_BUSY'
  /** A new handshake is due and not allowed yet: see `afterMs` of the details. */
  | 'ERR_NARROW_BUDGET'
  /** The storage did not take the record. */
  | 'ERR_NARROW_STORAGE'
  /** What the storage holds is not a record. */
  | 'ERR_NARROW_RECORD'
  /** The session sleeps or was closed. */
  | 'ERR_NARROW_CLOSED'
  /** The other end ended the handshake. Nobody authenticates what it says. */
  | 'ERR_NARROW_REFUSED'
  /** The server names a credential that this device does not have and did not get by value. */
  | 'ERR_NARROW_CREDENTIAL'
  | 'ERR_NARROW_ARGUMENT'

export function noAnswer(what: string, cause?: unknown): AdapterError<NarrowErrorCode> {
  const hint = 'Check the way to the server, and that it listens there; it is tried again.'
  return new AdapterError('ERR_NARROW_TIMEOUT', `${what} was not answered`, {}, { hint, cause })
}

export function busy(said: string): AdapterError<NarrowErrorCode> {
  const hint = 'It is tried again.'
  return new AdapterError(
    'ERR_NARROW_BUSY',
    `the server cannot take a handshake now: ${said}`,
    {},
    { hint },
  )
}

/** The server restarts again and again, or a round trip takes longer than an Echo value lives. */
export function neverFresh(): AdapterError<NarrowErrorCode> {
  const hint = 'It is tried again.'
  const message = 'the server asks again and again whether the request is new'
  return new AdapterError('ERR_NARROW_BUSY', message, {}, { hint })
}

export function notYet(afterMs: Milliseconds): AdapterError<NarrowErrorCode> {
  const seconds = Math.ceil(afterMs / 1000)
  return new AdapterError(
    'ERR_NARROW_BUDGET',
    `a new handshake is due, and may begin in ${seconds} seconds`,
    { afterMs },
    { hint: 'The last one failed: look at the server, or wait.' },
  )
}

export function storageFailed(cause: unknown): AdapterError<NarrowErrorCode> {
  const hint = 'Check the storage: nothing is sent before it is written down.'
  return new AdapterError('ERR_NARROW_STORAGE', 'the record was not stored', {}, { hint, cause })
}

export function recordDamaged(cause: unknown): AdapterError<NarrowErrorCode> {
  const hint = 'Remove the record: the next message makes a new handshake.'
  return new AdapterError(
    'ERR_NARROW_RECORD',
    'the stored record is not readable',
    {},
    { hint, cause },
  )
}

export function closed(): CallerError<NarrowErrorCode> {
  const hint = 'Wake the session, or open another one.'
  return new CallerError('ERR_NARROW_CLOSED', 'the session sleeps or was closed', {}, { hint })
}

export function misuse(what: string, hint: string): CallerError<NarrowErrorCode> {
  return new CallerError('ERR_NARROW_ARGUMENT', what, {}, { hint })
}

export function refused(
  said: string,
  details: Readonly<Record<string, string | number | undefined>>,
): PeerError<NarrowErrorCode> {
  return new PeerError(
    'ERR_NARROW_REFUSED',
    `the other end ended the handshake: ${said}`,
    details,
    {
      hint: 'On the server "countersign identity why" says why; whoever is on the path can say it too.',
    },
  )
}

export function unknownCredential(what: string): PeerError<NarrowErrorCode> {
  const hint = 'Try again: the server is then asked to send its certificate by value.'
  return new PeerError('ERR_NARROW_CREDENTIAL', what, {}, { hint })
}
