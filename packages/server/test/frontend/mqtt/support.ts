/** What the codec's tests share: frames from hexadecimal text, refusals, seeds. */
import assert from 'node:assert/strict'
import { PeerError } from '@countersign/core/errors'
import { packetBytes, type Sample } from '../../../../../fuzz/mqttPackets.ts'
import { Framer } from '../../../src/frontend/mqtt/framing.ts'
import type {
  ClientPacket,
  Frame,
  MqttErrorCode,
  MqttVersion,
} from '../../../src/frontend/mqtt/packets.ts'
import { parsePacket } from '../../../src/frontend/mqtt/parse.ts'

/** Given by SEED, else drawn; printed by what fails. */
export const seed: number = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31))
export const bytesMax = 256 * 1024

export { hex } from '../../../../../fuzz/mqttPackets.ts'

/** All the frames in these bytes, of which nothing may be left. */
export function framesOf(bytes: Buffer): readonly Frame[] {
  const framer = new Framer(bytesMax)
  framer.push(bytes)
  const frames: Frame[] = []
  for (let frame = framer.next(); frame !== undefined; frame = framer.next()) frames.push(frame)
  assert.equal(framer.pending, 0, 'bytes are left')
  return frames
}

/** The one packet in these bytes. */
export function read(bytes: Buffer, version: MqttVersion | undefined): ClientPacket {
  const [frame, ...more] = framesOf(bytes)
  assert.ok(frame !== undefined && more.length === 0, 'not one packet')
  return parsePacket(frame, version)
}

/** The body behind the fixed header that belongs to it. */
export function packetOf(first: number, body: Buffer): Buffer {
  return packetBytes({ first, body })
}

/** The sample with another body, parsed without framing. */
export function parseBody({ first, version }: Sample, body: Buffer): ClientPacket {
  return parsePacket({ type: first >> 4, flags: first & 0x0f, body }, version)
}

export function refuses(call: () => unknown, code: MqttErrorCode, where?: string): PeerError {
  let thrown: unknown
  try {
    call()
  } catch (error) {
    thrown = error
  }
  assert.ok(thrown instanceof PeerError, `expected ${code}, got ${String(thrown)}`)
  assert.equal(thrown.code, code, thrown.message)
  if (where !== undefined) assert.equal(thrown.where, where)
  return thrown
}

/** The packet, or undefined when it was refused; anything else is our fault. */
export function readOrRefuse(call: () => ClientPacket, context: string): ClientPacket | undefined {
  try {
    return call()
  } catch (error) {
    if (error instanceof PeerError) return undefined
    throw new Error(`not a PeerError (${context}, seed ${seed})`, { cause: error })
  }
}
