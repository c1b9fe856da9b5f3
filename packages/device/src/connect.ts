/** HTTP/1.1 with the server, on sockets that the judge has accepted: see judgedSocket.ts. */
import { Agent, type ClientRequestArgs, type IncomingMessage, request } from 'node:http'
import type { Duplex } from 'node:stream'
import { patienceOf, timeout, unreachable, wayBroken } from './failures.ts'
import { connectJudged, type JudgedOptions } from './judgedSocket.ts'
import type { ServerTarget } from './target.ts'

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

export type ConnectionOptions = JudgedOptions

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
    connectJudged(this.#options, 'http/1.1', this.#closing.signal).then(
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

function ask(
  agent: Agent,
  { target, world }: ConnectionOptions,
  question: Question,
): Promise<Answer> {
  const { answerMs } = patienceOf(world)
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
      reject(wayBroken(target, error))
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
