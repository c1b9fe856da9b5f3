/** A way to a door of the server that can be made deaf, and cut. */
import { once } from 'node:events'
import { createServer, connect as dial, type Socket } from 'node:net'
import { after } from 'node:test'

export interface Way {
  /** Of the door, by this way. */
  readonly url: string
  /** What the device says gets lost. */
  deaf: boolean
  /** Ends what goes on; the next connection is carried again. */
  readonly cut: () => void
}

export async function openWay(door: string): Promise<Way> {
  const { protocol, port: onwardPort } = new URL(door)
  const sockets = new Set<Socket>()
  const cut = (): void => {
    for (const socket of sockets) socket.destroy()
    sockets.clear()
  }
  const server = createServer((device) => {
    const onward = dial(Number(onwardPort), '127.0.0.1')
    for (const socket of [device, onward]) {
      sockets.add(socket)
      socket.on('error', () => socket.destroy())
    }
    device
      .on('close', () => onward.destroy())
      .on('data', (bytes) => way.deaf || onward.write(bytes))
    onward.on('close', () => device.destroy()).on('data', (bytes) => device.write(bytes))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  after(() => {
    cut()
    server.close()
  })
  const address = server.address()
  const port = address === null || typeof address === 'string' ? 0 : address.port
  const way: Way = { url: `${protocol}//localhost:${port}`, deaf: false, cut }
  return way
}
