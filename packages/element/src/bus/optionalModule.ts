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
      isMissing ? `${name} is not installed` : `${name} is installed and cannot be loaded`,
      { module: name, version },
      {
        hint: isMissing
          ? `npm install ${name}@${version}`
          : `It may have been built for another version of Node: npm rebuild ${name}`,
        cause,
      },
    )
  }
}
