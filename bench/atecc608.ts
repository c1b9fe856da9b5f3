/**
 * The driver of the ATECC608 on the emulated part in this process, command by command, with no
 * execution times: what driver, wire and emulator cost beside a chip that takes milliseconds. Anchors
 * are the same packet on the emulated chip alone, and the operation of OpenSSL that is inside.
 *
 * A command that wants another before it in the same wake (Sign a Nonce) is measured with it, and
 * that other one, measured by itself, is taken off. Each figure has one wake and one idle in it.
 */
import { bareOperations, type Work, workbench } from './atecc608Works.ts'
import { type Case, type Figure, forAbout, measure } from './measure.ts'
import { atLeast, type Goal, type Report } from './report.ts'

const chipAlone = 'Info, the chip alone'
const wakeAndIdle = 'wake and idle, no command'
const goalMs = 0.15

export async function run(): Promise<Report> {
  const bench = await workbench()
  try {
    const bare = bareOperations()
    const cases: readonly Case[] = [
      { name: chipAlone, run: (ms) => forAbout(ms, () => void bench.infoOnChip()) },
      { name: wakeAndIdle, run: (ms) => forAbout(ms, () => bench.nothing()) },
      ...bench.works.map(({ name, run: work }) => ({
        name,
        run: (ms: number) => forAbout(ms, async () => void (await work())),
      })),
      ...Object.entries(bare).map(([name, work]) => ({
        name,
        run: (ms: number) => forAbout(ms, () => void work()),
      })),
    ]
    const figures = await measure(cases, { rounds: 3, milliseconds: 400 })
    return reportOf(bench.works, new Map(figures.map((figure) => [figure.name, figure])))
  } finally {
    await bench.close()
  }
}

type Figures = ReadonlyMap<string, Figure>

function reportOf(works: readonly Work[], figures: Figures): Report {
  const own = works.map((work) => ({ work, ms: ownMs(work, works, figures) }))
  const slowest = own.reduce((one, other) => (other.ms > one.ms ? other : one))
  const goals: Goal[] = [
    {
      what: `the slowest command (${slowest.work.name}), its wake and idle included`,
      ratio: slowest.ms,
      wanted: goalMs,
      sense: 'at most',
      unit: 'ms',
    },
    ...atLeast(
      'Info through driver and wire, to the chip alone',
      figures.get('Info')?.perCpuSecond,
      figures.get(chipAlone)?.perCpuSecond,
      0.02,
    ),
  ]
  return {
    tables: [
      {
        columns: ['command', 'ms of CPU', 'spread', 'measured with', 'OpenSSL alone, ms'],
        rows: [
          ...[chipAlone, wakeAndIdle].map((name) => [
            name,
            msOf(figures, name).toFixed(4),
            spreadOf(figures, name),
            '',
            '',
          ]),
          ...own.map(({ work, ms }) => [
            `**countersign**, ${work.name}`,
            ms.toFixed(4),
            spreadOf(figures, work.name),
            work.after.join(', '),
            work.bare === undefined ? '' : msOf(figures, work.bare).toFixed(4),
          ]),
        ],
      },
    ],
    goals,
    notes: [
      'Every command of the part but Lock, which is done once. A figure has one wake and one idle in it; what a command was measured with was measured by itself too, and taken off.',
      'No verifier of Node takes a digest, so for Verify and SecureBoot the emulator moves the public key and has OpenSSL verify a message whose digest is known: a multiplication, an addition and two inverses more.',
      'Emulated, without execution times: silicon takes from 5 ms (Info) to 115 ms (Sign), so all of this is small beside it.',
    ],
  }
}

/** Alone in its wake: what came before it in the same wake is taken off. */
function ownMs({ name, after, times }: Work, works: readonly Work[], figures: Figures): number {
  const base = msOf(figures, wakeAndIdle)
  const before = after.map((helper) => {
    const work = works.find((one) => one.name === helper)
    if (work === undefined) throw new Error(`no case ${helper}`)
    return ownMs(work, works, figures) - base
  })
  const rest = msOf(figures, name) - base - before.reduce((sum, ms) => sum + ms, 0)
  return base + rest / times
}

function msOf(figures: Figures, name: string): number {
  return 1000 / (figures.get(name)?.perCpuSecond ?? Number.NaN)
}

function spreadOf(figures: Figures, name: string): string {
  return `±${Math.round((figures.get(name)?.spread ?? Number.NaN) * 50)} %`
}
