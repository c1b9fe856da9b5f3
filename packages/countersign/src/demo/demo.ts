/**
 * `countersign demo`: the whole story on this machine. A house is founded, devices enrol and send through a gateway that is a
 * process of its own and attacks what it carries, an application receives, and a revocation is seen to bite.
 */
import { isCountersignError } from '@countersign/core/errors'
import { type Chapters, tellStory } from './chapters.ts'
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
  const interrupted = (): void => stop.abort()
  process.on('SIGINT', interrupted)
  process.on('SIGTERM', interrupted)
  const started = performance.now()
  const cleanups: (() => Promise<void>)[] = []
  const chapters: Chapters = { story, seed, started, stop: stop.signal, cleanups }
  try {
    story.heading('countersign: one provable identity for every device')
    story.say(`  everything in a folder that is removed afterwards; seed ${seed}\n`)
    const folder = await story.step('authority: a root and an issuing CA for each role', makeFolder)
    cleanups.push(() => removeFolder(folder))
    const { seen, world } = await tellStory(chapters, folder)
    const report = makeReport(seen)
    tellReport(story, seen, report)
    if (options.json) process.stdout.write(`${JSON.stringify(report)}\n`)
    if (!options.exit && !stop.signal.aborted)
      await keepRunning(world, story, options.json, stop.signal)
    return report.ok ? 0 : 1
  } catch (error) {
    if (stop.signal.aborted) return 130
    return tellFailure(chapters, error, options.json)
  } finally {
    for (const cleanup of cleanups.toReversed())
      await cleanup().catch((error: unknown) => grumble(error))
    process.off('SIGINT', interrupted)
    process.off('SIGTERM', interrupted)
  }
}

/** A story that broke off is a report too: what was done, and that it is not ok. */
function tellFailure({ story, started }: Chapters, error: unknown, json: boolean): number {
  const seen: Observations = {
    seconds: (performance.now() - started) / 1000,
    devices: [],
    received: [],
    gateway: { frames: 0, tampered: 0, plaintext: 0 },
    revocations: [],
    steps: story.steps,
  }
  if (json) process.stdout.write(`${JSON.stringify(makeReport(seen))}\n`)
  grumble(error)
  return 1
}

function grumble(error: unknown): void {
  const hint = isCountersignError(error) && error.hint !== undefined ? `\nhint: ${error.hint}` : ''
  const message = error instanceof Error ? error.message : String(error)
  process.stderr.write(`error: ${message}${hint}\n`)
}

function tellReport(story: Story, seen: Observations, report: DemoReport): void {
  story.heading('What the application saw')
  const columns = ['device', 'product', 'road', 'sent', 'received', 'refused']
  const rows = report.devices.map((device) => [
    device.id.slice('urn:dev:mac:'.length),
    device.product,
    device.road,
    String(device.sent),
    String(device.received),
    String(device.refused),
  ])
  const widths = columns.map((name, i) =>
    Math.max(name.length, ...rows.map((row) => row[i]?.length ?? 0)),
  )
  for (const row of [columns, ...rows]) {
    story.say(
      `  ${row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd()}`,
    )
  }
  const { frames, tampered, plaintext } = report.gateway
  story.say(
    `\n  the gateway carried ${frames} frames, tampered with ${tampered}, and could read ${plaintext}`,
  )
  for (const { milliseconds, reason } of report.revocation) {
    story.say(
      `  the revocation ended a live connection after ${milliseconds} ms; next attempt: ${reason}`,
    )
  }
  for (const fault of faults(seen)) story.say(`  ✗ ${fault}`)
  story.say(report.ok ? `\n  ok, in ${report.seconds} s` : '\n  not ok')
}
