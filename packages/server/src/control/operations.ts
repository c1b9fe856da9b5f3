/**
 * The table of operations: everything that a command can ask of a house, with the schema of its
 * parameters. The same table answers the control socket and a command that has opened the folder
 * itself.
 */
import { CallerError } from '@countersign/core/errors'
import type { Services } from '../compose/services.ts'
import type { OperationName } from './contract.ts'
import { commandOperations } from './operations/commands.ts'
import { consoleOperations } from './operations/console.ts'
import { factoryOperations } from './operations/factory.ts'
import { houseOperations } from './operations/house.ts'
import { identityOperations } from './operations/identity.ts'
import type { Operation, Table } from './operations/operation.ts'
import { applicationOperations, productOperations } from './operations/policy.ts'
import { anchorOperations, caOperations } from './operations/trust.ts'

const operations: Table = {
  ...houseOperations,
  ...consoleOperations,
  ...identityOperations,
  ...commandOperations,
  ...productOperations,
  ...applicationOperations,
  ...caOperations,
  ...anchorOperations,
  ...factoryOperations,
}

const names: ReadonlySet<string> = new Set(Object.keys(operations))

/** Params come from outside: parsed strictly before anything runs. */
export async function runOperation(
  house: Services,
  name: string,
  params: unknown,
): Promise<unknown> {
  if (!isOperation(name)) throw unknownOperation(name)
  const operation = operations[name] as Operation<OperationName>
  const parsed = operation.params.safeParse(params)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    const where = issue?.path.join('.') || 'params'
    throw new CallerError(
      'ERR_PARAMETER',
      `${where}: ${issue?.message ?? 'is not what was expected'}`,
      {},
      { where, hint: 'Add --help to see what the command takes.' },
    )
  }
  return await operation.run(house, parsed.data)
}

function isOperation(name: string): name is OperationName {
  return names.has(name)
}

function unknownOperation(name: string): CallerError<'ERR_OPERATION_UNKNOWN'> {
  return new CallerError(
    'ERR_OPERATION_UNKNOWN',
    `there is no operation "${name.slice(0, 64)}"`,
    {},
    { hint: 'The command and the running server have different versions: restart serve.' },
  )
}
