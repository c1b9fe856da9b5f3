/**
 * Those who must not get in. Each knocks for real, and what it hears is checked; none of them is a
 * device of the report.
 */
import { join } from 'node:path'
import { connect, type TLSSocket } from 'node:tls'
import { coapCode } from '@countersign/core/coap'
import { fromHex, pem } from '@countersign/core/codec'
import {
  attributeOid,
  createCertificate,
  encodeExtKeyUsage,
  encodeKeyUsage,
  encodeName,
  encodeSubjectAltName,
  macAddressName,
  purposes,
} from '@countersign/core/credential'
import { isCountersignError } from '@countersign/core/errors'
import {
  type DeviceCredential,
  enroll,
  openConnection,
  parseTarget,
  systemWorld,
  type World,
} from '@countersign/device'
import { elementCoseSigner } from '@countersign/element/edhoc'
import { elementSigner, spkiOfPoint } from '@countersign/element/signer'
import { openSoftwareElement, type SoftwareElement } from '@countersign/element/software'
import { MqttClient } from 'mqtt'
import { type DemoRoad, demoRoads } from './cast.ts'
import { type CoapFace, sendInTheClear, shakeHandsAs } from './coapIntruder.ts'

export interface Address {
  readonly server: string
  readonly mqtts: string
  readonly coap: string
  readonly anchor: string
}

const hourMs = 3_600_000

/** An enrolment with a token that nobody gave out. */
export async function guessToken(root: string, address: Address): Promise<void> {
  const state = join(root, 'intruder-token')
  try {
    await enroll({ ...address, token: 'guessed', serial: 'SN-INTRUDER', state })
  } catch (error) {
    if (isCountersignError(error) && error.code === 'ERR_ENROLL_REFUSED') return
    throw error
  }
  throw new Error('a guessed token was good enough')
}

/** A message without a certificate. */
export async function sendNameless(road: DemoRoad, address: Address): Promise<void> {
  const said = await knock[road](undefined, address)
  if (said !== noCertificate[road])
    throw new Error(`a message without a certificate was answered ${said} on ${road}`)
}

/** A certificate that claims to be one of ours, of a CA that nobody trusts. */
export async function impersonate(
  root: string,
  address: Address,
  victim: { readonly serial: string; readonly eui64: string },
): Promise<void> {
  const element = await openSoftwareElement(join(root, 'intruder-element.json'))
  await element.generateKey(0)
  await element.generateKey(1)
  const forger = await elementSigner(element, 1)
  const spki = spkiOfPoint(await element.publicKey(0))
  const now = Date.now()
  const forged = await createCertificate(
    {
      serial: Uint8Array.of(1),
      issuer: encodeName([{ type: attributeOid.commonName, value: 'countersign owner CA' }]),
      subject: encodeName([{ type: attributeOid.serialNumber, value: victim.serial }]),
      notBefore: now - hourMs,
      notAfter: now + hourMs,
      spki,
      extensions: [
        encodeKeyUsage(['digitalSignature']),
        encodeExtKeyUsage([purposes.clientAuth]),
        encodeSubjectAltName([macAddressName(fromHex(victim.eui64))], false),
      ],
    },
    forger,
  )
  const impostor = {
    element,
    slot: 0,
    certificates: pem('CERTIFICATE', forged),
    onCoap: { leaf: forged, signer: elementCoseSigner(element, 0, spki) },
  }
  for (const road of demoRoads) {
    const said = await knock[road](impostor, address)
    if (said !== notLetIn[road])
      throw new Error(`a forged certificate was answered ${said} on ${road}`)
  }
}

/**
 * Statuses of HTTP; the reason code Not authorized (MQTT 5 §3.2.2.2); 4.01, and the 4.00 of an error
 * of EDHOC (RFC 9528 Appendix A.2.3).
 */
const noCertificate: Readonly<Record<DemoRoad, number>> = {
  https: 401,
  mqtts: 0x87,
  coap: coapCode.unauthorized,
}
const notLetIn: Readonly<Record<DemoRoad, number>> = {
  https: 403,
  mqtts: 0x87,
  coap: coapCode.badRequest,
}

/** A key of its own and the certificates that it shows. */
type Face =
  | (DeviceCredential & { readonly element: SoftwareElement; readonly onCoap: CoapFace })
  | undefined

const knock: Readonly<Record<DemoRoad, (face: Face, address: Address) => Promise<number>>> = {
  https: sendAs,
  mqtts: connectAs,
  coap: knockOnCoap,
}

async function knockOnCoap(face: Face, address: Address): Promise<number> {
  const wanted = (face === undefined ? noCertificate : notLetIn).coap
  return throughFaults(async () => {
    const said = await (face === undefined
      ? sendInTheClear(address)
      : shakeHandsAs(face.onCoap, address))
    // Anybody on the path can refuse in the server's name; nobody can accept in it.
    if (said !== wanted && said >> 5 !== 2) throw new Error(`it was answered ${said} on coap`)
    return said
  })
}

async function sendAs(credential: Face, { server, anchor }: Address): Promise<number> {
  const patience = { handshakeMs: patienceMs, answerMs: patienceMs }
  const world: World = { ...systemWorld(), patience }
  const target = parseTarget(server, anchor)
  return throughFaults(async () => {
    const connection = openConnection({ world, target, credential })
    try {
      const body = Buffer.from('{"celsius":99}')
      return (await connection.ask({ method: 'POST', path: '/v1/messages/room', body })).status
    } finally {
      connection.close()
    }
  })
}

/** A stock client of MQTT; an intruder does not care who is at the other end. */
async function connectAs(face: Face, { mqtts }: Address): Promise<number> {
  const { hostname: host, port } = new URL(mqtts)
  const options = {
    host,
    port: Number(port),
    servername: host,
    ALPNProtocols: ['mqtt'],
    rejectUnauthorized: false,
    ...(face === undefined
      ? {}
      : { secureContext: await face.element.tlsContext(face.slot, face.certificates) }),
  }
  return throughFaults(() => connackOf(() => connect(options)))
}

function connackOf(stream: () => TLSSocket): Promise<number> {
  const client = new MqttClient(stream, {
    protocolVersion: 5,
    reconnectPeriod: 0,
    connectTimeout: patienceMs,
  })
  return new Promise<number>((resolve, reject) => {
    client.on('connect', () => resolve(0))
    client.on('error', (error) => {
      if ('code' in error && typeof error.code === 'number') resolve(error.code)
      else reject(error)
    })
    client.on('close', () => reject(new Error('the connection ended without an answer')))
  }).finally(() => client.end(true))
}

/** The gateways break connections here too: an honest answer is waited for. */
async function throughFaults(attempt: () => Promise<number>): Promise<number> {
  for (let attempts = 1; ; attempts++) {
    try {
      return await attempt()
    } catch (error) {
      if (attempts > attemptsMax) throw error
    }
  }
}

const attemptsMax = 20
const patienceMs = 1500
