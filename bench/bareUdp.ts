/** What a datagram costs in Node: each is sent back as it came. Prints its port. */
import { createSocket } from 'node:dgram'

const socket = createSocket({ type: 'udp4', recvBufferSize: 4 * 1024 * 1024 })
socket.on('message', (datagram, { address, port }) => socket.send(datagram, port, address))
socket.bind(0, '127.0.0.1', () => process.stdout.write(`${socket.address().port}\n`))
