/** A way to the coap door that counts what goes by; it carries everything. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { after } from 'node:test'
import { coapCode, optionNumber, parseMessage } from '@countersign/core/coap'
import { edhocContentFormat } from '@countersign/core/channel'

export interface WatchedWay {
  /** Of the door, by this way. */
  readonly url: string
  /** Different answers with message_2 that went by. */
  handshakes(): number
  /** As a NAT that lost its table: what comes from where the device is now gets nowhere any more. */
  forget(): void
}

export async function watchedWay(door: string): Promise<WatchedWay> {
  const port = Number(new URL(door).port)
  const front = createSocket('udp4')
  const onward = createSocket('udp4')
  let device = 0
  let forgotten = 0
  const handshakes = new Set<string>()
  front.on('message', (datagram, from) => {
    if (from.port === forgotten) return
    device = from.port
    onward.send(datagram, port, '127.0.0.1')
  })
  onward.on('message', (datagram) => {
    // Sent again, it is the same.
    if (isMessage2(datagram)) handshakes.add(datagram.toString('hex'))
    front.send(datagram, device, '127.0.0.1')
  })
  for (const socket of [front, onward]) {
    socket.bind(0, '127.0.0.1')
    await once(socket, 'listening')
    after(() => socket.close())
  }
  const url = `coap://127.0.0.1:${front.address().port}`
  return {
    url,
    handshakes: () => handshakes.size,
    forget: () => {
      forgotten = device
    },
  }
}

/** By its Content-Format; what OSCORE protects shows none. */
function isMessage2(datagram: Uint8Array): boolean {
  const { code, options } = parseMessage(datagram)
  const format = options.find(({ number }) => number === optionNumber.contentFormat)?.value
  return code === coapCode.changed && format?.[0] === edhocContentFormat.message
}
