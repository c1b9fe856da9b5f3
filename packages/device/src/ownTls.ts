/**
 * The device's own TLS: core's client, with the element as its signer. The server is judged before
 * anything of the device is shown, and again when a session is resumed.
 */
import { connect } from 'node:net'
import { parsePem } from '@countersign/core/codec'
import { AdapterError } from '@countersign/core/errors'
import type { Milliseconds } from '@countersign/core/ports'
import type { ClientCredential, TlsAdapterErrorCode } from '@countersign/core/tls'
import { isElementError } from '@countersign/element/ports'
import { errorCode } from '@countersign/element/shapes'
import { knownElementSigner } from '@countersign/element/signer'
import { leafOf } from './certificate.ts'
import { patienceOf, timeout, wayBroken } from './failures.ts'
import { trustOf } from './judgeServer.ts'
import { Sessions } from './sessions.ts'
import { connectTls, type TlsStream } from './tls.ts'
import type { DeviceCredential, TlsRequest, TlsWay } from './tlsWay.ts'

/** With a memory of its own: what connects through it again resumes where the server lets it. */
export function ownTls(): TlsWay {
  const sessions = new Sessions()
  return (request) => connectOwn(request, sessions)
}

async function connectOwn(request: TlsRequest, sessions: Sessions): Promise<TlsStream> {
  const { target, world, protocol, closing } = request
  const partner = sessions.of(request)
  partner.trust ??= trustOf(target, world)
  const element = { isAsked: false }
  const credential = clientCredential(request.credential, element)
  // Half open: our farewell goes out after the server's.
  const socket = connect({ host: target.host, port: target.port, allowHalfOpen: true })
  const stop = (): void => void socket.destroy()
  closing.addEventListener('abort', stop, { once: true })
  if (closing.aborted) stop()
  try {
    return await connectTls(socket, {
      crypto: world.crypto,
      random: world.random,
      clock: world.clock,
      trust: partner.trust,
      host: target.host,
      policy: { alpn: [protocol] },
      credential,
      session: partner.take(),
      handshakeMs: patienceOf(world).handshakeMs,
      limit: (milliseconds, signal) => world.limit(milliseconds, signal),
      onSession: (session) => partner.add(session),
    })
  } catch (error) {
    throw wayError(error, request, element)
  } finally {
    closing.removeEventListener('abort', stop)
  }
}

/** Whether the element is at work: when the time is over, it is who was waited for. */
interface Asked {
  isAsked: boolean
}

function clientCredential(
  credential: DeviceCredential | undefined,
  asked: Asked,
): ClientCredential | undefined {
  if (credential === undefined) return undefined
  const { element, slot, certificates } = credential
  const chain = parsePem(certificates).map(({ der }) => der)
  const signer = knownElementSigner(element, slot, leafOf(certificates).spki.der)
  const sign = async (message: Uint8Array): Promise<Uint8Array> => {
    asked.isAsked = true
    const signature = await signer.sign(message)
    asked.isAsked = false
    return signature
  }
  return { chain, signer: { ...signer, sign } }
}

/** A verdict on the server stays what it is, the element's word too; a broken way is tried again. */
function wayError(error: unknown, { target, world }: TlsRequest, { isAsked }: Asked): unknown {
  const { cause } = error instanceof Error ? error : {}
  // What the element says of itself is clearer than what the handshake makes of it.
  if (errorCode(error) === 'ERR_TLS_SIGNER' && isElementError(cause)) return cause
  if (errorCode(error) !== 'ERR_SERVER_TIMEOUT') return wayBroken(target, error)
  const { handshakeMs } = patienceOf(world)
  return isAsked ? slowElement(handshakeMs) : timeout(target, 'the handshake', handshakeMs)
}

function slowElement(ms: Milliseconds): AdapterError<TlsAdapterErrorCode> {
  return new AdapterError(
    'ERR_TLS_SIGNER',
    `the element did not sign the handshake within ${ms / 1000} seconds`,
    {},
    { hint: 'Look at the element: it is busy, gone, or slower than the handshake allows.' },
  )
}
