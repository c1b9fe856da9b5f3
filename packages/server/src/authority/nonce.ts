/**
 * `POST /v1/attestation/nonce`: what an element signs over, for whoever may enrol or renew here. Asked
 * for with the credential that the request will come with, and good with that one alone.
 */
import { isCountersignError } from '@countersign/core/errors'
import type { EstRequest, EstResponse, EstService } from '../ports.ts'
import { type EstParts, explain } from './est.ts'
import { parseBasic, refuse } from './estWire.ts'
import { certificateHolder, tokenHolder } from './holders.ts'

/** Answers every request; never throws. */
export function createNonceService(parts: EstParts): EstService {
  return async (request) => {
    try {
      if (request.method !== 'POST') {
        throw refuse(
          'ERR_EST_METHOD',
          'a nonce is asked for by POST',
          'Send a POST without a body.',
        )
      }
      const { nonce, expires } = parts.attestation.nonce(await applicant(parts, request))
      return answer(nonce, expires)
    } catch (error) {
      return explain(parts, request, isCountersignError(error) ? 'POST' : undefined, error)
    }
  }
}

/** Who asks, in the words by which the evidence will be judged. */
async function applicant({ desk }: EstParts, request: EstRequest): Promise<string> {
  const basic = parseBasic(request.authorization)
  if (basic?.user === 'token') return tokenHolder((await desk.checkToken(basic.password)).id)
  const { peer } = request
  if (basic === undefined && peer?.role === 'maker') {
    await desk.admitMaker(peer)
    return certificateHolder(peer.fingerprint)
  }
  if (basic === undefined && peer?.role === 'owner') {
    await desk.admitToRenew(peer)
    return certificateHolder(peer.fingerprint)
  }
  throw refuse(
    'ERR_EST_AUTHENTICATION',
    'a nonce is for who may enrol or renew: the token of an invitation, or a certificate',
    'Ask with what the request for a certificate will come with: "curl -u token:<token>".',
  )
}

function answer(nonce: Uint8Array, expires: number): EstResponse {
  const document = {
    nonce: Buffer.from(nonce).toString('base64url'),
    expires: new Date(expires).toISOString(),
  }
  return {
    status: 200,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
    body: `${JSON.stringify(document)}\n`,
  }
}
