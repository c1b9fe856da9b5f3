/**
 * Readings under OSCORE over UDP, per CPU-second of the server: the coap door with contexts and
 * messages in memory against a server that sends datagrams back; the door as it is served, each
 * reading on disk before it is answered, against the bare inserts of as many rows.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openHouse } from '@countersign/server'
import type { CoapOrder, CoapTold, CoapWord } from './coapLoad.ts'
import { fsyncNote } from './fsync.ts'
import { type Case, measure, rateOf } from './measure.ts'
import { cpuSeconds, type Running, sleep, start } from './processes.ts'
import { rawInserts } from './rawInserts.ts'
import { atLeast, type Report, rateTable } from './report.ts'
import { type MadeHouse, makeHouse } from './servedHouse.ts'

const devices = 200

const names = {
  memory: '**countersign**, contexts and messages in memory',
  echo: 'bare Node dgram, each datagram sent back',
  sealed: 'bare Node dgram, two calls of AES-CCM between',
  disk: '**countersign**, on disk',
  raw: 'bare node:sqlite, 100 readings a transaction',
}

export async function run(): Promise<Report> {
  const house = await makeHouse(devices)
  try {
    await unpace(house)
    const inMemory = await withServers(
      [await served(house, 'memory'), await echo(house, 'echo'), await echo(house, 'sealed')],
      async (cases) => await measure(cases, { rounds: 5, milliseconds: 2000 }),
    )
    // One folder has one owner.
    const onDisk = await withServers([await served(house, 'disk')], async (cases) =>
      measure([...cases, rawInserts(names.raw, house.folder)], { rounds: 5, milliseconds: 2000 }),
    )
    const rate = (name: string): number | undefined => rateOf([...inMemory, ...onDisk], name)
    const ratio = (name: string, anchor: string): number =>
      (rate(name) ?? Number.NaN) / (rate(anchor) ?? Number.NaN)
    return {
      tables: [rateTable([...inMemory, ...onDisk], 'readings')],
      goals: [
        ...atLeast('in memory, to a bare echo', rate(names.memory), rate(names.echo), 0.5),
        ...atLeast('on disk, to bare inserts', rate(names.disk), rate(names.raw), 0.5),
      ],
      notes: [
        `${devices} devices, each with one reading of 32 bytes under way at a time. On disk a reading is a row of the outbox and the replay window of its context, in one transaction with those of others.`,
        `To a bare server that does the cryptography too it is ${(ratio(names.memory, names.sealed)).toFixed(2)} in memory.`,
        fsyncNote(house.folder),
      ],
    }
  } finally {
    await house.remove()
  }
}

async function unpace(house: MadeHouse): Promise<void> {
  const open = await openHouse(house.dir, { passphrase: await passphraseOf(house) })
  await open.registry.setProduct('default', { messagesPerMinute: 1_000_000 })
  await open.close()
}

async function passphraseOf({ dir }: MadeHouse): Promise<string> {
  return (await readFile(join(dir, 'dev-passphrase'), 'utf8')).trimEnd()
}

interface Target {
  readonly name: string
  readonly server: Running
  readonly load: Load
}

async function withServers<Result>(
  targets: readonly Target[],
  use: (cases: readonly Case[]) => Promise<Result>,
): Promise<Result> {
  try {
    return await use(
      targets.map(({ name, server, load }) => ({
        name,
        cpuSeconds: () => cpuSeconds(server.pid),
        prepare: () => load.prepare(),
        run: (milliseconds) => load.flow(milliseconds),
      })),
    )
  } finally {
    for (const { load, server } of targets) {
      load.close()
      await server.stop()
    }
  }
}

/** A device's number is there once in a house: each load begins further on. */
let loads = 0

async function served(house: MadeHouse, where: 'memory' | 'disk'): Promise<Target> {
  const server = await program('./coapDoorAlone.ts', house.dir, where)
  const { port, serverLeaf } = JSON.parse(server.output()) as { port: number; serverLeaf: string }
  const number = ++loads * 100_000_000
  const load = await Load.start({ port, serverLeaf, devices: house.devices, number })
  return { name: names[where], server, load }
}

async function echo({ devices: shown }: MadeHouse, how: 'echo' | 'sealed'): Promise<Target> {
  const server = await program('./bareUdp.ts', how)
  const port = Number(server.output())
  const load = await Load.start({ port, serverLeaf: undefined, devices: shown, number: 0 })
  return { name: names[how], server, load }
}

function program(script: string, ...args: readonly string[]): Promise<Running> {
  const path = fileURLToPath(new URL(script, import.meta.url))
  return start({ command: process.execPath, args: [path, ...args] }, (out) => out.includes('\n'))
}

class Load {
  readonly #child: ChildProcess

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  static async start(order: CoapOrder): Promise<Load> {
    const load = new Load(fork(fileURLToPath(new URL('./coapLoad.ts', import.meta.url))))
    load.#child.send(order)
    await load.#told()
    return load
  }

  async prepare(): Promise<void> {
    this.#say('prepare')
    await this.#told()
  }

  /** How many were taken. */
  async flow(milliseconds: number): Promise<number> {
    this.#say('go')
    await sleep(milliseconds)
    this.#say('pause')
    const told = await this.#told()
    if (told.kind !== 'paused' || told.lost > told.done / 100) {
      throw new Error(`too much was lost: ${JSON.stringify(told)}`)
    }
    return told.done
  }

  close(): void {
    this.#child.kill()
  }

  #say(word: CoapWord): void {
    this.#child.send(word)
  }

  #told(): Promise<CoapTold> {
    return new Promise((resolve, reject) => {
      const ended = (): void => reject(new Error('the load ended'))
      this.#child.once('exit', ended)
      this.#child.once('message', (told: CoapTold) => {
        this.#child.off('exit', ended)
        resolve(told)
      })
    })
  }
}
