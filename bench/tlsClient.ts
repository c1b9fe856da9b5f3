/**
 * A load client, run by load.ts: devices that connect over mutual TLS 1.3 (P-256, AES-128-GCM for
 * all servers alike) and leave again, or stay. A handshake counts once the server has closed in
 * answer to our close_notify, that is after it has read our certificate.
 *
 * Connections come from many addresses of 127.0.0.0/8: the doors bound what one address may do.
 */
import { readFileSync } from 'node:fs'
import {
  type ConnectionOptions,
  connect,
  createSecureContext,
  type SecureContext,
  type TLSSocket,
} from 'node:tls'
import type { HoldOrder, LoadDone, LoadOrder, Order, ShownDevice, Target, Told } from './load.ts'
import { monotonicMs } from './processes.ts'

/** CONNECT of MQTT 3.1.1: clean session, no keep alive, an empty client id. */
const mqttConnect = Buffer.from('100c00044d515454040200000000', 'hex')
const addresses = 250
const holdersAtOnce = 32

const [deviceFile = '', caFile = ''] = process.argv.slice(2)
const devices = JSON.parse(readFileSync(deviceFile, 'utf8')) as readonly ShownDevice[]
const ca = readFileSync(caFile, 'utf8')
const contexts = new Map<string, SecureContext>()
const held = new Set<TLSSocket>()
/** By port and device: the newest ticket, taken out when it is used. */
const tickets = new Map<string, Buffer>()
const seen = new Set<string>()
let connections = 0

process.on('message', (order: Order) => {
  void obey(order).then((result) => tell({ kind: 'done', result }))
})
process.on('disconnect', () => process.exit(0))
tell({ kind: 'up' })

async function obey(order: Order): Promise<LoadDone> {
  if (order.kind === 'load') return await load(order)
  if (order.kind === 'hold') return await hold(order)
  const leaving = [...held]
  held.clear()
  for (const socket of leaving) socket.destroy()
  return { done: 0, failed: 0, resumed: 0, returned: 0 }
}

async function load(order: LoadOrder): Promise<LoadDone> {
  const end = performance.now() + order.milliseconds
  const tally = new Tally()
  const worker = async (first: number): Promise<void> => {
    // Devices of its own: no two connections compete for a ticket.
    for (let at = first; performance.now() < end; at += order.concurrency) {
      await visit(order, at % order.devices, tally)
    }
  }
  await Promise.all(Array.from({ length: order.concurrency }, (_, first) => worker(first)))
  return tally.result()
}

class Tally {
  readonly #counts = { done: 0, failed: 0, resumed: 0, returned: 0 }
  #reason: string | undefined

  good(returned: boolean, resumed: boolean): void {
    this.#counts.done++
    if (returned) this.#counts.returned++
    if (resumed) this.#counts.resumed++
  }

  bad(reason: string): void {
    this.#counts.failed++
    this.#reason ??= reason
  }

  result(): LoadDone {
    return { ...this.#counts, ...(this.#reason === undefined ? {} : { reason: this.#reason }) }
  }
}

function visit(order: LoadOrder, index: number, tally: Tally): Promise<void> {
  const slot = `${order.port}/${index}`
  const ticket = order.mode === 'resume' ? tickets.get(slot) : undefined
  const returned = seen.has(slot)
  tickets.delete(slot)
  seen.add(slot)
  return new Promise((resolve) => {
    const socket = open(order, index, ticket)
    let [secure, resumed, reason] = [false, false, 'closed before the handshake was through']
    if (order.mode === 'resume') socket.on('session', (next: Buffer) => tickets.set(slot, next))
    socket.once('secureConnect', () => {
      secure = true
      resumed = socket.isSessionReused()
      socket.end()
    })
    socket.on('error', (error) => (reason = error.message))
    socket.once('close', (failed) => {
      if (secure && !failed) tally.good(returned, resumed)
      else tally.bad(reason)
      resolve()
    })
    socket.resume()
  })
}

async function hold(order: HoldOrder): Promise<LoadDone> {
  const tally = new Tally()
  let next = order.from ?? 0
  const worker = async (): Promise<void> => {
    while (next < order.connections) await keep(order, next++, tally)
  }
  await Promise.all(Array.from({ length: holdersAtOnce }, worker))
  return tally.result()
}

function keep(order: HoldOrder, index: number, tally: Tally): Promise<void> {
  return new Promise((resolve) => {
    const socket = open(order, index)
    const isIn = (): void => {
      held.add(socket)
      tally.good(false, false)
      resolve()
    }
    if (order.isMqtt === true) {
      socket.once('secureConnect', () => socket.write(mqttConnect))
      socket.once('data', isIn)
    } else socket.once('secureConnect', isIn)
    socket.on('error', (error) => {
      if (!held.has(socket)) tally.bad(error.message)
      resolve()
    })
    socket.once('close', () => {
      if (held.delete(socket)) tell({ kind: 'closed', index, at: monotonicMs() })
    })
    socket.resume()
  })
}

function open(target: Target, index: number, session?: Buffer): TLSSocket {
  const at = ++connections % addresses
  const options: ConnectionOptions & { readonly localAddress: string } = {
    host: '127.0.0.1',
    port: target.port,
    servername: 'localhost',
    localAddress: `127.0.1.${at + 1}`,
    secureContext: contextOf(index, target.withIssuer),
    ...(session === undefined ? {} : { session }),
  }
  return connect(options)
}

function contextOf(index: number, withIssuer: boolean): SecureContext {
  const key = `${index}/${withIssuer}`
  const kept = contexts.get(key)
  if (kept !== undefined) return kept
  const device = devices[index % devices.length]
  if (device === undefined) throw new Error('there are no devices')
  const made = createSecureContext({
    cert: device.cert + (withIssuer ? device.issuer : ''),
    key: device.key,
    ca,
    allowPartialTrustChain: true,
    minVersion: 'TLSv1.3',
    ecdhCurve: 'P-256',
    ciphers: 'TLS_AES_128_GCM_SHA256',
  })
  contexts.set(key, made)
  return made
}

function tell(told: Told): void {
  process.send?.(told)
}
