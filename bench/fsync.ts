/** A durable figure means little without the cost of the flush it waits for. */
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { median, sorted } from './measure.ts'

export function fsyncNote(directory: string): string {
  return `One fsync of a page in that folder: ${fsyncMilliseconds(directory).toFixed(2)} ms.`
}

function fsyncMilliseconds(directory: string): number {
  const file = openSync(join(directory, 'fsync.probe'), 'w')
  const times: number[] = []
  for (let round = 0; round < 21; round++) {
    writeSync(file, Buffer.alloc(4096, round))
    const begin = performance.now()
    fsyncSync(file)
    times.push(performance.now() - begin)
  }
  closeSync(file)
  return median(sorted(times))
}
