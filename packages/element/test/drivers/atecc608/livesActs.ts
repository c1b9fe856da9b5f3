/** What a host asks of its element in a life, and whether what came back can be true. */
import assert from 'node:assert/strict'
import { createECDH, createHash, createPublicKey, verify } from 'node:crypto'
import { parseAtecc608Evidence } from '@countersign/core/attestation'
import {
  type Attestation,
  type ElementInfo,
  isElementError,
  type SecureElement,
  type SlotInfo,
} from '../../../src/ports.ts'
import { spkiOfPoint } from '../../../src/signer.ts'
import { type Draw, drawBytes, drawOne } from '../../seeded.ts'
import { cellsOf, type Flight, keySlots, publicKeyIn, type Truth } from './livesTruth.ts'
import { hexOf } from './scripted.ts'

export type Act =
  | { readonly kind: 'sign'; readonly slot: number; readonly message: Uint8Array }
  | { readonly kind: 'generateKey' | 'publicKey' | 'ecdh'; readonly slot: number }
  | { readonly kind: 'random'; readonly length: number }
  | {
      readonly kind: 'read'
      readonly slot: number
      readonly offset: number
      readonly length: number
    }
  | {
      readonly kind: 'write'
      readonly slot: number
      readonly offset: number
      readonly bytes: Uint8Array
    }
  | { readonly kind: 'count' | 'increment'; readonly counter: number }
  | { readonly kind: 'attest'; readonly slot: number; readonly nonce: Uint8Array }
  | { readonly kind: 'info' | 'slots' }

export const serialHex = '0123456789abcdefee'

const peer = createECDH('prime256v1')
peer.generateKeys()
const peerPoint = new Uint8Array(peer.getPublicKey().subarray(1))

export function drawAct(draw: Draw): Act {
  switch (draw(14)) {
    case 0:
    case 1:
    case 2:
      return {
        kind: 'sign',
        slot: drawOne(draw, [0, 2, 4, 0, 2, 4, 3]),
        message: drawBytes(draw, 20),
      }
    case 3:
    case 4:
      return { kind: 'generateKey', slot: drawOne(draw, [0, 2, 3, 4, 0, 2, 3, 4, 1, 9]) }
    case 5:
      return { kind: 'publicKey', slot: drawOne(draw, keySlots) }
    case 6:
      return { kind: 'ecdh', slot: drawOne(draw, [0, 2, 3, 4, 1]) }
    case 7:
      return { kind: 'random', length: draw(70) }
    case 8: {
      const slot = drawOne(draw, [8, 9, 10, 11, 12, 15, 5])
      return { kind: 'read', slot, ...drawRange(draw, slot) }
    }
    case 9:
    case 10: {
      const slot = drawOne(draw, [9, 10, 11, 12, 15])
      const { offset, length } = drawRange(draw, slot)
      return { kind: 'write', slot, offset, bytes: drawBytes(draw, length) }
    }
    case 11:
      return { kind: draw(2) === 0 ? 'count' : 'increment', counter: draw(2) }
    case 12:
      return { kind: 'attest', slot: drawOne(draw, [0, 2, 4, 3]), nonce: drawBytes(draw, 32) }
    default:
      return { kind: draw(2) === 0 ? 'info' : 'slots' }
  }
}

function drawRange(draw: Draw, slot: number): { offset: number; length: number } {
  const size = slot === 8 ? 416 : slot < 8 ? 36 : 72
  const offset = draw(size)
  return { offset, length: 1 + draw(Math.min(size - offset, 80)) }
}

export function perform(element: SecureElement, act: Act): Promise<unknown> {
  const { data, counters } = element
  assert.ok(data && counters, 'an ATECC608 has both')
  switch (act.kind) {
    case 'sign':
      return element.sign(act.slot, sha256(act.message))
    case 'generateKey':
    case 'publicKey':
      return element[act.kind](act.slot)
    case 'ecdh':
      return element.ecdh?.(act.slot, peerPoint) ?? absent()
    case 'random':
      return element.random(act.length)
    case 'read':
      return data.read(act.slot, act.offset, act.length)
    case 'write':
      return data.write(act.slot, act.offset, act.bytes)
    case 'count':
      return counters.read(act.counter)
    case 'increment':
      return counters.increment(act.counter)
    case 'attest':
      return element.attest?.(act.slot, act.nonce) ?? absent()
    case 'info':
    case 'slots':
      return element[act.kind]()
  }
}

function absent(): never {
  return assert.fail('an ATECC608 has it')
}

/** What forbids it, by the layout "countersign-1". */
function isForbidden(act: Act): boolean {
  switch (act.kind) {
    case 'sign':
      return ![0, 2, 4].includes(act.slot)
    case 'generateKey':
    case 'ecdh':
      return ![0, 2, 3, 4].includes(act.slot)
    case 'read':
      return act.slot < 8
    default:
      return false
  }
}

/** Undefined when the value can be true. */
export function wrongValue(truth: Truth, flight: Flight, value: unknown): string | undefined {
  const { act } = flight
  if (isForbidden(act)) return 'it is forbidden, and was done'
  return canBeTrue(truth, flight, value) ? undefined : `a wrong value: ${words(value)}`
}

function canBeTrue(truth: Truth, flight: Flight, value: unknown): boolean {
  const { act } = flight
  const seen = truth.seenBy(flight)
  const points = (slot: number): readonly Uint8Array[] =>
    seen.map((version) => publicKeyIn(version, slot)).filter((point) => point !== undefined)
  switch (act.kind) {
    case 'sign':
      return points(act.slot).some((point) => verifies(point, act.message, value))
    case 'generateKey':
      return truth.claim(flight, (version) => same(publicKeyIn(version, act.slot), value))
    case 'publicKey':
      return points(act.slot).some((point) => same(point, value))
    case 'ecdh':
      return points(act.slot).some((point) =>
        same(peer.computeSecret(Buffer.concat([Buffer.of(4), point])), value),
      )
    case 'random':
      return isDrawn(truth.drawnFor(flight), value, act.length)
    case 'read':
      return (
        value instanceof Uint8Array &&
        value.length === act.length &&
        wordsOf(act.offset, value).every(([at, word]) =>
          seen.some((version) =>
            same(cellsOf(version, act.slot).subarray(at, at + word.length), word),
          ),
        )
      )
    case 'write':
      return wordsOf(act.offset, act.bytes).every(([at, word]) =>
        seen.some((version) =>
          same(cellsOf(version, act.slot).subarray(at, at + word.length), word),
        ),
      )
    case 'count':
      return seen.some(({ counts }) => counts[act.counter] === value)
    case 'increment':
      return truth.claim(flight, ({ counts }) => counts[act.counter] === value)
    case 'attest':
      return points(act.slot).some((point) => attests(truth, act, point, value))
    case 'info':
      return isOurs(value)
    case 'slots':
      return keySlots.every((slot) => {
        const state = stateOf(value, slot)
        return seen.some(
          (version) => (publicKeyIn(version, slot) === undefined ? 'empty' : 'key') === state,
        )
      })
  }
}

const faultCodes: readonly string[] = [
  'ERR_ELEMENT_BUSY',
  'ERR_ELEMENT_BUS',
  'ERR_ELEMENT_CRC',
  'ERR_ELEMENT_PARSE',
  'ERR_ELEMENT_WATCHDOG',
  'ERR_ELEMENT_GONE',
]

export interface Circumstances {
  /** Something went wrong on purpose, or another driver was there. */
  readonly mayFail: boolean
  readonly wasSwapped: boolean
}

/** Undefined when it may be refused like this. */
export function wrongRefusal(
  truth: Truth,
  flight: Flight,
  error: unknown,
  { mayFail, wasSwapped }: Circumstances,
): string | undefined {
  const { act } = flight
  if (!isElementError(error)) return `no error of an element: ${String(error)}`
  const { code } = error
  if (faultCodes.includes(code) && mayFail) return undefined
  if (code === 'ERR_ELEMENT_SWAPPED' && wasSwapped) return undefined
  if (code === 'ERR_ELEMENT_POLICY' && isForbidden(act)) return undefined
  const wasEmpty =
    'slot' in act &&
    keySlots.some((slot) => slot === act.slot) &&
    truth.seenBy(flight).some((version) => publicKeyIn(version, act.slot) === undefined)
  if (code === 'ERR_ELEMENT_SLOT_EMPTY' && wasEmpty) return undefined
  return `refused with ${code}: ${error.message}`
}

function verifies(point: Uint8Array, message: Uint8Array, signature: unknown): boolean {
  if (!(signature instanceof Uint8Array) || signature.length !== 64) return false
  const spki = { key: Buffer.from(spkiOfPoint(point)), format: 'der', type: 'spki' } as const
  const key = createPublicKey(spki)
  return verify('sha256', message, { key, dsaEncoding: 'ieee-p1363' }, signature)
}

/** The 55 bytes begin with TempKey: SHA-256(nonce || 40 08 slot 00 || SN8 SN0 SN1 || 25 * 0 || X || Y). */
function attests(
  truth: Truth,
  act: Act & { kind: 'attest' },
  point: Uint8Array,
  value: unknown,
): boolean {
  const { evidence, chain } = value as Attestation
  const told = parseAtecc608Evidence(evidence)
  const key = publicKeyIn(truth.now, 1)
  const tempKey = createHash('sha256')
    .update(act.nonce)
    .update(Buffer.from([0x40, 0x08, act.slot, 0x00, 0xee, 0x01, 0x23]))
    .update(Buffer.alloc(25))
    .update(point)
    .digest()
  return (
    same(told.nonce, act.nonce) &&
    told.slot === act.slot &&
    same(told.publicKey, point) &&
    same(told.message.subarray(0, 32), tempKey) &&
    key !== undefined &&
    verifies(key, told.message, told.signature) &&
    chain.length === 1 &&
    same(cellsOf(truth.now, 8).subarray(0, 300), chain[0])
  )
}

function isDrawn(drawn: readonly string[], value: unknown, length: number): boolean {
  if (!(value instanceof Uint8Array) || value.length !== length) return false
  for (let at = 0; at < length; at += 32) {
    const block = hexOf(value.subarray(at, at + 32))
    if (!drawn.some((each) => each.startsWith(block))) return false
  }
  return true
}

/** Pieces of a run that one command reads or writes as a whole: each within a word of 4 bytes. */
function wordsOf(offset: number, bytes: Uint8Array): [at: number, piece: Uint8Array][] {
  const pieces: [number, Uint8Array][] = []
  for (let at = offset; at < offset + bytes.length; at += 4 - (at % 4)) {
    const end = Math.min(at + 4 - (at % 4), offset + bytes.length)
    pieces.push([at, bytes.subarray(at - offset, end - offset)])
  }
  return pieces
}

function isOurs(value: unknown): boolean {
  const { serial, revision, model } = value as ElementInfo
  return serial === serialHex && revision === '00006003' && model === 'ATECC608B'
}

function stateOf(value: unknown, wanted: number): string | undefined {
  return (value as readonly SlotInfo[]).find(({ slot }) => slot === wanted)?.state
}

function same(a: Uint8Array | undefined, b: unknown): boolean {
  return a !== undefined && b instanceof Uint8Array && hexOf(a) === hexOf(b)
}

function sha256(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(bytes).digest())
}

export function words(value: unknown): string {
  const text = JSON.stringify(value, (_, part: unknown) =>
    part instanceof Uint8Array ? hexOf(part) : part,
  )
  return text ?? 'nothing'
}
