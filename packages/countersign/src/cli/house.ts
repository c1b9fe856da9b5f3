/**
 * The way to a data folder: through the `serve` that owns it, or by opening it here. A command
 * cannot tell which.
 */
import type { LogLevel } from '@countersign/server'
import type { House, OperationName, ParamsOf, ResultOf } from '@countersign/server/control'
import type { Log } from '@countersign/server/ports'
import type { Line } from './command.ts'
import { passphraseFor, pinAsker } from './passphrase.ts'

/** Runs one operation and closes the house again. */
export async function ask<N extends OperationName>(
  line: Line,
  operation: N,
  params: ParamsOf<N>,
): Promise<ResultOf<N>> {
  return await withHouse(line, (house) => house.call(operation, params))
}

export async function withHouse<T>(line: Line, work: (house: House) => Promise<T>): Promise<T> {
  return await line.terminal.during('working', visit(line, work))
}

async function visit<T>(line: Line, work: (house: House) => Promise<T>): Promise<T> {
  const { reachHouse } = await import('@countersign/server/reach')
  const { dir, terminal } = line
  const level = line.logLevel
  const house = await reachHouse(dir, {
    // Asked for only when an operation needs a key and no server has it open already.
    passphrase: () => passphraseFor(line),
    ...pinAsker(terminal),
    warn: (text) => terminal.warn(text),
    // One command says what it did itself; its log is for those who ask.
    ...(level === undefined ? {} : { log: await logOf(level) }),
  })
  try {
    return await work(house)
  } finally {
    await house.close()
  }
}

async function logOf(level: LogLevel): Promise<Log> {
  const { createLog } = await import('@countersign/server')
  return createLog(level, process.stderr)
}
