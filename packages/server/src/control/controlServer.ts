/**
 * The control socket of a running `serve`: a UNIX socket of mode 0600 in the data folder, a named
 * pipe on Windows. Whoever may open it is the owner of the folder, so that there is no further
 * login. Operations run one by one per connection, in order.
 */
import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { AdapterError, PeerError } from '@countersign/core/errors'
import type { Log } from '../ports.ts'
import { type Answer, carry, LineReader, type Request, requestBytesMax } from './protocol.ts'

/** The commands of one operator, some scripts, and room. */
const connectionsMax = 64
/** Requests that one connection may have waiting before we stop reading from it. */
const waitingMax = 64

/** sun_path of sockaddr_un: 108 bytes with the final zero on Linux, 104 on macOS. */
const socketPathBytesMax = 103
const socketFile = 'control.sock'

export type RunOperation = (operation: string, params: unknown) => Promise<unknown>

export interface ControlServer {
  readonly endpoint: string
  close(): Promise<void>
}

/**
 * The caller holds the folder's lock: a socket file that is there was left by a process that died.
 * It announces the endpoint.
 */
export async function openControl(
  dir: string,
  run: RunOperation,
  log: Log,
): Promise<ControlServer> {
  const { endpoint, temporary } = await chooseEndpoint(dir)
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    converse(socket, run, log)
  })
  server.maxConnections = connectionsMax
  await listen(server, endpoint)
  if (process.platform !== 'win32') await chmod(endpoint, 0o600)
  return {
    endpoint,
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of sockets) socket.end()
      const timer = setTimeout(() => {
        for (const socket of sockets) socket.destroy()
      }, 1000)
      await closed
      clearTimeout(timer)
      if (temporary) await rm(dirname(endpoint), { recursive: true, force: true })
    },
  }
}

async function chooseEndpoint(dir: string): Promise<{ endpoint: string; temporary: boolean }> {
  if (process.platform === 'win32') {
    // Random: a name that others could guess, they could also occupy.
    return {
      endpoint: `\\\\.\\pipe\\countersign-${randomBytes(16).toString('hex')}`,
      temporary: false,
    }
  }
  const usual = join(dir, socketFile)
  await rm(usual, { force: true })
  if (Buffer.byteLength(usual) <= socketPathBytesMax) return { endpoint: usual, temporary: false }
  // mkdtemp makes the folder with mode 0700.
  return { endpoint: join(await mkdtemp(join(tmpdir(), 'csgn-')), socketFile), temporary: true }
}

async function listen(server: Server, endpoint: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(
        new AdapterError(
          'ERR_CONTROL_SOCKET',
          `the control socket cannot be opened: ${cause.message}`,
          {},
          {
            where: endpoint,
            hint: 'Is the data folder on a file system that knows sockets? Others (some network shares) do not.',
            cause,
          },
        ),
      ),
    )
    // The socket's file is made before `listen` returns: it must not be others' even until its mode
    // is set.
    const umask = process.platform === 'win32' ? undefined : process.umask(0o177)
    try {
      server.listen(endpoint, resolve)
    } finally {
      if (umask !== undefined) process.umask(umask)
    }
  })
}

function converse(socket: Socket, run: RunOperation, log: Log): void {
  let waiting = 0
  let turn: Promise<void> = Promise.resolve()
  const reader = new LineReader(requestBytesMax, (line) => {
    waiting += 1
    if (waiting >= waitingMax) socket.pause()
    turn = turn.then(async () => {
      const answer = await answerTo(line, run, log)
      if (!socket.destroyed) socket.write(`${JSON.stringify(answer)}\n`)
      waiting -= 1
      if (waiting < waitingMax) socket.resume()
    })
  })
  socket.on('error', () => socket.destroy())
  socket.on('data', (chunk: Buffer) => {
    try {
      reader.push(chunk)
    } catch (error) {
      socket.end(`${JSON.stringify({ id: 0, error: carry(error) })}\n`)
    }
  })
}

async function answerTo(line: string, run: RunOperation, log: Log): Promise<Answer> {
  let id = 0
  try {
    const request = parseRequest(line)
    id = request.id
    return { id, result: (await run(request.operation, request.params)) ?? null }
  } catch (error) {
    const carried = carry(error)
    if (carried.code === 'ERR_BUG') {
      log.error({ stack: error instanceof Error ? (error.stack ?? '') : '' }, carried.message)
    }
    return { id, error: carried }
  }
}

function parseRequest(line: string): Request {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch (cause) {
    throw new PeerError('ERR_CONTROL_REQUEST', 'a request is not JSON', {}, { cause })
  }
  const { id, operation, params } = (value ?? {}) as Partial<Request>
  if (typeof id !== 'number' || typeof operation !== 'string') {
    throw new PeerError('ERR_CONTROL_REQUEST', 'a request needs a number id and an operation')
  }
  return { id, operation, params: params ?? {} }
}
