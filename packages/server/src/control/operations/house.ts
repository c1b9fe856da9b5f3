/** The house as a whole: what it is, its backup, its audit log. */
import { isAbsolute } from 'node:path'
import { z } from 'zod'
import { backupHouse } from '../../compose/backup.ts'
import { lastEvent } from '../../compose/clockCheck.ts'
import { verifyLog } from '../../store/verifyLog.ts'
import { version } from '../../version.ts'
import { ownDocument, rfc3339 } from './documents.ts'
import { ownCertificates } from './ownCertificates.ts'
import { noParams, parameterError, type Table, text } from './operation.ts'

export const houseOperations: Table<'house.show' | 'house.backup' | 'log.verify'> = {
  'house.show': {
    params: noParams,
    run: async (house) => {
      const last = await lastEvent(house.store)
      return {
        version,
        dir: house.dir,
        demo: house.demo,
        pid: process.pid,
        listeners: house.listeners,
        own: (await ownCertificates(house.store, house.clock.now())).map(ownDocument),
        lastEvent: last === undefined ? null : { seq: last.seq, time: rfc3339(last.time) },
      }
    },
  },
  'house.backup': {
    params: z.strictObject({ file: text }),
    run: async (house, { file }) => {
      // The server's working directory is not the command's.
      if (!isAbsolute(file))
        throw parameterError('file', 'the path is not absolute', 'Give it from /.')
      return await backupHouse(house, file)
    },
  },
  'log.verify': {
    params: z.strictObject({
      known: z
        .strictObject({
          seq: z.number().int().min(1).max(Number.MAX_SAFE_INTEGER),
          hash: z.string().regex(/^[0-9a-f]{64}$/),
        })
        .optional(),
    }),
    run: async (house, { known }) => ({ ok: true, ...(await verifyLog(house.store, known)) }),
  },
}
