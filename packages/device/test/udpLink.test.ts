import assert from 'node:assert/strict'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { networkInterfaces } from 'node:os'
import { after, test } from 'node:test'
import { errorCode } from '@countersign/element/shapes'
import { openUdpLink, type UdpLink } from '../src/udpLink.ts'
import type { ServerTarget } from '../src/target.ts'

const hasIpv6 = Object.values(networkInterfaces()).some((addresses) =>
  addresses?.some(({ family, internal }) => family === 'IPv6' && internal),
)

/** Says back what it hears. */
async function echo(type: 'udp4' | 'udp6', address: string): Promise<Socket> {
  const socket = createSocket(type)
  after(() => socket.close())
  socket.on('message', (datagram, { port, address: from }) => socket.send(datagram, port, from))
  socket.bind(0, address)
  await once(socket, 'listening')
  return socket
}

function targetOf(host: string, port: number): ServerTarget {
  return { url: `coap://${host}:${port}`, host, port, anchor: '' }
}

interface Opened {
  readonly link: UdpLink
  /** The next datagram that comes. */
  readonly next: () => Promise<string>
  readonly heard: string[]
}

async function open(target: ServerTarget): Promise<Opened> {
  const heard: string[] = []
  let wake = Promise.withResolvers<undefined>()
  const receive = (datagram: Uint8Array): void => {
    heard.push(Buffer.from(datagram).toString())
    wake.resolve(undefined)
    wake = Promise.withResolvers()
  }
  const link = await openUdpLink(target, receive)
  after(() => link.close())
  return {
    link,
    heard,
    async next() {
      await wake.promise
      return heard.at(-1) ?? ''
    },
  }
}

for (const [type, address, skip] of [
  ['udp4', '127.0.0.1', false],
  ['udp6', '::1', !hasIpv6 && 'this machine has no IPv6'],
] as const) {
  test(`datagrams go to ${address} and come back`, { skip }, async () => {
    const server = await echo(type, address)
    const { link, next } = await open(targetOf(address, server.address().port))
    const came = next()
    link.send(Buffer.from('one'))
    assert.equal(await came, 'one')
    assert.equal(link.fault, undefined)
  })
}

test('what comes from elsewhere is nothing for the device', async () => {
  const server = await echo('udp4', '127.0.0.1')
  const stranger = await echo('udp4', '127.0.0.1')
  const { link, next, heard } = await open(targetOf('127.0.0.1', server.address().port))
  server.removeAllListeners('message')
  const asked = once(server, 'message')
  link.send(Buffer.from('one'))
  const [, { port }] = await asked
  const came = next()
  stranger.send('two', port, '127.0.0.1', () => server.send('three', port, '127.0.0.1'))
  assert.equal(await came, 'three')
  assert.deepEqual(heard, ['three'])
})

test('what cannot be sent is lost, and its reason is kept until something goes out', async () => {
  const server = await echo('udp4', '127.0.0.1')
  const { link, next } = await open(targetOf('127.0.0.1', server.address().port))
  link.send(new Uint8Array(70_000))
  while (link.fault === undefined) await new Promise(setImmediate)
  assert.equal(errorCode(link.fault), 'EMSGSIZE')
  const came = next()
  link.send(Buffer.from('one'))
  await came
  assert.equal(link.fault, undefined)
})

test('a name that nobody has is a server that cannot be reached', async () => {
  await assert.rejects(
    openUdpLink(targetOf('nobody.invalid', 5683), () => undefined),
    {
      code: 'ERR_SERVER_UNREACHABLE',
      where: 'coap://nobody.invalid:5683',
    },
  )
})

test('a closed link sends nothing and hears nothing', async () => {
  const server = await echo('udp4', '127.0.0.1')
  const { link, heard } = await open(targetOf('127.0.0.1', server.address().port))
  link.close()
  link.close()
  link.send(Buffer.from('one'))
  await new Promise(setImmediate)
  assert.deepEqual(heard, [])
})
