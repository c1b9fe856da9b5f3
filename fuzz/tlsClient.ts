/**
 * Fuzzes the whole TLS client with what a server says: one message bent and everything around it
 * right, the inside of a flight, or the bare stream. `node fuzz/tlsClient.ts --seconds N --seed S`
 *
 * The first byte of an input says which part of a conversation the rest stands for, the second what
 * conversation it is and how it reaches the client.
 */
import { parseCertificate } from '@countersign/core/credential'
import { concat } from '@countersign/core/codec'
import type { Signer } from '@countersign/core/ports'
import { type ResumableSession, TlsClient, trustPinned } from '@countersign/core/tls'
import { waitingBytesMax, waitingBytesWanted } from '../packages/core/src/tls/limits.ts'
import { contentType } from '../packages/core/src/tls/registry.ts'
import { now } from '../packages/core/test/judge/world.ts'
import { chunksOf, diceOf } from './chunks.ts'
import { fuzzAsync } from './fuzz.ts'
import {
  contentOf,
  drawn,
  glassSigner,
  type Layout,
  type Piece,
  type Story,
  serverName,
  serverWords,
  stories,
  wireOf,
} from './tlsFlights.ts'
import { glassCrypto, glassRecord } from './tlsGlass.ts'
import { Witness } from './tlsWitness.ts'

/** First bytes: these, or the number of the piece that the rest stands for. */
const parts = { wholeFlight: 0xf1, bareStream: 0xf2, flood: 0xf3 } as const

/** Bits of the second byte, above the two of the story. */
const bits = { packed: 4, slowElement: 8, allAtOnce: 16, padded: 32 } as const

const words = await serverWords()
const clock = { now: () => now }
const random = { bytes: (length: number) => drawn.slice(0, length) }
const device = glassSigner(9)
/** The client shows the server's certificate: nobody verifies what a glass signer signs. */
const [clientLeaf = new Uint8Array()] = words.shown.chain
const clientSpki = parseCertificate(clientLeaf).spki.der
const ticket: ResumableSession = {
  ticket: new Uint8Array(64).fill(0x54),
  psk: glassCrypto.importSecret(new Uint8Array(32)),
  suite: 'TLS_AES_128_GCM_SHA256',
  ageAdd: 1,
  receivedAt: now - 1000,
  lifetimeMs: 7_200_000,
  server: words.shown,
  isAuthenticated: true,
  client: clientLeaf,
  serverName,
}

/** A way that an input goes. */
interface Way extends Layout {
  readonly story: Story
  readonly isElementSlow: boolean
  /** The client comes to no rest between two pieces of the stream. */
  readonly isAtOnce: boolean
}

function wayOf(number: number): Way {
  return {
    story: stories[number & 3] ?? 'full',
    isPacked: (number & bits.packed) > 0,
    isElementSlow: (number & bits.slowElement) > 0,
    isAtOnce: (number & bits.allAtOnce) > 0,
    padding: (number & bits.padded) > 0 ? 20 : 0,
  }
}

await fuzzAsync('tlsClient', corpus(), run)

/** The pieces of every story, each by itself; the insides of flights; streams; one flood. */
function corpus(): readonly Uint8Array[] {
  const inputs = stories.flatMap((story, number) => {
    const pieces = words.pieces[story]
    const whole = wayOf(number)
    return [
      ...pieces.flatMap(({ body }, at) => [
        input(at, number, body),
        input(at, number + bits.packed + bits.slowElement, body),
      ]),
      input(parts.wholeFlight, number, ...pieces.filter(isInFlight).map(contentOf)),
      input(parts.bareStream, number + bits.allAtOnce, wireOf(pieces, whole)),
      input(parts.bareStream, number, wireOf(pieces, { isPacked: true, padding: 20 })),
    ]
  })
  return [...inputs, input(parts.flood, bits.padded)]
}

function input(part: number, way: number, ...bytes: readonly Uint8Array[]): Uint8Array {
  return concat(Uint8Array.of(part, way), ...bytes)
}

async function run(bytes: Uint8Array): Promise<void> {
  const [part = 0, number = 0] = bytes
  const way = wayOf(number)
  const signing = Promise.withResolvers<Uint8Array>()
  const isLate = way.isElementSlow || part === parts.flood
  const { client, witness } = newClient(way.story, () =>
    isLate ? signing.promise : device.sign(drawn),
  )
  client.start()
  const dice = diceOf(bytes)
  for (const chunk of chunksOf(streamOf(part, way, bytes.subarray(2)), dice)) {
    client.receive(chunk)
    // Some way on, or to its rest: a message is a dozen of turns.
    for (let turns = way.isAtOnce ? 0 : dice.below(40); turns > 0; turns--) {
      await Promise.resolve()
    }
  }
  await calm()
  if (part === parts.flood) floodIt(client, witness)
  signing.resolve(await device.sign(drawn))
  await calm()
  client.endOfStream()
  await calm()
  requireSilence(client, witness)
  witness.requirePromises()
}

function newClient(
  story: Story,
  sign: Signer['sign'],
): { readonly client: TlsClient; readonly witness: Witness } {
  const witness = new Witness(() => {
    client.write(Uint8Array.of(1, 2, 3))
    client.exporter('EXPORTER-fuzz', drawn, 32)
  })
  const host = serverName
  const client = new TlsClient(
    {
      crypto: glassCrypto,
      random,
      clock,
      host,
      // A new judge each time: one remembers whom it has seen.
      trust: trustPinned({ crypto: glassCrypto, clock, host, anchor: words.anchor }),
      credential: { chain: [clientLeaf], signer: { ...device, spki: clientSpki, sign } },
      session: story === 'resumed' ? ticket : undefined,
      policy: { alpn: ['mqtt'], groups: ['x25519', 'secp256r1'], shares: ['x25519'] },
    },
    witness,
  )
  return { client, witness }
}

function streamOf(part: number, way: Way, rest: Uint8Array): Uint8Array {
  const pieces = words.pieces[way.story]
  switch (part) {
    case parts.bareStream:
      return rest
    case parts.wholeFlight:
      return wireOf(withFlight(pieces, rest), way)
    case parts.flood:
      // Up to Finished, behind which the element is asked.
      return wireOf(words.pieces.authenticated.filter(isBeforeTheOpen), way)
    default: {
      const bent = part % pieces.length
      return wireOf(
        pieces.map((piece, at) => (at === bent ? { ...piece, body: rest } : piece)),
        way,
      )
    }
  }
}

/** In place of all messages of the flight, whatever types and lengths stand in `content`. */
function withFlight(pieces: readonly Piece[], content: Uint8Array): readonly Piece[] {
  const inside: Piece = { record: 'flight', type: undefined, body: content }
  const first = pieces.findIndex(isInFlight)
  return pieces.flatMap((piece, at) => {
    if (at === first) return [inside]
    return isInFlight(piece) ? [] : [piece]
  })
}

function isInFlight({ record }: Piece): boolean {
  return record === 'flight'
}

function isBeforeTheOpen({ record }: Piece): boolean {
  return record === 'hello' || record === 'flight'
}

/** What waits for the element is bounded, and said to be too much long before. */
function floodIt(client: TlsClient, witness: Witness): void {
  const record = glassRecord(contentType.applicationData, new Uint8Array(16_000))
  let waiting = 0
  while (!witness.isOver) {
    if (waiting > waitingBytesMax) throw new Error(`${waiting} bytes wait for the element`)
    if (waiting > waitingBytesWanted && client.isHungry) throw new Error('it is never full')
    client.receive(record)
    waiting += record.length
  }
}

/** Whoever is over hears nothing and says nothing. */
function requireSilence(client: TlsClient, witness: Witness): void {
  const { events } = witness
  client.receive(Uint8Array.of(22, 3, 3, 0, 1, 0))
  client.endOfStream()
  if (witness.events !== events) throw new Error('it goes on behind its end')
}

/** Until nothing can happen any more without somebody outside. */
async function calm(): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve))
}
