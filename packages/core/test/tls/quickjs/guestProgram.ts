/**
 * The program inside the engine: a device with one TLS client at a time, and the ticket of the last
 * connection. Nothing here or in what it imports may need more than the language itself.
 */
import type { ChannelCrypto } from '@countersign/core/ports'
import {
  type Outlet,
  type ResumableSession,
  type ServerTrust,
  TlsClient,
  trustPinned,
} from '@countersign/core/tls'
import { type GuestProgram, type HostEvents, type HostPorts, p256Scheme } from './bridge.ts'

interface Device {
  readonly host: string
  readonly trust: ServerTrust
  readonly leaf: Uint8Array
  readonly spki: Uint8Array
}

export function guestProgram(
  ports: HostPorts,
  events: HostEvents,
  crypto: ChannelCrypto,
): GuestProgram {
  const clock = { now: () => ports.now() }
  let device: Device | undefined
  let client: TlsClient | undefined
  let session: ResumableSession | undefined
  let answer: ((signature: Uint8Array) => void) | undefined

  const outlet: Outlet = {
    send: (bytes) => events.send(bytes),
    secured: ({ suite, isResumed, isAuthenticated }) =>
      events.secured(suite, isResumed, isAuthenticated),
    data: (bytes) => events.data(bytes),
    resumable(ticket) {
      session = ticket
      events.resumable()
    },
    ended: () => events.ended(),
    failed: (error) => events.failed(...reasonOf(error)),
  }

  /** The element is the host's, and answers when it has done its work. */
  const sign = (message: Uint8Array): Promise<Uint8Array> =>
    new Promise((resolve) => {
      answer = resolve
      events.sign(message)
    })

  return {
    install(host, anchor, leaf, spki) {
      device = { host, trust: trustPinned({ crypto, clock, host, anchor }), leaf, spki }
    },
    connect() {
      if (device === undefined) throw new Error('not installed')
      const { host, trust, leaf, spki } = device
      const credential = { chain: [leaf], signer: { scheme: p256Scheme, spki, sign } }
      const random = { bytes: (length: number) => ports.random(length) }
      client = new TlsClient({ crypto, random, clock, trust, host, credential, session }, outlet)
      session = undefined
      client.start()
    },
    receive: (bytes) => client?.receive(bytes),
    write: (bytes) => client?.write(bytes),
    end: () => client?.end(),
    endOfStream: () => client?.endOfStream(),
    signed: (signature) => answer?.(signature),
  }
}

function reasonOf(error: unknown): [code: string, message: string] {
  if (!(error instanceof Error)) return ['', String(error)]
  return ['code' in error ? String(error.code) : error.name, error.message]
}
