/** A server of nobody's anchor that takes every device in and writes down what it is told. */
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { after } from 'node:test'
import { createServer } from 'node:tls'
import { pem } from '@countersign/core/codec'
import {
  attributeOid,
  createCertificate,
  encodeExtKeyUsage,
  encodeName,
  purposes,
} from '@countersign/core/credential'
import { softwareSigner } from '@countersign/element/softwareSigner'

export interface StrangeServer {
  readonly port: number
  /** When every connection has ended: how many there were, and what was said on them. */
  ended(): Promise<{ readonly connections: number; readonly bytes: number }>
}

export async function strangeServer(): Promise<StrangeServer> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const signer = softwareSigner(privateKey)
  const name = encodeName([{ type: attributeOid.commonName, value: 'localhost' }])
  const certificate = await createCertificate(
    {
      serial: Uint8Array.of(1),
      issuer: name,
      subject: name,
      notBefore: Date.now() - 3_600_000,
      notAfter: Date.now() + 3_600_000,
      spki: signer.spki,
      extensions: [encodeExtKeyUsage([purposes.serverAuth])],
    },
    signer,
  )
  const ends: Promise<unknown>[] = []
  let bytes = 0
  const server = createServer({
    cert: pem('CERTIFICATE', certificate),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    ALPNProtocols: ['mqtt', 'http/1.1'],
    requestCert: true,
    rejectUnauthorized: false,
  })
  // The bare connection: a device that turns away at the certificate never finishes the handshake.
  server.on('connection', (socket: Socket) => void ends.push(once(socket, 'close')))
  server.on('tlsClientError', () => undefined)
  server.on('secureConnection', (socket) => {
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk: Uint8Array) => {
      bytes += chunk.length
    })
  })
  server.listen(0)
  await once(server, 'listening')
  after(() => server.close())
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    port: address.port,
    ended: async () => {
      await Promise.all(ends)
      return { connections: ends.length, bytes }
    },
  }
}
