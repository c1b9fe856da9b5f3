/**
 * Libraries that only some machines need, and that are installed only there. They are loaded on
 * first use; what is missing is said with the line that brings it.
 */
import { elementError } from '@countersign/core/ports'
import { errorCode } from '../shapes.ts'

/** `version` is the one that we know; a manifest says the same. */
export async function loadOptional<T>(
  name: string,
  version: string,
  load: () => Promise<T>,
): Promise<T> {
  try {
    return await load()
  } catch (cause) {
    const isMissing = errorCode(cause) === 'ERR_MODULE_NOT_FOUND'
    throw elementError(
      'ERR_ELEMENT_MODULE',
      isMissing
        ? `${name} is not installed`
        : `${name} is installed and cannot be loaded: ${reasonOf(cause)}`,
      { module: name, version },
      {
        hint: isMissing
          ? `npm install ${name}@${version}`
          : `Build it with the Node that runs this first in PATH: npm rebuild --nodedir= ${name}`,
        cause,
      },
    )
  }
}

/** What the loader says, in one line: Node names both versions of its ABI there. */
function reasonOf(cause: unknown): string {
  const text = cause instanceof Error ? cause.message : String(cause)
  return text.replaceAll(/\s+/g, ' ').slice(0, 300)
}
