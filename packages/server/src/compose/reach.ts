/**
 * The way of a command to a data folder: through the process that owns it, when that one serves;
 * otherwise by owning it for the time of one command. Both run the same table of operations.
 */

import type { House, OperationName, ParamsOf, ResultOf } from '../control/contract.ts'
import { connectControl } from '../control/controlClient.ts'
import type { Log } from '../ports.ts'
import { readMark } from '../store/folder.ts'
import { ownerFacts } from '../store/folderLock.ts'
import type { AskPin } from './caToken.ts'

export interface ReachOptions {
  /** Asked at most once, and only when an operation needs a key that nobody has open. */
  readonly passphrase: () => Promise<string>
  readonly askPin?: AskPin
  readonly warn: (text: string) => void
  readonly log?: Log
}

/** Another command holds the folder for a moment; longer than this is somebody who stays. */
const patienceMs = 5000
const retryMs = 50

export async function reachHouse(dir: string, options: ReachOptions): Promise<House> {
  const { demo } = readMark(dir)
  if (demo) options.warn('this data folder was made by the demo: its identities prove nothing')
  const deadline = performance.now() + patienceMs
  for (;;) {
    const remote = await remoteHouse(dir)
    if (remote !== undefined) return remote
    try {
      return await localHouse(dir, options)
    } catch (error) {
      const locked = error instanceof Error && 'code' in error && error.code === 'ERR_FOLDER_LOCKED'
      if (!locked || performance.now() > deadline) throw error
      await new Promise((resolve) => setTimeout(resolve, retryMs))
    }
  }
}

async function remoteHouse(dir: string): Promise<House | undefined> {
  const endpoint = ownerFacts(dir)?.facts['control']
  if (endpoint === undefined) return undefined
  const client = await connectControl(endpoint)
  if (client === undefined) return undefined
  return {
    call: async <N extends OperationName>(operation: N, params: ParamsOf<N>) =>
      trusted<N>(await client.call(operation, params)),
    close: async () => client.close(),
  }
}

async function localHouse(dir: string, options: ReachOptions): Promise<House> {
  // Loaded only now: with a server there, a command needs none of it.
  const [{ openHouse }, { runOperation }] = await Promise.all([
    import('../compose.ts'),
    import('../control/operations.ts'),
  ])
  const services = await openHouse(dir, options)
  return {
    call: async <N extends OperationName>(operation: N, params: ParamsOf<N>) =>
      trusted<N>(await runOperation(services, operation, params)),
    close: () => services.close(),
  }
}

/**
 * The table ran the operation of this name, here or in the server: its result has the type of the
 * contract.
 */
function trusted<N extends OperationName>(result: unknown): ResultOf<N> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- both ends share one table
  return result as ResultOf<N>
}
