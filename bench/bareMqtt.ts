/**
 * Node's TLS server with as little MQTT as makes messages flow between the pairs of `mqttLoad.ts`:
 * no packet is checked, no topic matched, nobody authenticated beyond the chain. What is left is
 * what sockets cost in Node, and the bound of whatever is built on them.
 * Arguments: PEM files of the server's chain, its key, and the root. Prints its port.
 */
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer, type TLSSocket } from 'node:tls'

const [cert = '', key = '', ca = ''] = process.argv.slice(2)
const subscribers = new Map<string, TLSSocket>()
const server = createServer(
  {
    cert: readFileSync(cert),
    key: readFileSync(key),
    ca: readFileSync(ca),
    requestCert: true,
    minVersion: 'TLSv1.3',
    noDelay: true,
  },
  (socket) => {
    let rest: Buffer | undefined
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk: Buffer) => {
      const bytes = rest === undefined ? chunk : Buffer.concat([rest, chunk])
      const answers: Buffer[] = []
      let at = 0
      // Packets of this load have at most two bytes of length.
      while (bytes.length - at >= 2) {
        const [first = 0, low = 0] = bytes.subarray(at)
        const isLong = low >= 0x80
        if (isLong && bytes.length - at < 3) break
        const length = isLong ? (low & 0x7f) | ((bytes[at + 2] ?? 0) << 7) : low
        const body = at + (isLong ? 3 : 2)
        if (bytes.length < body + length) break
        answer(socket, first, bytes.subarray(at, body + length), body - at, answers)
        at = body + length
      }
      rest = at < bytes.length ? bytes.subarray(at) : undefined
      if (answers.length > 0)
        socket.write(answers.length === 1 ? (answers[0] ?? '') : Buffer.concat(answers))
    })
  },
)

function answer(
  socket: TLSSocket,
  first: number,
  packet: Buffer,
  body: number,
  answers: Buffer[],
): void {
  switch (first >> 4) {
    case 1:
      answers.push(Buffer.of(0x20, 2, 0, 0))
      return
    case 8: {
      const length = packet.readUInt16BE(body + 2)
      subscribers.set(packet.toString('latin1', body + 4, body + 4 + length), socket)
      answers.push(Buffer.of(0x90, 3, 0, 1, 1))
      return
    }
    case 3: {
      const end = body + 2 + packet.readUInt16BE(body)
      if ((first & 6) !== 0)
        answers.push(Buffer.of(0x40, 2, packet[end] ?? 0, packet[end + 1] ?? 0))
      subscribers.get(packet.toString('latin1', body + 2, end))?.write(packet)
    }
  }
}

server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`)
})
