/**
 * The way to the server, whatever road begins there: TLS 1.3, and not a byte of the road's protocol
 * before the server's chain was judged by our own judge against the pinned anchor, the role
 * `server`, explicit serverAuth and the host name (RFC 9525).
 *
 * Limit: Node's TLS finishes the handshake before it asks us, so a false server learns the device's
 * certificate (never its key). The device's own TLS client, which comes with elements that keep
 * their keys, judges before it answers.
 */
import { isIP } from 'node:net'
import { connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls'
import { AdapterError } from '@countersign/core/errors'
import { errorCode } from '@countersign/element/shapes'
import type { DeviceErrorCode } from './errors.ts'
import { judgeServer } from './judgeServer.ts'
import type { ServerTarget } from './target.ts'
import type { Patience, World } from './world.ts'

export interface JudgedOptions {
  readonly world: World
  readonly target: ServerTarget
  /** The device's credential; undefined for a first enrolment. */
  readonly context: SecureContext | undefined
  readonly onConnected?: () => void
  readonly onDisconnected?: () => void
}

/** What is spoken behind the handshake (RFC 7301). */
export type Protocol = 'http/1.1' | 'mqtt'

/** Both with room for a slow element and a slow link. */
const patience: Patience = { handshakeMs: 10_000, answerMs: 30_000 }

export function patienceOf(world: World): Patience {
  return world.patience ?? patience
}

/**
 * Resolves with a socket that the judge has accepted. The caller's `closing` ends the handshake, and
 * says that the end of the socket is no event.
 */
export async function connectJudged(
  options: JudgedOptions,
  protocol: Protocol,
  closing: AbortSignal,
): Promise<TLSSocket> {
  const { target, context, onConnected, onDisconnected } = options
  const socket = connect({
    host: target.host,
    port: target.port,
    // RFC 6066 §3: an address is no server name.
    ...(isIP(target.host) === 0 ? { servername: target.host } : {}),
    ALPNProtocols: [protocol],
    rejectUnauthorized: false,
    secureContext: context ?? createSecureContext({ minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3' }),
  })
  await handshake(socket, options, closing)
  try {
    judgeServer(socket, target, options.world)
    if (socket.destroyed) throw unreachable(target, undefined)
  } catch (error) {
    socket.destroy()
    throw error
  }
  onConnected?.()
  // A connection that we close ourselves is no event.
  socket.once('close', () => {
    if (!closing.aborted) onDisconnected?.()
  })
  return socket
}

function handshake(
  socket: TLSSocket,
  { target, world }: JudgedOptions,
  closing: AbortSignal,
): Promise<void> {
  const { handshakeMs } = patienceOf(world)
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => fail(timeout(target, 'the handshake', handshakeMs)), handshakeMs)
    const settle = (): void => {
      clearTimeout(timer)
      socket.off('close', onClose)
      closing.removeEventListener('abort', onClose)
    }
    const fail = (error: Error): void => {
      settle()
      socket.destroy()
      reject(error)
    }
    const onError = (error: Error): void => fail(unreachable(target, error))
    const onClose = (): void => fail(unreachable(target, undefined))
    socket.once('secureConnect', () => {
      settle()
      resolve()
    })
    // Stays: an error may come in the same turn as the end of the handshake, before the road listens.
    socket.on('error', onError)
    socket.once('close', onClose)
    closing.addEventListener('abort', onClose, { once: true })
    if (closing.aborted) onClose()
  })
}

export function unreachable(target: ServerTarget, cause: unknown): AdapterError<DeviceErrorCode> {
  const code = errorCode(cause) ?? 'closed'
  return new AdapterError(
    'ERR_SERVER_UNREACHABLE',
    `the connection to the server failed (${code})`,
    { reason: code },
    {
      where: target.url,
      hint: 'Check that "countersign serve" runs there and that host and port are right.',
      cause,
    },
  )
}

export function timeout(
  target: ServerTarget,
  what: string,
  ms: number,
): AdapterError<DeviceErrorCode> {
  return new AdapterError(
    'ERR_SERVER_TIMEOUT',
    `${what} did not come within ${ms / 1000} seconds`,
    {},
    {
      where: target.url,
      hint: 'Check the network between; the server may be overloaded, or something else answers there.',
    },
  )
}
