/** The other end: Node's TLS server, which asks for a certificate, and the authorities of both ends. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer, type TLSSocket } from 'node:tls'
import { hex, pem } from '@countersign/core/codec'
import type { Signer } from '@countersign/core/ports'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { softwareSigner } from '@countersign/element/softwareSigner'
import { day, type Entity, root, type Shape } from '../../judge/world.ts'

export const serverName = 'gate.example'

export interface Peer extends AsyncDisposable {
  readonly port: number
  /** SHA-256 of the key of its issuing CA. */
  readonly anchor: string
  /** Of the device. */
  readonly leaf: Uint8Array
  readonly element: Signer
}

/**
 * Answers who says something with his name, whether the connection was resumed, and as many bytes
 * more as he asked for.
 */
export async function startPeer(): Promise<Peer> {
  const now = Date.now()
  const dates = { notBefore: now - day, notAfter: now + day }
  const top = await root(dates)
  const ca = async (name: string): Promise<Entity> => top.issue({ ...dates, ca: true, name })
  const [serverCa, deviceCa] = [await ca('Server CA'), await ca('Device CA')]
  const leaf = async (issuer: Entity, shape: Shape): Promise<Entity & { key: KeyObject }> => {
    const { privateKey: key } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    return { ...(await issuer.issue({ ...dates, ...shape, signer: softwareSigner(key) })), key }
  }
  const altNames = [{ kind: 'dns', value: serverName }] as const
  const server = await leaf(serverCa, { name: 'gate', altNames })
  const device = await leaf(deviceCa, { name: 'device 7' })
  const listener = createServer(
    {
      key: server.key.export({ type: 'pkcs8', format: 'pem' }),
      cert: pemOf(server) + pemOf(serverCa),
      ca: pemOf(top) + pemOf(deviceCa),
      requestCert: true,
      rejectUnauthorized: true,
      minVersion: 'TLSv1.3',
    },
    greet,
  )
  listener.on('tlsClientError', () => undefined)
  await once(listener.listen(0, '127.0.0.1'), 'listening')
  return {
    port: (listener.address() as AddressInfo).port,
    anchor: hex(nodeCrypto.hash('sha256', serverCa.certificate.spki.der)),
    leaf: device.certificate.der,
    element: device.signer,
    async [Symbol.asyncDispose]() {
      await new Promise((resolve) => listener.close(resolve))
    },
  }
}

function greet(socket: TLSSocket): void {
  socket.on('error', () => undefined)
  socket.on('data', (data) => {
    const how = socket.isSessionReused() ? 'again' : 'first'
    const { CN: name } = socket.getPeerCertificate().subject
    socket.write(`${how} ${String(name)} ${'.'.repeat(Number(data.toString()))}`)
  })
}

function pemOf({ certificate }: Entity): string {
  return pem('CERTIFICATE', certificate.der)
}
