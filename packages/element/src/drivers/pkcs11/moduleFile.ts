/**
 * May this library be loaded? It runs with our rights, so whoever can change the file, or put another
 * in its place, has all that we have: it and the folders above it belong to root or to us, and others
 * may not write there. Where a URL comes from is not looked at: a device's state names its element, and
 * root may work with the state of a user.
 */
import { realpath, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { elementError } from '@countersign/core/ports'

const groupMayWrite = 0o020
const othersMayWrite = 0o002
/** Of a folder like /tmp: what is in it is its owner's to replace. */
const sticky = 0o1000

/** The file behind every link. One that is not there is left to who loads it. */
export async function trustedModule(path: string): Promise<string> {
  const file = await realpath(path).catch(() => undefined)
  if (file === undefined || process.geteuid === undefined) return path
  const trusted: ReadonlySet<number> = new Set([0, process.geteuid()])
  for (let place = file; ; place = dirname(place)) {
    const { uid, mode } = await stat(place)
    if (!trusted.has(uid)) throw untrusted(place, `it belongs to another user (${uid})`)
    // A group may install programs (staff in /usr/local on Debian), and not change them here.
    const forbidden = place === file ? groupMayWrite | othersMayWrite : othersMayWrite
    const isOpen = (mode & forbidden) !== 0 && (place === file || (mode & sticky) === 0)
    if (isOpen) throw untrusted(place, `others may change it (mode ${(mode & 0o7777).toString(8)})`)
    if (place === dirname(place)) return file
  }
}

function untrusted(place: string, why: string): Error {
  return elementError(
    'ERR_ELEMENT_MODULE',
    `the PKCS#11 module is not loaded, because somebody else could have put it there: ${why}`,
    {},
    { where: place, hint: 'Install the module as root, or for the user who runs this.' },
  )
}
