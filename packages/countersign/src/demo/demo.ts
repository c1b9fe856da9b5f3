/**
 * `countersign demo`: the whole story on this machine. A house is founded, devices enrol and send
 * through a gateway that is a process of its own and attacks what it carries, an application
 * receives and commands, and a revocation is seen to bite.
 */
import { isCountersignError } from '@countersign/core/errors'
import { type Chapters, observations, tellStory } from './chapters.ts'
import { makeFolder, removeFolder } from './demoHouse.ts'
import { keepRunning } from './live.ts'
import { type DemoReport, faults, makeReport, type Observations } from './report.ts'
import { createStory, type Story } from './story.ts'

export interface DemoOptions {
  /** End with the report; otherwise the house stays open until Ctrl-C. */
  readonly exit: boolean
  readonly json: boolean
  /** What the gateway does; drawn when absent, and always told. */
  readonly seed: number | undefined
}

/** Resolves with the exit code. */
export async function runDemo(options: DemoOptions): Promise<number> {
  const seed = options.seed ?? Math.floor(Math.random() * 2 ** 31)
  const story = createStory(process.stderr, options.json)
  const stop = new AbortController()
  const interrupted = (): void => {
    // A second Ctrl-C waits for nothing; the other processes end with this one.
    if (stop.signal.aborted) process.exit(interruptedCode)
    story.mute()
    stop.abort()
  }
  process.on('SIGINT', interrupted)
  process.on('SIGTERM', interrupted)
  const started = performance.now()
  const cleanups: (() => Promise<void>)[] = []
  const observed = { world: undefined, plaintext: {}, revocations: [], commands: [] }
  const chapters: Chapters = { story, seed, started, cleanups, observed }
  try {
    story.heading('countersign: one provable identity for every device')
    story.say(`  everything in a folder that is removed afterwards; seed ${seed}`)
    story.say('')
    const folder = await story.step('authority: a root and an issuing CA for each role', makeFolder)
    cleanups.push(() => removeFolder(folder))
    const world = await race(tellStory(chapters, folder), stop.signal)
    const ok = await conclude(chapters, options.json)
    if (!options.exit) await keepRunning(world, story, options.json, stop.signal)
    return ok ? 0 : 1
  } catch (error) {
    if (stop.signal.aborted) return interruptedCode
    // A story that breaks off is a report too: what was done, and that it is not ok.
    await conclude(chapters, options.json).catch(grumble)
    grumble(error)
    return 1
  } finally {
    for (const cleanup of cleanups.toReversed()) await cleanup().catch(grumble)
    process.off('SIGINT', interrupted)
    process.off('SIGTERM', interrupted)
  }
}

/** As a shell says it of a process that SIGINT ended. */
const interruptedCode = 130

/** Ctrl-C does not wait for the step that is under way. */
function race<T>(work: Promise<T>, stop: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    stop.addEventListener('abort', () => reject(new Error('interrupted')), { once: true })
    work.then(resolve, reject)
  })
}

async function conclude(chapters: Chapters, json: boolean): Promise<boolean> {
  const seen = await observations(chapters)
  const report = makeReport(seen)
  tellReport(chapters.story, seen, report)
  if (json) process.stdout.write(`${JSON.stringify(report)}\n`)
  return report.ok
}

function grumble(error: unknown): void {
  const hint = isCountersignError(error) && error.hint !== undefined ? `\nhint: ${error.hint}` : ''
  const message = error instanceof Error ? error.message : String(error)
  process.stderr.write(`error: ${message}${hint}\n`)
}

function tellReport(story: Story, seen: Observations, report: DemoReport): void {
  story.heading('What the application saw')
  tellDevices(story, report)
  story.say('')
  story.say(
    '  assurance 3: attested by a secure element. These are emulated, in files; only a demo takes their word for it, elsewhere it is worth 1 at most.',
  )
  story.say('')
  for (const [road, { frames, tampered, plaintext }] of Object.entries(report.gateway.roads)) {
    story.say(
      `  the gateway of ${road} carried ${frames} frames, tampered with ${tampered}, and could read ${plaintext}`,
    )
  }
  for (const [road, lengths] of Object.entries(report.edhoc)) {
    story.say(`  EDHOC on ${road} took ${lengths.join(' + ')} bytes, as the gateway counted them`)
  }
  for (const { road, milliseconds, reason } of report.revocation) {
    const what = road === 'coap' ? 'was seen by its device' : 'ended a live connection'
    story.say(`  a revocation ${what} on ${road} after ${milliseconds} ms; next attempt: ${reason}`)
  }
  for (const fault of faults(seen)) story.say(`  ✗ ${fault}`)
  story.say('')
  story.say(report.ok ? `  ok, in ${report.seconds} s` : '  not ok')
}

const deviceColumns: readonly (readonly [
  name: string,
  of: (device: DemoReport['devices'][number]) => string | number,
])[] = [
  ['device', ({ id }) => id.slice('urn:dev:mac:'.length)],
  ['product', ({ product }) => product],
  ['element', ({ element }) => element],
  ['assurance', ({ assurance }) => assurance],
  ['road', ({ road }) => road],
  ['sent', ({ sent }) => sent],
  ['received', ({ received }) => received],
  ['refused', ({ refused }) => refused],
]

function tellDevices(story: Story, { devices }: DemoReport): void {
  const all = deviceLines(deviceColumns, devices)
  const isWide = all.every(({ length }) => length <= story.columns)
  // The same one in each row: the first that can go where there is no room.
  const lines = isWide
    ? all
    : deviceLines(
        deviceColumns.filter(([name]) => name !== 'element'),
        devices,
      )
  for (const line of lines) story.sayWhole(line)
}

function deviceLines(columns: typeof deviceColumns, devices: DemoReport['devices']): string[] {
  const rows = [
    columns.map(([name]) => name),
    ...devices.map((device) => columns.map(([, of]) => String(of(device)))),
  ]
  const widths = columns.map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)))
  return rows.map((row) =>
    `  ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')}`.trimEnd(),
  )
}
