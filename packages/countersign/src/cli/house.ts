/**
 * The way to a data folder: through the `serve` that owns it, or by opening it here. A command cannot tell which.
 */
import type { LogLevel } from '@countersign/server'
import type { House, OperationName, ParamsOf, ResultOf } from '@countersign/server/control'
import type { Line } from './command.ts'
import { passphraseFor } from './passphrase.ts'

/** Runs one operation and closes the house again. */
export async function ask<N extends OperationName>(
  line: Line,
  operation: N,
  params: ParamsOf<N>,
): Promise<ResultOf<N>> {
  return await withHouse(line, (house) => house.call(operation, params))
}

export async function withHouse<T>(line: Line, work: (house: House) => Promise<T>): Promise<T> {
  const { createLog, reachHouse } = await import('@countersign/server')
  const { dir, terminal } = line
  const level = line.optional('logLevel') as LogLevel | undefined
  const house = await terminal.during(
    'opening the data folder',
    reachHouse(dir, {
      // Asked for only when an operation needs a key and no server has it open already.
      passphrase: () => passphraseFor(line),
      warn: (text) => terminal.warn(text),
      // One command says what it did itself; its log is for those who ask.
      ...(level === undefined ? {} : { log: createLog(level, process.stderr) }),
    }),
  )
  try {
    return await work(house)
  } finally {
    await house.close()
  }
}
