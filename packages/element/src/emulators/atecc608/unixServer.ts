/** A server on a UNIX socket that its owner alone may open, closed without a trace. */
import { lstatSync, rmSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { elementError } from '@countersign/core/ports'
import { errorCode } from '../../shapes.ts'

/** sun_path of sockaddr_un: 108 bytes with the final zero on Linux, 104 on macOS. */
const pathBytesMax = 103

export interface UnixServer {
  readonly path: string
  /** Ends all connections and removes the socket. */
  close(): Promise<void>
}

/** `converse` ends when it has nothing more to say; when it throws, the connection is cut. */
export async function serveUnix(
  path: string,
  connectionsMax: number,
  converse: (socket: Socket) => Promise<void>,
  onFault?: (error: unknown) => void,
): Promise<UnixServer> {
  checkPath(path)
  await removeStale(path)
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    // A host that goes away is no fault; what it left unread is nobody's.
    socket.on('error', () => socket.destroy())
    converse(socket).then(
      () => socket.end(),
      (error: unknown) => {
        if (!hasLeft.has(errorCode(error))) onFault?.(error)
        // What was answered before still goes out.
        socket.destroySoon()
      },
    )
  })
  server.maxConnections = connectionsMax
  await listen(server, path)
  return {
    path,
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

const hasLeft: ReadonlySet<string | undefined> = new Set([
  'ECONNRESET',
  'EPIPE',
  'ERR_STREAM_PREMATURE_CLOSE',
])

function checkPath(path: string): void {
  if (process.platform === 'win32') {
    throw elementError('ERR_ELEMENT_UNSUPPORTED', 'this system has no UNIX sockets with a mode')
  }
  if (Buffer.byteLength(path) <= pathBytesMax) return
  throw elementError(
    'ERR_ELEMENT_ARGUMENT',
    `the path of a socket has at most ${pathBytesMax} bytes`,
    {},
    { where: path, hint: 'Take a folder with a shorter name, for example below /run or /tmp.' },
  )
}

/** A socket on which nobody listens any more was left by a process that died. */
async function removeStale(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (found === undefined) return
  if (!found.isSocket()) {
    throw elementError(
      'ERR_ELEMENT_ARGUMENT',
      'there is something at this path that is no socket',
      {},
      { where: path, hint: 'Name another path: what is there is left alone.' },
    )
  }
  if (await isServed(path)) {
    throw elementError(
      'ERR_ELEMENT_BUSY',
      'somebody serves this socket already',
      {},
      { where: path, hint: 'Stop it, or name another path.' },
    )
  }
  rmSync(path, { force: true })
}

/** Anything but a refusal means that it is not ours to remove. */
async function isServed(path: string): Promise<boolean> {
  return await new Promise((resolve) => {
    const probe = connect(path)
    probe.on('connect', () => {
      probe.destroy()
      resolve(true)
    })
    probe.on('error', (error) => {
      resolve(errorCode(error) !== 'ECONNREFUSED' && errorCode(error) !== 'ENOENT')
    })
  })
}

async function listen(server: Server, path: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(
        elementError(
          'ERR_ELEMENT_BUS',
          `the socket cannot be opened: ${cause.message}`,
          {},
          { where: path, hint: 'Does the folder exist, on a file system with sockets?', cause },
        ),
      ),
    )
    // The socket's file is made before `listen` returns, and is its owner's from its first moment.
    const umask = process.umask(0o177)
    try {
      server.listen(path, resolve)
    } finally {
      process.umask(umask)
    }
  })
}
