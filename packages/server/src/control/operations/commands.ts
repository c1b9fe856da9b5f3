/** Commands to devices, from the operator. */
import { CallerError } from '@countersign/core/errors'
import { z } from 'zod'
import { commandDataBytesMax, commandDocument, commandId } from '../../commandDocument.ts'
import type { CommandRow } from '../../ports.ts'
import type { CommandDocument, WrittenCommand } from '../contract.ts'
import { type Table, text, time } from './operation.ts'

/** Rows of one answer, each with its data and result. */
const listRowsMax = 100

const command: z.ZodType<string> = z.string().regex(commandId, 'is not the id of a command')

export const commandOperations: Table<'command.send' | 'command.list' | 'command.show'> = {
  'command.send': {
    params: z.strictObject({
      id: text,
      name: text,
      // The room says what is wrong with it; here it is only bounded.
      data: z.string().max(2 * commandDataBytesMax),
      expiresAt: time,
    }),
    run: async ({ registry, commands }, { id, name, data, expiresAt }) => {
      const device = await registry.find(id)
      const wish = { device: device.id, name, data, expiresAt, actor: 'operator' }
      return documentOf(await commands.queue(wish))
    },
  },
  'command.list': {
    params: z.strictObject({
      id: text,
      before: command.optional(),
      limit: z.number().int().min(1).max(listRowsMax),
    }),
    run: async ({ registry, commands }, { id, ...page }) => {
      const device = await registry.find(id)
      return (await commands.list(device.id, page)).map(documentOf)
    },
  },
  'command.show': {
    params: z.strictObject({ id: text, command }),
    run: async ({ registry, commands }, { id, command: which }) => {
      const device = await registry.find(id)
      const row = await commands.show(device.id, which)
      if (row !== undefined) return documentOf(row)
      const hint = 'See "countersign device commands"; what has ended is kept for 30 days.'
      const about = { where: which, hint }
      throw new CallerError('ERR_COMMAND_UNKNOWN', 'the device has no such command', {}, about)
    },
  },
}

function documentOf(row: CommandRow): WrittenCommand {
  const written = commandDocument(row)
  const document: CommandDocument = JSON.parse(written)
  return { ...document, text: written }
}
