/**
 * Where readings come from: this machine's own measurements, a file that is read anew every time (a
 * sensor's attribute under /sys, or what another program rewrites), or the lines of an input.
 */
import { open, readdir, readFile } from 'node:fs/promises'
import { freemem, hostname, loadavg, totalmem, uptime } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { isJson } from '@countersign/core/codec'
import { CallerError } from '@countersign/core/errors'
import type { Clock, Milliseconds } from '@countersign/core/ports'
import { errorCode } from '@countersign/element/shapes'
import type { DeviceErrorCode } from './errors.ts'
import type { World } from './world.ts'

/** What a source offers; the number comes later, from the state. */
export interface Sample {
  readonly contentType: string
  readonly data: Uint8Array
}

export interface Source {
  /** The topic when the caller names none. */
  readonly topic: string
  /** Ends when the source ends or the signal fires. */
  samples(signal: AbortSignal): AsyncIterable<Sample>
}

/** The server takes messages up to 64 KiB. */
export const sampleBytesMax: number = 64 * 1024

const thermalFolder = '/sys/class/thermal'

/** This machine's own measurements, the first at once. */
export function hostSource(world: World, everyMs: Milliseconds): Source {
  const measure = (): Promise<Sample> => measureHost(world.clock)
  return { topic: 'host', samples: (signal) => sampled(world, everyMs, measure, signal) }
}

/**
 * What the file holds at that moment, the first at once. Ends with ERR_SOURCE when it cannot be
 * read, ERR_READING_TOO_LARGE above `sampleBytesMax`.
 */
export function fileSource(world: World, path: string, everyMs: Milliseconds): Source {
  return {
    topic: 'reading',
    samples: (signal) => sampled(world, everyMs, () => readSample(path), signal),
  }
}

/** One reading a line; empty lines are none. Ends with the input. */
export function lineSource(input: Readable): Source {
  return {
    topic: 'reading',
    async *samples(signal) {
      const lines = createInterface({ input, signal, crlfDelay: Infinity })
      for await (const line of lines) if (line !== '') yield textSample(line)
    },
  }
}

/** JSON travels as JSON, everything else as text. */
export function textSample(text: string): Sample {
  const data = Buffer.from(text)
  if (data.length > sampleBytesMax) throw tooLarge(data.length)
  return { contentType: isJson(text) ? 'application/json' : 'text/plain; charset=utf-8', data }
}

async function* sampled(
  world: World,
  everyMs: Milliseconds,
  measure: () => Promise<Sample>,
  signal: AbortSignal,
): AsyncGenerator<Sample> {
  // Due times are counted from the start, so that a slow disk does not shift the rhythm.
  for (let due = world.clock.now(); !signal.aborted; due += everyMs) {
    yield await measure()
    const late = world.clock.now() - due
    // After a pause (a laptop's lid, a stopped clock) the rhythm starts anew instead of catching
    // up.
    if (late > everyMs || late < 0) due = world.clock.now()
    await world.wait(Math.max(0, due + everyMs - world.clock.now()), signal)
  }
}

export async function measureHost(clock: Clock): Promise<Sample> {
  const [load1, load5, load15] = loadavg()
  const celsius = await temperature()
  const reading = {
    time: new Date(clock.now()).toISOString(),
    host: hostname(),
    uptimeSeconds: Math.round(uptime()),
    load1,
    load5,
    load15,
    memoryFreeBytes: freemem(),
    memoryTotalBytes: totalmem(),
    ...(celsius === undefined ? {} : { celsius }),
  }
  return { contentType: 'application/json', data: Buffer.from(JSON.stringify(reading)) }
}

/** The warmest thermal zone; undefined on a machine that has none. */
async function temperature(): Promise<number | undefined> {
  let zones: string[]
  try {
    zones = await readdir(thermalFolder)
  } catch {
    return undefined
  }
  const read = zones
    .filter((zone) => zone.startsWith('thermal_zone'))
    .map(async (zone) => {
      try {
        return Number(await readFile(join(thermalFolder, zone, 'temp'), 'utf8')) / 1000
      } catch {
        // A zone whose sensor sleeps answers with an error; the others still count.
        return Number.NaN
      }
    })
  const celsius = (await Promise.all(read)).filter((value) => Number.isFinite(value))
  return celsius.length === 0 ? undefined : Math.max(...celsius)
}

async function readSample(path: string): Promise<Sample> {
  try {
    const file = await open(path, 'r')
    try {
      // One byte more than allowed: enough to see that there is too much, whatever the file's size
      // claims.
      const { bytesRead, buffer } = await file.read({ buffer: Buffer.alloc(sampleBytesMax + 1) })
      if (bytesRead > sampleBytesMax) throw tooLarge(bytesRead)
      return textSample(buffer.toString('utf8', 0, bytesRead).trimEnd())
    } finally {
      await file.close()
    }
  } catch (error) {
    if (errorCode(error) === 'ERR_READING_TOO_LARGE') throw error
    throw new CallerError<DeviceErrorCode>(
      'ERR_SOURCE',
      `the source of readings cannot be read (${errorCode(error) ?? 'unknown'})`,
      {},
      {
        where: path,
        hint: '--source is "host", "-" for standard input, or a readable file.',
        cause: error,
      },
    )
  }
}

export function tooLarge(length: number): CallerError<DeviceErrorCode> {
  return new CallerError(
    'ERR_READING_TOO_LARGE',
    `a reading of ${length} bytes is more than a message carries (${sampleBytesMax})`,
    {},
    { hint: 'Send less at once, or split it.' },
  )
}
