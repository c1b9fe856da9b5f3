/**
 * Is this the server of the anchor? Path (RFC 5280 §6), role, explicit serverAuth and name (RFC
 * 9525) through the one judge; the anchor is that CA of the handshake whose key is pinned.
 */
import { createHash } from 'node:crypto'
import { isIP } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { Judge, parseCertificate } from '@countersign/core/credential'
import { PeerError } from '@countersign/core/errors'
import type { DeviceErrorCode } from './errors.ts'
import type { ServerTarget } from './target.ts'
import type { World } from './world.ts'

/** Leaf, issuing CA, root and one to spare. */
const chainLengthMax = 4

/** Throws when the other end of the handshake is not the server of the anchor. */
export function judgeServer(socket: TLSSocket, target: ServerTarget, world: World): void {
  const chain = peerChain(socket)
  const [leaf, ...issuers] = chain
  const pinned = issuers
    .map((der) => parseCertificate(der))
    .find((ca) => createHash('sha256').update(ca.spki.der).digest('hex') === target.anchor)
  if (leaf === undefined || pinned === undefined) {
    throw new PeerError<DeviceErrorCode>(
      'ERR_ANCHOR_MISMATCH',
      'the server is not the one of the anchor; nothing was sent to it',
      { chainLength: chain.length },
      {
        where: target.url,
        hint: 'Compare the anchor with "countersign identity invite" of the right server; if it is right, somebody stands in between.',
      },
    )
  }
  const judge = new Judge({
    crypto: world.crypto,
    clock: world.clock,
    anchors: [{ role: 'server', certificate: pinned, origin: 'house', scope: {} }],
  })
  try {
    judge.judge(leaf, issuers, {
      role: 'server',
      purpose: 'serverAuth',
      name: { kind: isIP(target.host) === 0 ? 'DNS' : 'IP', value: target.host },
    })
  } catch (error) {
    throw withClockHint(error, world)
  }
}

function peerChain(socket: TLSSocket): readonly Uint8Array[] {
  const chain: Uint8Array[] = []
  let certificate = socket.getPeerX509Certificate()
  while (certificate !== undefined && chain.length < chainLengthMax) {
    chain.push(certificate.raw)
    certificate = certificate.issuerCertificate
  }
  return chain
}

/** A wrong clock looks like a wrong certificate: say which it may be. */
function withClockHint(error: unknown, world: World): unknown {
  if (!(error instanceof PeerError)) return error
  const dated = ['ERR_CERT_EXPIRED', 'ERR_CERT_NOT_YET_VALID', 'ERR_CHAIN_EXPIRED']
  if (!dated.includes(error.code)) return error
  const now = new Date(world.clock.now()).toISOString()
  const hint = `The clock of this machine says ${now}: set it if that is wrong, else the server needs a new certificate.`
  const { where } = error
  return new PeerError(error.code, error.message, error.details, {
    ...(where === undefined ? {} : { where }),
    hint,
    cause: error,
  })
}
