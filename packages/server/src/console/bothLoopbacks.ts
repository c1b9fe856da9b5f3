/**
 * `localhost` is two addresses, and a browser tries both (RFC 6761 §6.3). Whoever else on this
 * machine listened at our port of the other one would be handed the links, cookies and tokens that
 * are meant for this door. So the door holds that address too.
 */
import { createServer, type Server } from 'node:net'
import { isLoopback } from '../address.ts'

export interface OtherLoopback {
  /** False: somebody else has it, and `localhost` is not ours to be called by. */
  readonly ours: boolean
  /** Resolves when its connections have ended. */
  close(): Promise<void>
}

export const noOther: OtherLoopback = { ours: true, close: () => Promise.resolve() }

const others: ReadonlyMap<string, string> = new Map([
  ['127.0.0.1', '::1'],
  ['::1', '127.0.0.1'],
])

/** Connections to the other address are the door's, as if they had come to its own. */
export function holdOther(door: Server): Promise<OtherLoopback> {
  const bound = door.address()
  if (typeof bound !== 'object' || bound === null) return Promise.resolve(noOther)
  const host = others.get(bound.address)
  // At another loopback address (127.0.0.2) `localhost` leads elsewhere; beyond loopback the door is
  // not called by it.
  if (host === undefined) return Promise.resolve({ ...noOther, ours: !isLoopback(bound.address) })
  const options = { allowHalfOpen: true, noDelay: true }
  const other = createServer(options, (socket) => door.emit('connection', socket))
  other.maxConnections = door.maxConnections
  return new Promise((resolve) => {
    // Only a port in use means somebody else; a machine without IPv6 has nobody there.
    other.once('error', (error: NodeJS.ErrnoException) =>
      resolve({ ...noOther, ours: error.code !== 'EADDRINUSE' }),
    )
    other.listen({ host, port: bound.port }, () =>
      resolve({ ours: true, close: () => new Promise((closed) => other.close(() => closed())) }),
    )
  })
}
