import assert from 'node:assert/strict'
import { createSocket, type Socket } from 'node:dgram'
import { afterEach, describe, it } from 'node:test'
import { codeText } from '@countersign/core/coap'
import { UdpSocket } from '../../../src/frontend/coap/udpSocket.ts'
import { hostKey, nameOf, peerOf } from '../../../src/frontend/coap/udpAddress.ts'
import { CoapHouse } from './house.ts'
import type { Link, Receiver } from './net.ts'

/** Datagrams of devices over real sockets: one for each address that a device has. */
class Udp implements Link {
  port = 0
  readonly #host: string
  readonly #sockets: Map<string, Socket> = new Map()

  constructor(host: string) {
    this.#host = host
  }

  attach(address: string, receive: Receiver): void {
    const socket = createSocket(this.#host.includes(':') ? 'udp6' : 'udp4')
    socket.on('message', (datagram) => receive(datagram))
    this.#sockets.set(address, socket)
  }

  detach(address: string): void {
    this.#sockets.get(address)?.close()
    this.#sockets.delete(address)
  }

  deliver(datagram: Uint8Array, from: string): void {
    this.#sockets.get(from)?.send(datagram, this.port, this.#host)
  }

  close(): void {
    for (const socket of this.#sockets.values()) socket.close()
  }
}

describe('the coap door on a UDP socket', () => {
  const links: Udp[] = []
  let house: CoapHouse | undefined
  afterEach(async () => {
    for (const link of links.splice(0)) link.close()
    await house?.close()
    house = undefined
  })

  for (const host of ['127.0.0.1', '::1']) {
    it(`takes a handshake and readings at ${host}`, async () => {
      const openLink = UdpSocket.open.bind(UdpSocket)
      house = await CoapHouse.create({ parts: { openLink }, host })
      const link = new Udp(host)
      links.push(link)
      link.port = house.port
      const device = await house.device({ link })
      assert.equal(codeText((await device.first('a', { number: 1 })).code), '2.04')
      device.moveTo('another socket')
      assert.equal(codeText((await device.post('a', { number: 2 })).code), '2.04')
      assert.equal((await house.messages()).length, 2)
      const [row] = await house.rows()
      assert.equal(peerOf(row?.peerAddress ?? '').address, host)
    })
  }

  it('a port that is taken is named with its door', async () => {
    const parts = { received: () => undefined, failed: () => undefined }
    const first = await UdpSocket.open('coap', { host: '127.0.0.1', port: 0 }, parts)
    try {
      const at = { host: '127.0.0.1', port: first.port }
      await assert.rejects(UdpSocket.open('coap', at, parts), {
        code: 'ERR_PORT_TAKEN',
        where: `coap on 127.0.0.1:${first.port}`,
      })
    } finally {
      await first.close()
    }
  })

  it('what cannot be sent is lost, and told of, and the socket goes on', async () => {
    const failures: Error[] = []
    const failed = (error: Error): void => void failures.push(error)
    const at = { host: '127.0.0.1', port: 0 }
    const received = Promise.withResolvers<string>()
    const one = await UdpSocket.open('coap', at, { received: () => undefined, failed })
    const other = await UdpSocket.open('coap', at, {
      received: (_, from) => received.resolve(from),
      failed,
    })
    one.send(Uint8Array.of(1), '127.0.0.1:0')
    one.send(new Uint8Array(70_000), `127.0.0.1:${other.port}`)
    one.send(Uint8Array.of(2), `127.0.0.1:${other.port}`)
    assert.equal(await received.promise, `127.0.0.1:${one.port}`)
    assert.equal(failures.length, 2)
    await one.close()
    await other.close()
  })

  it('peers have one name each, and count as their host', () => {
    const cases = [
      [{ address: '192.0.2.1', port: 5683 }, '192.0.2.1:5683', '192.0.2.1'],
      [{ address: '2001:db8::1', port: 1 }, '[2001:db8::1]:1', '2001:db8:0:0::/64'],
      [{ address: '::ffff:192.0.2.1', port: 2 }, '[::ffff:192.0.2.1]:2', '192.0.2.1'],
    ] as const
    for (const [peer, name, key] of cases) {
      assert.equal(nameOf(peer), name)
      assert.deepEqual(peerOf(name), peer)
      assert.equal(hostKey(name), key)
    }
  })
})
