/** Opens a listening socket, or says which door could not be opened and why. */
import type { Server } from 'node:net'
import { AdapterError } from '@countersign/core/errors'

export interface ListenAddress {
  readonly host: string
  /** 0: any free port. */
  readonly port: number
}

export type ListenErrorCode = 'ERR_PORT_TAKEN' | 'ERR_LISTEN'

export function listen(server: Server, door: string, at: ListenAddress): Promise<number> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void => reject(listenError(door, at, error))
    server.once('error', failed)
    server.listen({ host: at.host, port: at.port }, () => {
      server.off('error', failed)
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : at.port)
    })
  })
}

export function listenError(
  door: string,
  at: ListenAddress,
  cause: NodeJS.ErrnoException,
): AdapterError<ListenErrorCode> {
  const where = `${door} on ${at.host}:${at.port}`
  if (cause.code === 'EADDRINUSE')
    return new AdapterError(
      'ERR_PORT_TAKEN',
      'another program listens there',
      {},
      {
        where,
        hint: `Choose another port: --listen ${door}=${at.host}:<port>, 0 for any free one.`,
        cause,
      },
    )
  return new AdapterError(
    'ERR_LISTEN',
    `the door cannot be opened there (${cause.code ?? cause.message})`,
    {},
    {
      where,
      hint: 'Check that the address belongs to this machine and that the port is allowed.',
      cause,
    },
  )
}
