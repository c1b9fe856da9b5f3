/** A way to the coap door that counts what goes by; it carries everything. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { after } from 'node:test'
import { coapCode, parseMessage } from '@countersign/core/coap'
import { edhocContentFormat } from '@countersign/core/channel'

export interface WatchedWay {
  /** Of the door, by this way. */
  readonly url: string
  /** Answers with message_2 that went by. */
  handshakes(): number
}

export async function watchedWay(door: string): Promise<WatchedWay> {
  const port = Number(new URL(door).port)
  const front = createSocket('udp4')
  const onward = createSocket('udp4')
  let device = 0
  let handshakes = 0
  front.on('message', (datagram, from) => {
    device = from.port
    onward.send(datagram, port, '127.0.0.1')
  })
  onward.on('message', (datagram) => {
    const { code, payload } = parseMessage(datagram)
    if (code === coapCode.changed && payload.length > 0) handshakes += isMessage2(datagram) ? 1 : 0
    front.send(datagram, device, '127.0.0.1')
  })
  for (const socket of [front, onward]) {
    socket.bind(0, '127.0.0.1')
    await once(socket, 'listening')
    after(() => socket.close())
  }
  const url = `coap://127.0.0.1:${front.address().port}`
  return { url, handshakes: () => handshakes }
}

/** By its Content-Format; what OSCORE protects shows none. */
function isMessage2(datagram: Uint8Array): boolean {
  const { options } = parseMessage(datagram)
  return options.some(
    ({ number, value }) => number === 12 && value[0] === edhocContentFormat.message,
  )
}
