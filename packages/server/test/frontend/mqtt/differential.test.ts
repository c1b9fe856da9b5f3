/**
 * Two readers of the same bytes. What ours accepts of mutated packets, mqtt-packet reads with the
 * same values; what mqtt-packet writes of drawn packets, ours reads back, and what ours writes, both
 * read. It is an oracle for what is right only: it accepts much that is wrong.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { generate } from 'mqtt-packet'
import { samples } from '../../../../../fuzz/mqttPackets.ts'
import { Dice, mutate } from '../../../../../fuzz/mutate.ts'
import type { ClientPacket } from '../../../src/frontend/mqtt/packets.ts'
import { publish } from '../../../src/frontend/mqtt/write.ts'
import { connects, later, publishes } from './drawn.ts'
import { foreign, inForeignWords, says } from './foreign.ts'
import { packetOf, parseBody, read, readOrRefuse, seed } from './support.ts'

const fuzzRuns = Number(process.env['FUZZ_RUNS'] ?? 3000)
const numRuns = Number(process.env['PROPERTY_RUNS'] ?? 200)

/** Only what both say. The reason code of 3.1.1 is ours alone. */
function agrees(ours: ClientPacket, bytes: Buffer, version: 4 | 5 | undefined): void {
  const theirs = foreign(bytes, version)
  says(theirs, inForeignWords(ours), bytes.toString('hex'))
  if (version === 5 && 'reason' in ours) assert.equal(theirs['reasonCode'], ours.reason)
  if (ours.type !== 'connect') return
  assert.equal(theirs['username'] !== undefined, ours.hasUserName)
  assert.equal(theirs['password'] !== undefined, ours.hasPassword)
}

test('mqtt-packet reads every sample as we do', () => {
  for (const sample of samples) {
    agrees(parseBody(sample, sample.body), packetOf(sample.first, sample.body), sample.version)
  }
})

test('what we accept of mutated packets, mqtt-packet reads with the same values', () => {
  const dice = new Dice(seed)
  const bodies = samples.map(({ body }) => body)
  let accepted = 0
  for (let run = 0; run < fuzzRuns; run++) {
    const sample = dice.pick(samples)
    const body = Buffer.from(mutate(sample.body, dice, bodies))
    const ours = readOrRefuse(() => parseBody(sample, body), `run ${run}`)
    if (ours === undefined) continue
    accepted++
    agrees(ours, packetOf(sample.first, body), sample.version)
  }
  assert.ok(accepted > fuzzRuns / 20, `${accepted} of ${fuzzRuns} accepted, seed ${seed}`)
})

for (const [title, packets, version] of [
  ['CONNECT of 3.1.1', connects(4), undefined],
  ['CONNECT of MQTT 5', connects(5), undefined],
  ['any other packet of 3.1.1', later(4), 4],
  ['any other packet of MQTT 5', later(5), 5],
] as const) {
  test(`${title} that mqtt-packet writes is read with the values that went in`, () => {
    fc.assert(
      fc.property(packets, (packet) => {
        const written = generate(packet, { protocolVersion: version ?? 4 })
        const ours = read(written, version)
        agrees(ours, written, version)
        // And not only what it reads of its own, but what went in.
        const given = { protocolId: 'MQTT', keepalive: 0, ...packet }
        says(given, inForeignWords(ours))
        if ('properties' in ours && 'properties' in packet) {
          const went = Object.keys(packet.properties ?? {})
          assert.equal(Object.keys(ours.properties).length, went.length)
        }
      }),
      { seed, numRuns },
    )
  })
}

for (const version of [4, 5] as const) {
  test(`PUBLISH of level ${version} that we write is read by both with the same values`, () => {
    fc.assert(
      fc.property(publishes(version), (packet) => {
        const drawn = read(generate(packet, { protocolVersion: version }), version)
        assert.ok(drawn.type === 'publish')
        // What a server does not send here.
        const { topicAlias: _, ...properties } = drawn.properties
        const message = { ...drawn, retain: false, properties }
        const written = publish({ version, ...message })
        assert.deepEqual(read(written, version), message)
        agrees(message, written, version)
      }),
      { seed, numRuns },
    )
  })
}
