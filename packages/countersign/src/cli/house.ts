/**
 * The way to a data folder: through the `serve` that owns it, or by opening it here. A command cannot tell which.
 */
import type { House, OperationName, ParamsOf, ResultOf } from '@countersign/server/control'
import type { Line } from './command.ts'
import { readPassphrase } from './passphrase.ts'

/** Runs one operation and closes the house again. */
export async function ask<N extends OperationName>(
  line: Line,
  operation: N,
  params: ParamsOf<N>,
): Promise<ResultOf<N>> {
  return await withHouse(line, (house) => house.call(operation, params))
}

export async function withHouse<T>(line: Line, work: (house: House) => Promise<T>): Promise<T> {
  const { reachHouse } = await import('@countersign/server')
  const { dir, terminal } = line
  const house = await terminal.during(
    'opening the data folder',
    reachHouse(dir, {
      // Asked for only when an operation needs a key and no server has it open already.
      passphrase: () => readPassphrase({ file: line.optional('passphraseFile'), dir, terminal }),
      warn: (text) => terminal.warn(text),
    }),
  )
  try {
    return await work(house)
  } finally {
    await house.close()
  }
}
