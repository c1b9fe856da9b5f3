/** The host of the program inside: it carries bytes between a socket and the engine, and an element signs. */
import { connect, type Socket } from 'node:net'
import type { HostEvents } from './bridge.ts'
import { type Engine, startEngine } from './engine.ts'
import { hostPorts } from './hostPorts.ts'
import { type Peer, serverName } from './peer.ts'

/** What a connection came to. */
export interface Visit {
  readonly suite: string
  readonly isResumed: boolean
  readonly isAuthenticated: boolean
  readonly answer: string
  readonly tickets: number
  readonly signatures: number
}

export class VisitError extends Error {
  readonly code: string

  constructor(code: string, message: string) {
    super(`${code}: ${message}`)
    this.code = code
  }
}

/** Bytes at a time, as a TCP segment brings them. */
const segmentBytes = 1460
/** An engine that is out of memory may have lost the promise that somebody waits for. */
const silenceMsMax = 5000

export interface VisitOptions {
  readonly count: number
  /** The peer's answer is so much longer; 16,000 bytes are nearly a full record. */
  readonly answerBytes?: number
  readonly anchor?: string
}

/** So many connections after each other, each with a question and its answer, in one engine. */
export async function visits(
  code: Uint8Array,
  peer: Peer,
  memoryLimit: number,
  { count, answerBytes = 0, anchor = peer.anchor }: VisitOptions,
): Promise<readonly Visit[]> {
  const host = new Host(peer, answerBytes)
  using engine = await startEngine(code, hostPorts(Date.now), host.events, memoryLimit)
  engine.program.install(serverName, anchor, peer.leaf, peer.element.spki)
  const done: Visit[] = []
  while (done.length < count) done.push(await host.visit(engine))
  return done
}

class Host {
  readonly #peer: Peer
  readonly #question: Uint8Array
  #conversation: Conversation | undefined

  constructor(peer: Peer, answerBytes: number) {
    this.#peer = peer
    this.#question = Buffer.from(String(answerBytes))
  }

  /** Whoever is called from inside does not call back before the program has come to rest. */
  readonly events: HostEvents = {
    send: (bytes) => this.#current.socket.write(bytes),
    sign: (message) =>
      this.#later(async ({ engine, visit }) => {
        visit.signatures++
        engine.program.signed(await this.#peer.element.sign(message))
      }),
    secured: (suite, isResumed, isAuthenticated) => {
      Object.assign(this.#current.visit, { suite, isResumed, isAuthenticated })
      this.#later(({ engine }) => engine.program.write(this.#question))
    },
    data: (bytes) => {
      this.#current.visit.answer += Buffer.from(bytes).toString()
      this.#later(({ engine }) => engine.program.end())
    },
    resumable: () => void this.#current.visit.tickets++,
    ended: () => this.#later(({ resolve }) => resolve()),
    failed: (code, message) => this.#current.reject(new VisitError(code, message)),
  }

  async visit(engine: Engine): Promise<Visit> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const socket = connect(this.#peer.port, '127.0.0.1')
    const visit = { ...nothing }
    const conversation: Conversation = { engine, socket, visit, resolve, reject }
    this.#conversation = conversation
    socket.setTimeout(silenceMsMax, () => reject(new VisitError('', 'it went silent')))
    socket.on('error', reject)
    socket.on('connect', () => attempt(conversation, () => engine.program.connect()))
    socket.on('data', (bytes) => attempt(conversation, () => feed(engine, bytes)))
    socket.on('end', () => attempt(conversation, () => engine.program.endOfStream()))
    try {
      await promise
      return visit
    } finally {
      socket.destroy()
    }
  }

  get #current(): Conversation {
    if (this.#conversation === undefined) throw new Error('nobody is connected')
    return this.#conversation
  }

  #later(act: (conversation: Conversation) => void | Promise<void>): void {
    const conversation = this.#current
    setImmediate(() => attempt(conversation, () => act(conversation)))
  }
}

interface Conversation {
  readonly engine: Engine
  readonly socket: Socket
  readonly visit: { -readonly [Key in keyof Visit]: Visit[Key] }
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

const nothing: Visit = {
  suite: '',
  isResumed: false,
  isAuthenticated: false,
  answer: '',
  tickets: 0,
  signatures: 0,
}

/** For a program that is loaded and never run. */
export const silent: HostEvents = {
  send: () => undefined,
  sign: () => undefined,
  secured: () => undefined,
  data: () => undefined,
  resumable: () => undefined,
  ended: () => undefined,
  failed: () => undefined,
}

function feed({ program }: Engine, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; at += segmentBytes) {
    program.receive(bytes.subarray(at, at + segmentBytes))
  }
}

function attempt({ reject }: Conversation, act: () => void | Promise<void>): void {
  void (async () => act())().catch(reject)
}
