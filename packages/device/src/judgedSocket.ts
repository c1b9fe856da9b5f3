/**
 * The way to the server, whatever road begins there: TLS 1.3, and not a byte of the road's protocol
 * before the server's chain was judged by our own judge against the pinned anchor, the role
 * `server`, explicit serverAuth and the host name (RFC 9525). Whose TLS it is, is the world's choice.
 */
import type { Duplex } from 'node:stream'
import { unreachable } from './failures.ts'
import type { DeviceCredential, Protocol } from './tlsWay.ts'
import type { ServerTarget } from './target.ts'
import type { World } from './world.ts'

export interface JudgedOptions {
  readonly world: World
  readonly target: ServerTarget
  /** Undefined for a first enrolment. */
  readonly credential: DeviceCredential | undefined
  readonly onConnected?: () => void
  readonly onDisconnected?: () => void
}

/**
 * Resolves with a stream that the judge has accepted. The caller's `closing` ends the handshake, and
 * says that the end of the stream is no event.
 */
export async function connectJudged(
  { world, target, credential, onConnected, onDisconnected }: JudgedOptions,
  protocol: Protocol,
  closing: AbortSignal,
): Promise<Duplex> {
  const stream = await world.tls({ world, target, credential, protocol, closing })
  if (closing.aborted || stream.destroyed) {
    stream.destroy()
    throw unreachable(target, undefined)
  }
  onConnected?.()
  // A connection that we close ourselves is no event.
  stream.once('close', () => {
    if (!closing.aborted) onDisconnected?.()
  })
  return stream
}
