/**
 * The heap that the TLS client needs in an engine for small devices (QuickJS with an enforced
 * limit): the lowest limit under which a full handshake with a client certificate, application data,
 * the farewell and a resumed connection pass, found by trying. Beside it the lowest limits of the
 * engine alone and of the engine with the program loaded and nothing run.
 */
import {
  bytecodeOf,
  bytecodeOfText,
  type Variant,
} from '../packages/core/test/tls/quickjs/build.ts'
import { bareEngine, startEngine } from '../packages/core/test/tls/quickjs/engine.ts'
import { hostPorts } from '../packages/core/test/tls/quickjs/hostPorts.ts'
import { type Peer, startPeer } from '../packages/core/test/tls/quickjs/peer.ts'
import { silent, visits } from '../packages/core/test/tls/quickjs/visit.ts'
import { kilobyte, lowestLimit } from './lowestLimit.ts'
import { type Report, whole } from './report.ts'

const wantedKilobytes = 768

/** A server that does not know RFC 8449 may send records of up to 16,384. */
const fullRecordBytes = 16_000

/** With a goal: P-256 and hashing are the host's. AES is here to show what its tables cost. */
const variants: readonly (readonly [Variant, hasGoal: boolean])[] = [
  ['AEAD of the host', true],
  ['ChaCha20-Poly1305 inside', true],
  ['AES-128-GCM inside', false],
]

export async function run(): Promise<Report> {
  await using peer = await startPeer()
  const bare = await engineAlone()
  const rows = []
  const goals = []
  for (const [variant, hasGoal] of variants) {
    const code = await bytecodeOf(variant)
    const loaded = await lowestLimit(async (limit) => {
      const engine = await startEngine(code, hostPorts(Date.now), silent, limit)
      engine[Symbol.dispose]()
    })
    const served = await lowestLimit((limit) => fullThenResumed(code, peer, limit, 0))
    const full = await lowestLimit((limit) => fullThenResumed(code, peer, limit, fullRecordBytes))
    const limits = [`${bare} kB`, `${loaded} kB`, `**${served} kB**`, `${full} kB`]
    rows.push([variant, whole(code.length), ...limits])
    if (hasGoal) {
      const what = `${variant}: lowest limit`
      const sense = 'at most' as const
      goals.push({ what, ratio: served, wanted: wantedKilobytes, sense, unit: ' kB' })
    }
  }
  return {
    tables: [
      {
        columns: [
          'program',
          'bytes of bytecode',
          'engine alone',
          'program loaded, nothing run',
          'full handshake with client certificate, data, farewell, resumption',
          'the same with records of 16,000 bytes',
        ],
        rows,
      },
    ],
    goals,
    notes: [
      '1 kB is 1,000 bytes. Of each limit the engine keeps 65,536 bytes for telling that the rest is used up.',
      'The limit covers what the engine allocates, its own objects included; the stack, and bytecode that lies in flash, are not in it.',
    ],
  }
}

/**
 * An engine is made before its limit holds: what it has taken shows when it is asked for a block
 * that fits into none of its own.
 */
async function engineAlone(): Promise<number> {
  const block = 20
  const code = await bytecodeOfText(`new Uint8Array(${block * kilobyte})`)
  const withBlock = await lowestLimit(async (limit) => {
    using engine = await bareEngine(limit)
    engine.evalBytecode(code).dispose()
  })
  return withBlock - block
}

async function fullThenResumed(
  code: Uint8Array,
  peer: Peer,
  limit: number,
  answerBytes: number,
): Promise<void> {
  const [first, second] = await visits(code, peer, limit, { count: 2, answerBytes })
  if (first?.isAuthenticated && second?.isResumed) return
  throw new Error('it passed without a certificate or without resumption')
}
