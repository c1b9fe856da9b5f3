/**
 * The puppet server, before anything is believed that it says: the TLS client of Node (OpenSSL)
 * completes its handshakes with it. Otherwise a refusal by our client would prove nothing.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { after, before, test } from 'node:test'
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { pem } from '@countersign/core/codec'
import { Puppet, type PuppetOptions } from './puppet.ts'
import { groupIds } from './puppetKeys.ts'
import * as steps from './puppetSteps.ts'
import { clientEntity, clientKey, host, identity, rootCa } from './puppetWorld.ts'

let server: Server
/** The puppet that takes the next connection. */
let next: Puppet

before(async () => {
  server = createServer((socket) => {
    const puppet = next
    const flush = (): void => {
      for (const bytes of puppet.take()) socket.write(bytes)
    }
    socket.on('data', (bytes) => {
      puppet.receive(bytes)
      flush()
    })
    socket.on('error', () => socket.destroy())
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
})

after(() => server.close())

const echo = [steps.data('first '), steps.keyUpdate(), steps.data('second'), steps.closeNotify]

interface Outcome {
  readonly puppet: Puppet
  readonly text: string
  readonly isResumed: boolean
  readonly session: Buffer | undefined
}

async function converse(
  options: Omit<PuppetOptions, 'identity'>,
  client: ConnectionOptions = {},
): Promise<Outcome> {
  next = new Puppet({ identity, ...options })
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  const socket: TLSSocket = connect({
    port: address.port,
    host: '127.0.0.1',
    servername: host,
    minVersion: 'TLSv1.3',
    ca: pem('CERTIFICATE', rootCa.certificate.der),
    cert: pem('CERTIFICATE', clientEntity.certificate.der),
    key: clientKey.export({ type: 'pkcs8', format: 'pem' }),
    ecdhCurve: 'X25519:P-256',
    ...client,
  })
  let session: Buffer | undefined
  let isResumed = false
  socket.on('session', (ticket) => (session = ticket))
  socket.on('secureConnect', () => {
    isResumed = socket.isSessionReused()
  })
  let text = ''
  for await (const chunk of socket.setEncoding('utf8')) text += chunk
  assert.deepEqual(next.complaints, [])
  return { puppet: next, text, isResumed, session }
}

test('the client of Node completes full, retried and resumed handshakes with the puppet', async () => {
  const tickets = new Map()
  const full = { flights: [steps.fullFlight], afterwards: [steps.ticket(), ...echo], tickets }
  for (const suite of [0x1301, 0x1302, 0x1303]) {
    const first = await converse({ ...full, suite })
    assert.equal(first.text, 'first second')
    assert.deepEqual(first.puppet.received, [
      'ClientHello',
      'Certificate',
      'CertificateVerify',
      'Finished',
    ])
    assert.deepEqual(first.puppet.alerts, [])

    const resumed = await converse(
      { flights: [steps.resumedFlight], afterwards: echo, tickets, suite },
      { session: first.session },
    )
    assert.ok(resumed.isResumed)
    assert.equal(resumed.text, 'first second')
    assert.deepEqual(resumed.puppet.received, ['ClientHello', 'Finished'])
  }
  const retried = await converse({
    flights: [[steps.retry(), steps.changeCipherSpec], steps.fullFlight],
    group: groupIds.secp256r1,
    afterwards: echo,
  })
  assert.equal(retried.text, 'first second')
  assert.deepEqual(retried.puppet.received.slice(0, 2), ['ClientHello', 'ClientHello'])
  assert.ok(retried.puppet.isOpen)
})
