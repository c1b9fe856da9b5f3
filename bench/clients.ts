/**
 * Our TLS client and Node's, over node:net, under one shape: the same certificates, one group, one
 * cipher suite, the server's issuing CA pinned. What a device keeps between connections is kept by
 * both: ours its judge, Node's its secure context.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectNode, createSecureContext } from 'node:tls'
import type { GroupName, Signer } from '@countersign/core/ports'
import {
  type ClientOptions,
  type Pin,
  type ResumableSession,
  TlsClient,
  trustPinned,
} from '@countersign/core/tls'
import { connectTls } from '@countersign/device'
import { nodeCrypto, randomBytes } from '@countersign/element/nodeCrypto'
import { softwareSigner } from '@countersign/element/softwareSigner'
import { anchorOf, type DeviceFiles, host } from './clientPki.ts'

/** An open connection. */
export interface Line {
  readonly isResumed: boolean
  /** False: hold back until `drained`. */
  write(bytes: Uint8Array): boolean
  /** Says farewell. */
  end(): void
}

export interface Hearing<Session> {
  secured(line: Line): void
  data?(bytes: Uint8Array): void
  drained?(): void
  session?(session: Session): void
  /** Without a reason when it ended well. */
  closed(reason?: unknown): void
}

export interface Client<Session> {
  open(hearing: Hearing<Session>, session?: Session): void
}

export interface Given {
  readonly port: number
  readonly device: DeviceFiles
  readonly group: GroupName
}

export interface OurGiven extends Given {
  /** `kept`, as a device has it: it knows a server that it has judged before. Default: `kept`. */
  readonly judge?: 'kept' | 'fresh'
  /** Hears of each signature. */
  readonly signed?: () => void
  /** Hears of each piece that goes out and comes in. */
  readonly wire?: (direction: 'out' | 'in', bytes: Uint8Array) => void
}

const clock = { now: () => Date.now() }

export function ourClient(given: OurGiven): Client<ResumableSession> {
  const { port, device, judge = 'kept', wire } = given
  const options = ourOptions(given)
  const pin = pinOf(device)
  return {
    open(hearing, session): void {
      const socket = connectTcp(port, '127.0.0.1')
      const trust = judge === 'kept' ? options.trust : trustPinned(pin)
      let reason: unknown
      const client = new TlsClient(withSession({ ...options, trust }, session), {
        send(bytes) {
          wire?.('out', bytes)
          socket.write(bytes)
        },
        sendPieces(pieces) {
          socket.cork()
          for (const bytes of pieces) {
            wire?.('out', bytes)
            socket.write(bytes)
          }
          socket.uncork()
        },
        secured: ({ isResumed }) => hearing.secured(lineOf(client, socket, isResumed)),
        data: (bytes) => hearing.data?.(bytes),
        resumable: (one) => hearing.session?.(one),
        ended: () => undefined,
        failed(error) {
          reason = error
          socket.destroy()
        },
      })
      socket.on('connect', () => client.start())
      socket.on('data', (bytes) => {
        wire?.('in', bytes)
        client.receive(bytes)
      })
      socket.on('end', () => client.endOfStream())
      socket.on('drain', () => hearing.drained?.())
      socket.on('error', (error) => (reason ??= error))
      socket.on('close', () => hearing.closed(reason))
    },
  }
}

function lineOf(client: TlsClient, socket: Socket, isResumed: boolean): Line {
  return {
    isResumed,
    write(bytes) {
      client.write(bytes)
      return !socket.writableNeedDrain
    },
    end() {
      client.end()
      socket.end()
    },
  }
}

/** The same client as a Node stream, as https and MQTT of the device have it. */
export function ourStream(given: Given): Client<ResumableSession> {
  const options = ourOptions(given)
  return {
    open(hearing, session): void {
      const socket = connectTcp({ port: given.port, host: '127.0.0.1', allowHalfOpen: true })
      const onSession = (one: ResumableSession): void => hearing.session?.(one)
      const times = { handshakeMs: 60_000, limit: untilSignal }
      connectTls(socket, { ...withSession(options, session), ...times, onSession }).then(
        (stream) => {
          let reason: unknown
          stream.on('data', (bytes: Uint8Array) => hearing.data?.(bytes))
          stream.on('drain', () => hearing.drained?.())
          stream.on('error', (error) => (reason ??= error))
          stream.on('close', () => hearing.closed(reason))
          hearing.secured({
            isResumed: stream.secured?.isResumed === true,
            write: (bytes) => stream.write(bytes),
            end: () => stream.end(),
          })
        },
        (error: unknown) => hearing.closed(error),
      )
    },
  }
}

/** `trusted`: where the chain ends. Its issuing CA, as ours, costs one signature; the root, two. */
export function nodeClient(given: Given & { readonly trusted?: string }): Client<Buffer> {
  const { port, device, group, trusted = device.ca } = given
  const secureContext = createSecureContext({
    cert: device.cert,
    key: device.key,
    ca: trusted,
    allowPartialTrustChain: true,
    minVersion: 'TLSv1.3',
    ciphers: 'TLS_AES_128_GCM_SHA256',
    ecdhCurve: group.toUpperCase(),
  })
  const to = { port, host: '127.0.0.1', servername: host, secureContext, rejectUnauthorized: true }
  return {
    open(hearing, session): void {
      const socket = connectNode(session === undefined ? to : { ...to, session })
      let reason: unknown
      socket.once('secureConnect', () =>
        hearing.secured({
          isResumed: socket.isSessionReused(),
          write: (bytes) => socket.write(bytes),
          end: () => socket.end(),
        }),
      )
      if (hearing.session !== undefined) socket.on('session', (one) => hearing.session?.(one))
      socket.on('data', (bytes) => hearing.data?.(bytes))
      socket.on('drain', () => hearing.drained?.())
      socket.on('error', (error) => (reason ??= error))
      socket.on('close', () => hearing.closed(reason))
    },
  }
}

function ourOptions({ device, group, signed }: OurGiven): ClientOptions {
  const signer = counting(softwareSigner(createPrivateKey(device.key)), signed)
  return {
    crypto: nodeCrypto,
    random: randomBytes,
    clock,
    host,
    trust: trustPinned(pinOf(device)),
    credential: { chain: [new X509Certificate(device.cert).raw], signer },
    policy: { groups: [group], suites: ['TLS_AES_128_GCM_SHA256'] },
  }
}

function pinOf({ ca }: DeviceFiles): Pin {
  return { crypto: nodeCrypto, clock, host, anchor: anchorOf(ca) }
}

function counting(signer: Signer, signed: (() => void) | undefined): Signer {
  return {
    ...signer,
    sign(message) {
      signed?.()
      return signer.sign(message)
    },
  }
}

function withSession(options: ClientOptions, session: ResumableSession | undefined): ClientOptions {
  return session === undefined ? options : { ...options, session }
}

/** Time does not run out here. */
function untilSignal(_: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
