/**
 * The way to the server: TLS 1.3, and not a byte of HTTP before the server's chain was judged by
 * our own judge against the pinned anchor, the role `server`, explicit serverAuth and the host name
 * (RFC 9525).
 *
 * Limit: Node's TLS finishes the handshake before it asks us, so a false server learns the device's
 * certificate (never its key). The device's own TLS client, which comes with elements that keep
 * their keys, judges before it answers.
 */
import { Agent, type ClientRequestArgs, type IncomingMessage, request } from 'node:http'
import { isIP } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls'
import { AdapterError, isCountersignError } from '@countersign/core/errors'
import { errorCode } from '@countersign/element/shapes'
import type { DeviceErrorCode } from './errors.ts'
import { judgeServer } from './judgeServer.ts'
import type { ServerTarget } from './target.ts'
import type { Patience, World } from './world.ts'

export interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: Uint8Array
}

export interface Question {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array
}

export interface ServerConnection {
  /**
   * One at a time. Throws AdapterError when the way is broken, PeerError when the server is not the
   * right one.
   */
  ask(question: Question): Promise<Answer>
  close(): void
}

export interface ConnectionOptions {
  readonly world: World
  readonly target: ServerTarget
  /** The device's credential; undefined for a first enrolment. */
  readonly context: SecureContext | undefined
  readonly onConnected?: () => void
  readonly onDisconnected?: () => void
}

/** Both with room for a slow element and a slow link. */
const patience: Patience = { handshakeMs: 10_000, answerMs: 30_000 }
/** An EST answer with a chain is a few KiB; nothing else that we ask for is larger. */
const answerBytesMax = 256 * 1024

/** Connects at the first question, and again after a break. The caller closes it. */
export function openConnection(options: ConnectionOptions): ServerConnection {
  const agent = new JudgingAgent(options)
  return {
    ask: (question) => ask(agent, options, question),
    close: () => agent.destroy(),
  }
}

/** Hands HTTP a socket only after the judge has spoken. */
class JudgingAgent extends Agent {
  readonly #options: ConnectionOptions
  readonly #closing: AbortController = new AbortController()

  constructor(options: ConnectionOptions) {
    super({ keepAlive: true, maxSockets: 1 })
    this.#options = options
  }

  /** Ends handshakes too, which the agent of Node does not know of yet. */
  override destroy(): void {
    this.#closing.abort()
    super.destroy()
  }

  override createConnection(
    _: ClientRequestArgs,
    callback?: (error: Error | null, stream: Duplex) => void,
  ): undefined {
    connectJudged(this.#options, this.#closing.signal).then(
      (socket) => callback?.(null, socket),
      // With an error Node looks at no stream, though the types ask for one.
      (error: unknown) => Reflect.apply(callback ?? ignore, undefined, [asError(error)]),
    )
  }
}

function ignore(): void {
  // Node always hands a callback in.
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}

async function connectJudged(options: ConnectionOptions, closing: AbortSignal): Promise<TLSSocket> {
  const { target, context, onConnected, onDisconnected } = options
  const socket = connect({
    host: target.host,
    port: target.port,
    // RFC 6066 §3: an address is no server name.
    ...(isIP(target.host) === 0 ? { servername: target.host } : {}),
    ALPNProtocols: ['http/1.1'],
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
  { target, world }: ConnectionOptions,
  closing: AbortSignal,
): Promise<void> {
  const { handshakeMs } = world.patience ?? patience
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
    // Stays: an error may come in the same turn as the end of the handshake, before HTTP listens.
    socket.on('error', onError)
    socket.once('close', onClose)
    closing.addEventListener('abort', onClose, { once: true })
    if (closing.aborted) onClose()
  })
}

function ask(
  agent: Agent,
  { target, world }: ConnectionOptions,
  question: Question,
): Promise<Answer> {
  const { answerMs } = world.patience ?? patience
  return new Promise((resolve, reject) => {
    const body = question.body ?? new Uint8Array()
    const outgoing = request({
      agent,
      protocol: 'http:',
      host: target.host,
      port: target.port,
      method: question.method,
      path: question.path,
      headers: {
        host: new URL(target.url).host,
        'content-length': body.length,
        ...question.headers,
      },
    })
    // For the whole answer, connecting included: a drop now and then does not prolong it.
    const timer = setTimeout(
      () => outgoing.destroy(timeout(target, 'the answer', answerMs)),
      answerMs,
    )
    const settle = (): void => clearTimeout(timer)
    outgoing.once('error', (error) => {
      settle()
      reject(isCountersignError(error) ? error : unreachable(target, error))
    })
    outgoing.once('response', (incoming) => {
      collect(incoming, target).finally(settle).then(resolve, reject)
    })
    outgoing.end(body)
  })
}

async function collect(incoming: IncomingMessage, target: ServerTarget): Promise<Answer> {
  const parts: Uint8Array[] = []
  let length = 0
  try {
    for await (const part of incoming.iterator()) {
      if (!(part instanceof Uint8Array)) continue
      length += part.length
      if (length > answerBytesMax) throw new Error(`an answer of more than ${answerBytesMax} bytes`)
      parts.push(part)
    }
  } catch (error) {
    incoming.destroy()
    throw unreachable(target, error)
  }
  return { status: incoming.statusCode ?? 0, headers: incoming.headers, body: Buffer.concat(parts) }
}

function unreachable(target: ServerTarget, cause: unknown): AdapterError<DeviceErrorCode> {
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

function timeout(target: ServerTarget, what: string, ms: number): AdapterError<DeviceErrorCode> {
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
