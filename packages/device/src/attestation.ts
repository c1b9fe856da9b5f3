/**
 * What the element says of the key that is to be certified, for a server that asks: its nonce, the
 * element's statement over it, and both in the form that a request carries
 * (draft-ietf-lamps-csr-attestation). An element that cannot attest, or a server that gives no
 * nonces, leaves a request as it is.
 */
import { encodeAttestationBundle } from '@countersign/core/attestation'
import { statementOid } from '@countersign/core/credential'
import { PeerError } from '@countersign/core/errors'
import {
  type Attestation,
  type AttestationFormat,
  isElementError,
  type SecureElement,
} from '@countersign/core/ports'
import { parseRecord } from '@countersign/element/shapes'
import type { Answer, ServerConnection } from './connect.ts'
import type { DeviceErrorCode } from './errors.ts'

const noncePath = '/v1/attestation/nonce'
const nonceBytes = 32

const types: Readonly<Record<AttestationFormat, string>> = {
  'atecc608-internal-sign': statementOid.atecc608InternalSign,
}

export interface AttestationRequest {
  readonly element: SecureElement
  readonly slot: number
  /** With which the certificate will be asked for, if it is not the connection's own. */
  readonly authorization: string | undefined
}

/**
 * The AttestationBundle, DER. `refused` words an answer that is no nonce: it would be the answer to
 * the request too.
 */
export async function attestationFor(
  connection: Pick<ServerConnection, 'ask'>,
  { element, slot, authorization }: AttestationRequest,
  refused: (answer: Answer) => Error,
): Promise<Uint8Array | undefined> {
  if (element.attest === undefined) return undefined
  const answer = await connection.ask({
    method: 'POST',
    path: noncePath,
    ...(authorization === undefined ? {} : { headers: { authorization } }),
  })
  // Any other EST server: it judges no evidence, and gets none.
  if (answer.status === 404) return undefined
  if (answer.status !== 200) throw refused(answer)
  const attestation = await statementOf(element, slot, readNonce(answer))
  if (attestation === undefined) return undefined
  const { format, evidence, chain } = attestation
  const statements = [{ type: types[format], statement: evidence }]
  return encodeAttestationBundle({ statements, certificates: chain })
}

/** A chip whose configuration has no key that attests says so only when it is asked. */
async function statementOf(
  element: SecureElement,
  slot: number,
  nonce: Uint8Array,
): Promise<Attestation | undefined> {
  try {
    return await element.attest?.(slot, nonce)
  } catch (error) {
    if (isElementError(error) && error.code === 'ERR_ELEMENT_UNSUPPORTED') return undefined
    throw error
  }
}

function readNonce(answer: Answer): Uint8Array {
  const text = parseRecord(Buffer.from(answer.body).toString('utf8'))?.nonce
  const nonce = typeof text === 'string' ? Buffer.from(text, 'base64url') : undefined
  if (nonce?.length === nonceBytes && nonce.toString('base64url') === text) {
    return new Uint8Array(nonce)
  }
  throw new PeerError<DeviceErrorCode>(
    'ERR_SERVER_ANSWER',
    `the server gave no nonce of ${nonceBytes} bytes`,
    {},
    { where: noncePath, hint: 'Is this a countersign server? Tell its operator.' },
  )
}
