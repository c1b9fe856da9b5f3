/**
 * Those who must not get in, on coap. Nobody authenticates what they are told, and the gateway
 * forges too: that nothing of theirs was stored, the application's doors say.
 */
import {
  CoapEndpoint,
  type CoapOption,
  coapCode,
  contentFormatOption,
  uriPath,
} from '@countersign/core/coap'
import { fromHex } from '@countersign/core/codec'
import { isCountersignError } from '@countersign/core/errors'
import type { Signer, Timers } from '@countersign/core/ports'
import {
  openUdpLink,
  parseTarget,
  type ServerTarget,
  systemWorld,
  type UdpLink,
} from '@countersign/device'
import { NarrowSession, trustPinnedIssuer } from '@countersign/device/narrow'

export interface CoapAddress {
  readonly coap: string
  readonly anchor: string
}

/** A certificate, and the key that it speaks of. */
export interface CoapFace {
  readonly leaf: Uint8Array
  readonly signer: Signer
}

const { clock, random, crypto } = systemWorld()
const timers: Timers = {
  after(milliseconds, run) {
    const timer = setTimeout(run, milliseconds)
    return { cancel: () => clearTimeout(timer) }
  },
}
const transmission = { ackTimeoutMs: 200 }
const patienceMs = 1500
const handshakeMsMax = 8000
const server = 'the server'
const json = 50
/** No topic of the devices: it goes in the clear, and the recording is searched for theirs. */
const options: readonly CoapOption[] = [...uriPath('m', 'intrusion'), contentFormatOption(json)]
const reading = {
  code: coapCode.post,
  options,
  payload: Buffer.from('{"celsius":99}'),
}

/** Answers with the code of the response. */
export async function sendInTheClear(address: CoapAddress): Promise<number> {
  const wire = await openWire(address)
  const endpoint = new CoapEndpoint({
    clock,
    random,
    timers,
    transmission,
    send: (datagram) => wire.link.send(datagram),
    serve: (_request, _from, respond) => respond(undefined),
  })
  wire.receive = (datagram) => endpoint.receive(datagram, server)
  try {
    const signal = AbortSignal.timeout(patienceMs)
    // Judged, if only to be true: then nobody else's acknowledgement ends the sending.
    return (await endpoint.request(reading, server, { signal, accept: () => true })).code
  } finally {
    endpoint.close()
    wire.link.close()
  }
}

/** Answers with the code of the response that ended the handshake, or of the one to the reading. */
export async function shakeHandsAs(face: CoapFace, address: CoapAddress): Promise<number> {
  const wire = await openWire(address)
  const session = await NarrowSession.open({
    crypto,
    clock,
    random,
    timers,
    transmission,
    credential: face,
    trust: trustPinnedIssuer(crypto, fromHex(wire.target.anchor)),
    storage: { load: async () => undefined, save: async () => undefined },
    send: (datagram) => wire.link.send(datagram),
    serve: async () => ({ code: coapCode.notFound, options: [], payload: new Uint8Array() }),
    fault: () => undefined,
    limits: { hintGraceMs: 400 },
  })
  wire.receive = (datagram) => session.receive(datagram)
  try {
    const signal = AbortSignal.timeout(handshakeMsMax)
    return (await session.request(reading, { signal })).code
  } catch (error) {
    if (!isCountersignError(error) || error.code !== 'ERR_NARROW_REFUSED') throw error
    return Number(error.details['code'])
  } finally {
    await session.sleep()
    wire.link.close()
  }
}

interface Wire {
  readonly target: ServerTarget
  readonly link: UdpLink
  receive: ((datagram: Uint8Array) => void) | undefined
}

async function openWire({ coap, anchor }: CoapAddress): Promise<Wire> {
  const target = parseTarget(coap, anchor, 'coap')
  const link = await openUdpLink(target, (datagram) => wire.receive?.(datagram))
  const wire: Wire = { target, link, receive: undefined }
  return wire
}
