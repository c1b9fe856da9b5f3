/**
 * Node's own TLS, which is OpenSSL's: the second way, for elements that let it have their key.
 *
 * Limit: it finishes the handshake before it asks us, so a false server learns the device's
 * certificate (never its key). It resumes nothing.
 */
import { isIP } from 'node:net'
import { connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls'
import { CallerError } from '@countersign/core/errors'
import { isSoftware } from '@countersign/element/software'
import type { DeviceErrorCode } from './errors.ts'
import { patienceOf, timeout, unreachable } from './failures.ts'
import { trustOf } from './judgeServer.ts'
import type { DeviceCredential, TlsRequest } from './tlsWay.ts'

/** Leaf, issuing CA, root and one to spare. */
const chainLengthMax = 4

export async function opensslTls(request: TlsRequest): Promise<TLSSocket> {
  const { target, world, credential, protocol } = request
  const socket = connect({
    host: target.host,
    port: target.port,
    // RFC 6066 §3: an address is no server name.
    ...(isIP(target.host) === 0 ? { servername: target.host } : {}),
    ALPNProtocols: [protocol],
    rejectUnauthorized: false,
    secureContext: await contextOf(credential),
  })
  await handshake(socket, request)
  try {
    trustOf(
      target,
      world,
    )({
      chain: peerChain(socket),
      staple: undefined,
      isStapleAsked: false,
    })
    if (socket.destroyed) throw unreachable(target, undefined)
  } catch (error) {
    socket.destroy()
    throw error
  }
  return socket
}

async function contextOf(credential: DeviceCredential | undefined): Promise<SecureContext> {
  if (credential === undefined) {
    return createSecureContext({ minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3' })
  }
  const { element, slot, certificates } = credential
  if (isSoftware(element)) {
    try {
      return await element.tlsContext(slot, certificates)
    } catch (cause) {
      throw new CallerError<DeviceErrorCode>(
        'ERR_TLS_ELEMENT',
        "OpenSSL does not take the element's key with the certificate of this device",
        {},
        {
          where: `slot ${slot}`,
          hint: 'Enrol again, if the key of the slot is another one.',
          cause,
        },
      )
    }
  }
  throw new CallerError<DeviceErrorCode>(
    'ERR_TLS_ELEMENT',
    "this element gives its keys to nobody, and Node's own TLS takes no other",
    {},
    { where: '--tls', hint: 'Leave --tls out: the own TLS lets the element sign.' },
  )
}

function handshake(socket: TLSSocket, { target, world, closing }: TlsRequest): Promise<void> {
  const { handshakeMs } = patienceOf(world)
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => fail(timeout(target, 'the handshake', handshakeMs)), handshakeMs)
    const settle = (): void => {
      clearTimeout(timer)
      socket.off('close', onClose)
      closing.removeEventListener('abort', onClose)
    }
    const fail = (error: Error): void => {
      settle()
      socket.destroy()
      reject(error)
    }
    const onError = (error: Error): void => fail(unreachable(target, error))
    const onClose = (): void => fail(unreachable(target, undefined))
    socket.once('secureConnect', () => {
      settle()
      resolve()
    })
    // Stays: an error may come in the same turn as the end of the handshake, before the road listens.
    socket.on('error', onError)
    socket.once('close', onClose)
    closing.addEventListener('abort', onClose, { once: true })
    if (closing.aborted) onClose()
  })
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
