/**
 * The application at the third door: a stock MQTT client with the application's certificate that
 * reads what every device sends (`devices/#`). It trusts the house's root, as any client would.
 */
import { generateKeyPairSync } from 'node:crypto'
import { attributeOid, createCertificateRequest } from '@countersign/core/credential'
import { softwareSigner } from '@countersign/element/softwareSigner'
import { connectAsync, type IPublishPacket, type MqttClient } from 'mqtt'
import type { ReceivedReading } from './report.ts'

/** The application's own key; nobody else sees it. */
export interface ApplicationKey {
  /** PEM of the PKCS#8. */
  readonly key: string
  /** DER of a PKCS#10 in base64, as the operation takes it. */
  readonly csr: string
}

export async function makeKey(name: string): Promise<ApplicationKey> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const csr = await createCertificateRequest({
    subject: [{ type: attributeOid.commonName, value: name }],
    signer: softwareSigner(privateKey),
  })
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    csr: Buffer.from(csr).toString('base64'),
  }
}

export interface ReaderOptions {
  readonly url: URL
  readonly key: string
  /** PEM, leaf and issuing CA. */
  readonly certificate: string
  /** PEM of the root. */
  readonly root: string
  readonly take: (reading: ReceivedReading) => void
}

/** Resolves when everything that comes from now on is read. The caller ends the client. */
export async function readOverMqtt(options: ReaderOptions): Promise<MqttClient> {
  const { url, key, certificate, root, take } = options
  const client = await connectAsync(url.href, {
    protocolVersion: 5,
    clientId: 'desk',
    key,
    cert: certificate,
    ca: root,
    ALPNProtocols: ['mqtt'],
    reconnectPeriod: 0,
  })
  // A door that breaks is seen by what is missing of its readings.
  client.on('error', () => undefined)
  client.on('message', (_, payload, packet) => {
    const reading = readingOf(payload, packet)
    if (reading !== undefined) take(reading)
  })
  await client.subscribeAsync('devices/#', { qos: 1 })
  return client
}

/** CloudEvents MQTT binding §3.1: attributes are user properties, the data is the payload. */
function readingOf(payload: Buffer, { properties }: IPublishPacket): ReceivedReading | undefined {
  const { id, source, road, assurance } = properties?.userProperties ?? {}
  if (typeof id !== 'string' || typeof source !== 'string' || typeof road !== 'string') {
    return undefined
  }
  return { id, source, data: payload.toString('utf8'), road, assurance: Number(assurance) }
}
