/** The factory's end: what makers say of the elements that are to come. */
import { readFile, stat } from 'node:fs/promises'
import { isAbsolute } from 'node:path'
import { manifestLimits } from '@countersign/core/attestation'
import { CallerError } from '@countersign/core/errors'
import { z } from 'zod'
import { parameterError, type Table, text } from './operation.ts'

export const factoryOperations: Table<'factory.import'> = {
  'factory.import': {
    params: z.strictObject({ file: text }),
    run: async (house, { file }) => {
      // The server's working directory is not the command's.
      if (!isAbsolute(file))
        throw parameterError('file', 'the path is not absolute', 'Give it from /.')
      return { file, ...(await house.manifests.add(await readManifest(file))) }
    },
  },
}

async function readManifest(file: string): Promise<string> {
  const { charactersMax } = manifestLimits
  const { size, isFile } = await tried(file, async () => {
    const found = await stat(file)
    return { size: found.size, isFile: found.isFile() }
  })
  // A device or a pipe has no size, and may have no end.
  if (!isFile) throw unreadable(file, 'it is no file')
  if (size > charactersMax) throw unreadable(file, `the file has more than ${charactersMax} bytes`)
  return await tried(file, () => readFile(file, 'utf8'))
}

async function tried<T>(file: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (cause) {
    throw unreadable(file, 'the file cannot be read', cause)
  }
}

function unreadable(file: string, message: string, cause?: unknown): CallerError {
  const hint = 'Give a manifest that the server can read.'
  return new CallerError('ERR_MANIFEST_FILE', message, {}, { where: file, hint, cause })
}
