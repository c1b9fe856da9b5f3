/**
 * From an element URL to an open element: the one place of this package that names the concrete
 * drivers and buses. Drivers are loaded when their kind is asked for, and not before.
 */
import { join } from 'node:path'
import { elementError, type SecureElement } from './ports.ts'
import { openSoftwareElement } from './software.ts'
import { parseElementUrl } from './url.ts'

export interface OpenElementOptions {
  /** Where twins live, and what a relative path is meant from. */
  readonly folder: string
  /** Make no new twin or emulated chip where there is none. */
  readonly mustExist?: boolean
}

export async function openElement(
  url: string,
  { folder, mustExist = false }: OpenElementOptions,
): Promise<SecureElement> {
  const parsed = parseElementUrl(url)
  switch (parsed.kind) {
    case 'software':
      return openSoftwareElement(join(folder, parsed.file), { mustExist })
    case 'atecc608':
    case 'pkcs11':
      throw elementError('ERR_ELEMENT_UNSUPPORTED', `there is no driver for ${parsed.kind} yet`)
  }
}
