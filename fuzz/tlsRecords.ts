/**
 * Fuzzes what lies between a stream and the handshake: records, their protection and the messages in
 * them, in random pieces. `node fuzz/tlsRecords.ts --seconds N --seed S`
 *
 * However a stream is cut, the same comes out, and what comes out is what stands on the wire.
 */
import { concat, equalBytes } from '@countersign/core/codec'
import { PeerError } from '@countersign/core/errors'
import { Inbound } from '../packages/core/src/tls/inbound.ts'
import { MessageReader } from '../packages/core/src/tls/messageReader.ts'
import { RecordProtection } from '../packages/core/src/tls/recordProtection.ts'
import { RecordReader } from '../packages/core/src/tls/recordReader.ts'
import { contentType, handshakeType, suites } from '../packages/core/src/tls/registry.ts'
import { chunksOf, diceOf } from './chunks.ts'
import { each, fuzz } from './fuzz.ts'
import type { Dice } from './mutate.ts'
import { glassCrypto, glassRecord, plainRecord } from './tlsGlass.ts'
import { requireSame } from './tlsPromises.ts'
import { flights, plainRecords } from './tlsTraces.ts'

const { handshake, alert, applicationData } = contentType
const suite = suites.TLS_AES_128_GCM_SHA256
/** What an ordinary client and a small device say of the size of records. */
const contentMaxima = [16_384, 512]

function protection(): RecordProtection {
  return new RecordProtection(glassCrypto, suite, glassCrypto.importSecret(new Uint8Array(32)))
}

const changeCipherSpec = Uint8Array.of(20, 3, 3, 0, 1, 1)
const farewell = glassRecord(alert, Uint8Array.of(1, 0))
const later = concat(
  glassRecord(handshake, Uint8Array.of(24, 0, 0, 1, 1)),
  glassRecord(applicationData, new Uint8Array(50).fill(0x61), 30),
  glassRecord(alert, Uint8Array.of(1, 90)),
  glassRecord(applicationData, new Uint8Array()),
  farewell,
)
const hellos = plainRecords()
const firstHello = hellos[0] ?? new Uint8Array()
const tails = flights().map((flight) => concat(glassRecord(handshake, flight), later))
const streams = hellos.flatMap((one) => tails.map((tail) => concat(one, changeCipherSpec, tail)))

for (const stream of streams) {
  const { events, error } = read([stream], contentMaxima[0] ?? 0)
  if (error !== undefined || !events.at(-1)?.startsWith('close')) {
    throw new Error(`a stream of the corpus is not read to its end: ${String(error)}`)
  }
}

fuzz('tlsRecords', [...streams, ...tails, ...flights()], (input) => {
  const dice = diceOf(input)
  each([
    ...contentMaxima.map((contentMax) => () => alike(input, contentMax, dice)),
    // The records around it are right however the content was bent.
    () => alike(framed(input, dice), 16_384, dice),
    () => recordsStandOnTheWire(input, undefined, dice),
    () => recordsStandOnTheWire(input, protection(), dice),
    () => messagesStandInTheContent(input, dice),
  ])
})

interface Outcome {
  readonly events: readonly string[]
  readonly error: PeerError | undefined
}

/** In one piece and in many, the same. Throws what was thrown. */
function alike(stream: Uint8Array, contentMax: number, dice: Dice): void {
  const whole = read([stream], contentMax)
  const cut = read(chunksOf(stream, dice), contentMax)
  const [a, b] = [whole, cut].map(({ events, error }) => [...events, error?.message].join('\n'))
  if (a !== b) throw new Error(`in one piece:\n${a}\nin many:\n${b}`)
  if (whole.error !== undefined) throw whole.error
}

/** As a client does: keys change behind ServerHello and behind Finished. */
function read(chunks: readonly Uint8Array[], contentMax: number): Outcome {
  const inbound = new Inbound(contentMax)
  const events: string[] = []
  try {
    for (const chunk of chunks) {
      inbound.push(chunk)
      for (let next = inbound.next(); next !== undefined; next = inbound.next()) {
        if (next.kind === 'close') {
          events.push('close')
          return { events, error: undefined }
        }
        const bytes = next.kind === 'data' ? next.content : next.message.whole
        events.push(`${next.kind} ${Buffer.from(bytes).toString('latin1')}`)
        if (next.kind === 'message') turn(inbound, next.message.type)
      }
    }
  } catch (error) {
    if (!(error instanceof PeerError)) throw error
    return { events, error }
  }
  return { events, error: undefined }
}

function turn(inbound: Inbound, type: number): void {
  if (type === handshakeType.serverHello) inbound.protect(protection())
  else if (type === handshakeType.keyUpdate) inbound.update()
  else if (type === handshakeType.finished) {
    inbound.protect(protection())
    inbound.endOfHandshake()
  }
}

/** Each record is the next one of the stream that is no change_cipher_spec. */
function recordsStandOnTheWire(
  stream: Uint8Array,
  keys: RecordProtection | undefined,
  dice: Dice,
): void {
  const reader = new RecordReader()
  if (keys !== undefined) reader.protect(keys, 16_384)
  let at = 0
  for (const chunk of chunksOf(stream, dice)) {
    reader.push(chunk)
    for (let record = reader.next(); record !== undefined; record = reader.next()) {
      while (stream[at] === contentType.changeCipherSpec) at += changeCipherSpec.length
      const length = (stream[at + 3] ?? 0) * 256 + (stream[at + 4] ?? 0)
      const body = stream.subarray(at + 5, at + 5 + length)
      const { type, content } = record
      // Behind the content: its type, zeros, a tag of 16 bytes.
      const expected =
        keys === undefined
          ? plainRecord(type, content)
          : glassRecord(type, content, length - content.length - 17)
      requireSame(concat(stream.subarray(at, at + 1), body), withoutVersion(expected), 'a record')
      at += 5 + length
    }
  }
}

function withoutVersion(record: Uint8Array): Uint8Array {
  return concat(record.subarray(0, 1), record.subarray(5))
}

/** The messages, one behind the other, are the beginning of what was pushed. */
function messagesStandInTheContent(content: Uint8Array, dice: Dice): void {
  const reader = new MessageReader()
  let at = 0
  for (const chunk of chunksOf(content, dice)) {
    reader.push(chunk)
    for (let message = reader.next(); message !== undefined; message = reader.next()) {
      const { whole, body, type } = message
      requireSame(content.subarray(at, at + whole.length), whole, 'a message')
      const isRight = type === whole[0] && equalBytes(body, whole.subarray(4))
      if (!isRight) throw new Error('a message differs from its whole')
      at += whole.length
    }
  }
}

/** As content of records of a handshake, behind a ServerHello. */
function framed(content: Uint8Array, dice: Dice): Uint8Array {
  const records = chunksOf(content, dice, [200, 1500, 16_384]).map((chunk) =>
    glassRecord(handshake, chunk, dice.below(2) * dice.below(40)),
  )
  return concat(firstHello, ...records, farewell)
}
