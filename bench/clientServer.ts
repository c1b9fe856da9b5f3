/**
 * The server that both clients are measured against, run by clientPeer.ts: Node's TLS 1.3 with
 * AES-128-GCM, a certificate asked for and its chain checked. Does what the first five bytes of a
 * connection say: `D` and a number sends so many bytes, `U` and a number takes them and answers with
 * one; a connection that says nothing is held. Prints its port. Without arguments: plain TCP that
 * holds what comes. A client that is refused ends the process: refusals must not be measured.
 */
import { readFileSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import tls from 'node:tls'

const [folder] = process.argv.slice(2)
const chunk = Buffer.alloc(16_384, 7)

const server = folder === undefined ? createServer(held) : tlsServer(folder)
server.listen({ port: 0, host: '127.0.0.1', backlog: 1024 }, () => {
  const address = server.address()
  process.stdout.write(`${typeof address === 'object' ? address?.port : address}\n`)
})
process.on('SIGTERM', () => process.exit(0))

function tlsServer(from: string): Server {
  const made = tls.createServer(
    {
      cert: readFileSync(join(from, 'serverChain.pem')),
      key: readFileSync(join(from, 'server.key')),
      ca: readFileSync(join(from, 'root.pem')),
      requestCert: true,
      rejectUnauthorized: true,
      minVersion: 'TLSv1.3',
      ciphers: 'TLS_AES_128_GCM_SHA256',
      ecdhCurve: 'X25519MLKEM768:X25519',
      sessionIdContext: 'bench',
    },
    served,
  )
  return made.on('tlsClientError', (error) => {
    process.stderr.write(`refused: ${error.message}\n`)
    process.exit(1)
  })
}

function held(socket: Socket): void {
  socket.on('error', () => undefined).resume()
}

function served(socket: Socket): void {
  socket.on('error', () => undefined)
  socket.once('data', (order: Buffer) => {
    const count = order.readUInt32BE(1)
    if (order.toString('latin1', 0, 1) === 'D') send(socket, count)
    else take(socket, count, order.length - 5)
  })
}

function send(socket: Socket, count: number): void {
  let left = count
  const more = (): void => {
    while (left > 0) {
      const part = left < chunk.length ? chunk.subarray(0, left) : chunk
      left -= part.length
      if (!socket.write(part)) {
        socket.once('drain', more)
        return
      }
    }
  }
  more()
}

function take(socket: Socket, count: number, already: number): void {
  let left = count - already
  socket.on('data', (bytes: Buffer) => {
    left -= bytes.length
    if (left === 0) socket.write('.')
  })
}
