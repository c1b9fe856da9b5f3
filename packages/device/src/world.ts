/**
 * What a device takes from the world, so that tests and the demo can hold it in their hand.
 * `compose.ts` names the real ones.
 */
import type { ChannelCrypto, Clock, Milliseconds, Random } from '@countersign/core/ports'
import type { SecureElement } from '@countersign/element/ports'
import type { CommandEvent } from './portable/commandDesk.ts'
import type { TlsWay } from './tlsWay.ts'

export interface World {
  readonly clock: Clock
  readonly random: Random
  readonly crypto: ChannelCrypto
  /** Whose TLS is spoken. */
  readonly tls: TlsWay
  /** How long an answer may take; sensible for slow links when absent. */
  readonly patience?: Patience
  /** A rest: resolves after that time, or at once when the signal fires. Never rejects. */
  wait(milliseconds: Milliseconds, signal?: AbortSignal): Promise<void>
  /** A limit to what may take too long. Resolves as `wait` does. */
  limit(milliseconds: Milliseconds, signal: AbortSignal): Promise<void>
  /**
   * Opens the element that this URL names; files are inside `folder`. One that must be there is not
   * made anew: a device whose element is gone is not the same with another.
   */
  openElement(
    url: string,
    folder: string,
    how?: { readonly mustExist: boolean },
  ): Promise<SecureElement>
}

export interface Patience {
  readonly handshakeMs: Milliseconds
  readonly answerMs: Milliseconds
}

/**
 * What happens to a running device, in the order in which it happens. Times are the device's own.
 */
export type DeviceEvent =
  | { readonly event: 'connected'; readonly server: string }
  | { readonly event: 'disconnected'; readonly server: string }
  | { readonly event: 'sent'; readonly number: number; readonly id: string; readonly topic: string }
  /** The server will never take this reading: it is given up. */
  | {
      readonly event: 'rejected'
      readonly number: number
      /** Of HTTP; over mqtts the reason code of MQTT 5, which is below 256. */
      readonly status: number
      readonly reason: string
    }
  /** The outbox was full: the oldest readings went. */
  | { readonly event: 'dropped'; readonly numbers: readonly number[] }
  | {
      readonly event: 'refused'
      readonly code: string
      readonly message: string
      readonly hint: string | undefined
      readonly retryInMs: Milliseconds
    }
  | {
      readonly event: 'unreachable'
      readonly code: string
      readonly message: string
      readonly hint: string | undefined
      readonly retryInMs: Milliseconds
    }
  | { readonly event: 'renewed'; readonly notAfter: string }
  | { readonly event: 'renewalFailed'; readonly code: string; readonly message: string }
  | CommandEvent

export type Listener = (event: DeviceEvent) => void

/** Resolves when the signal fires, or has. */
export function fired(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
