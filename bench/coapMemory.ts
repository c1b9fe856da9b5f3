/**
 * Memory of an idle security context of the coap door: what a process that has many of them in memory
 * holds more than one that has few, and what a reading costs whose context is in the store alone.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Held } from './coapHolder.ts'
import type { Report } from './report.ts'
import type { Options } from './run.ts'
import { makeHouse } from './servedHouse.ts'

/** As many as the door has in memory. */
const contextsMax = 10_000

export async function run({ connections }: Options): Promise<Report> {
  const house = await makeHouse(Math.min(connections, contextsMax))
  try {
    const script = fileURLToPath(new URL('./coapHolder.ts', import.meta.url))
    const args = [house.dir, house.files.devices]
    const holder = fork(script, args, { execArgv: ['--expose-gc'] })
    return reportOf(await told(holder))
  } finally {
    await house.remove()
  }
}

function told(holder: ChildProcess): Promise<Held> {
  return new Promise((resolve, reject) => {
    holder.once('exit', () => reject(new Error('the process that holds contexts has ended')))
    holder.once('message', (held: Held) => resolve(held))
  })
}

function reportOf(held: Held): Report {
  const { contexts, heap, heapWithDevice, resident, fromStoreMs, inMemoryMs } = held
  return {
    tables: [
      {
        columns: ['of a context', ''],
        rows: [
          ['heap with array buffers', `${(heap / 1024).toFixed(2)} KiB`],
          [
            'the same, with what registry and judge keep of its device',
            `${(heapWithDevice / 1024).toFixed(2)} KiB`,
          ],
          ['resident', `${(resident / 1024).toFixed(2)} KiB`],
          ['a reading, its context in the store alone', `${fromStoreMs.toFixed(2)} ms of CPU`],
          ['a reading, its context in memory', `${inMemoryMs.toFixed(2)} ms of CPU`],
        ],
      },
    ],
    goals: [
      {
        what: 'heap of an idle context',
        ratio: heap / 1024,
        wanted: 5,
        sense: 'at most',
        unit: ' KiB',
      },
    ],
    notes: [
      `Two contexts of each of ${contexts.toLocaleString('en')} devices. None was in memory before its first reading.`,
    ],
  }
}
