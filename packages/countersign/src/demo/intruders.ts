/**
 * Those who must not get in. Each knocks for real, and what it hears is checked; none of them is a
 * device of the report.
 */
import { join } from 'node:path'
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
import { enroll, openConnection, parseTarget, systemWorld, type World } from '@countersign/device'
import { elementSigner } from '@countersign/element/signer'
import { openSoftwareElement } from '@countersign/element/software'

export interface Address {
  readonly server: string
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
export async function sendNameless(address: Address): Promise<void> {
  const status = await sendAs(undefined, address)
  if (status !== 401) throw new Error(`a message without a certificate was answered ${status}`)
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
  const now = Date.now()
  const forged = await createCertificate(
    {
      serial: Uint8Array.of(1),
      issuer: encodeName([{ type: attributeOid.commonName, value: 'countersign owner CA' }]),
      subject: encodeName([{ type: attributeOid.serialNumber, value: victim.serial }]),
      notBefore: now - hourMs,
      notAfter: now + hourMs,
      spki: await element.publicKey(0),
      extensions: [
        encodeKeyUsage(['digitalSignature']),
        encodeExtKeyUsage([purposes.clientAuth]),
        encodeSubjectAltName([macAddressName(fromHex(victim.eui64))], false),
      ],
    },
    forger,
  )
  const context = await element.tlsContext(0, pem('CERTIFICATE', forged))
  const status = await sendAs(context, address)
  if (status !== 403) throw new Error(`a forged certificate was answered ${status}`)
}

async function sendAs(
  context: Parameters<typeof openConnection>[0]['context'],
  { server, anchor }: Address,
): Promise<number> {
  const world: World = { ...systemWorld(), patience: { handshakeMs: 1500, answerMs: 1500 } }
  const target = parseTarget(server, anchor)
  // The gateway breaks connections here too: an honest answer is waited for.
  for (let attempt = 0; ; attempt++) {
    const connection = openConnection({ world, target, context })
    try {
      const body = Buffer.from('{"celsius":99}')
      return (await connection.ask({ method: 'POST', path: '/v1/messages/room', body })).status
    } catch (error) {
      if (attempt >= attemptsMax) throw error
    } finally {
      connection.close()
    }
  }
}

const attemptsMax = 20
