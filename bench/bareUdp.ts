/**
 * What a datagram costs in Node: each is sent back as it came. With the argument `sealed` it goes
 * through AES-CCM twice before that, as a request under OSCORE and its response do. Prints its port.
 */
import { createCipheriv, createSecretKey } from 'node:crypto'
import { createSocket } from 'node:dgram'

const isSealed = process.argv[2] === 'sealed'
const key = createSecretKey(Buffer.alloc(16, 7))
const nonce = Buffer.alloc(13, 1)
const additional = Buffer.alloc(25)

const socket = createSocket({ type: 'udp4', recvBufferSize: 4 * 1024 * 1024 })
socket.on('message', (datagram, { address, port }) => {
  if (isSealed) for (const part of [datagram.subarray(28), datagram.subarray(0, 1)]) seal(part)
  socket.send(datagram, port, address)
})
socket.bind(0, '127.0.0.1', () => process.stdout.write(`${socket.address().port}\n`))

/** Opening costs as much. */
function seal(part: Buffer): void {
  const cipher = createCipheriv('aes-128-ccm', key, nonce, { authTagLength: 8 })
  cipher.setAAD(additional, { plaintextLength: part.length })
  cipher.update(part)
  cipher.final()
  cipher.getAuthTag()
}
