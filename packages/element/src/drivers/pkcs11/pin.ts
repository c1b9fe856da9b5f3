/**
 * Where a PIN comes from: the file that the URL names, the file of COUNTERSIGN_PIN_FILE, or
 * somebody who is asked. A PIN that a token has refused is not tried on it again by this process:
 * tokens lock themselves after a few.
 */
import { createHmac, randomBytes } from 'node:crypto'
import { open } from 'node:fs/promises'
import { elementError } from '@countersign/core/ports'
import { tokenFlag } from './constants.ts'
import type { TokenInfo } from './cryptoki.ts'
import { lockedHint } from './returnValues.ts'

/** Asks a person. */
export type AskPin = (token: string) => Promise<string>

/** A PIN has 255 bytes at most here; a wrong path is noticed instead of read. */
const pinBytesMax = 255

export interface PinSource {
  readonly file: string | undefined
  readonly ask: AskPin | undefined
}

/** Undefined when the token asks for its PIN itself, on a pad of its own. */
export async function pinFor(
  token: TokenInfo,
  source: PinSource,
  where: string,
): Promise<string | undefined> {
  requireTries(token, where)
  if ((token.flags & tokenFlag.protectedAuthenticationPath) !== 0) return undefined
  const pin = await readPin(token, source, where)
  if (refused.has(keyOf(token, pin))) {
    throw pinError('the token has refused this PIN, and it is not tried again', where)
  }
  return pin
}

/** Hashed under a key of this process: a PIN is too short for a hash alone. */
const refused: Set<string> = new Set()
const refusedKey = randomBytes(32)

export function rememberRefused(token: TokenInfo, pin: string | undefined): void {
  if (pin !== undefined) refused.add(keyOf(token, pin))
}

function keyOf(token: TokenInfo, pin: string): string {
  const text = JSON.stringify([token.manufacturer, token.serial, token.label, pin])
  return createHmac('sha256', refusedKey).update(text).digest('hex')
}

/** PKCS#11 v2.40 §3.2, the flags of CK_TOKEN_INFO. */
function requireTries({ flags }: TokenInfo, where: string): void {
  if ((flags & tokenFlag.userPinLocked) !== 0) {
    throw pinError('the PIN of the token is locked', where, lockedHint)
  }
  if ((flags & tokenFlag.userPinFinalTry) !== 0) {
    throw pinError(
      'one try is left before the token locks its PIN, and it is not used up here',
      where,
      'Log in once by hand with the right PIN: pkcs11-tool --module FILE --login --list-objects.',
    )
  }
  if ((flags & tokenFlag.userPinInitialized) === 0) {
    throw pinError('the token has no user PIN yet', where, 'Set one: pkcs11-tool --init-pin.')
  }
}

async function readPin(token: TokenInfo, source: PinSource, where: string): Promise<string> {
  const file = source.file ?? (process.env['COUNTERSIGN_PIN_FILE'] || undefined)
  if (file !== undefined) return await pinOfFile(file)
  if (source.ask !== undefined) return await source.ask(token.label)
  throw pinError(
    'the token needs a PIN',
    where,
    'Name a file with it: pin-source=file:/path in the URL, or COUNTERSIGN_PIN_FILE.',
  )
}

async function pinOfFile(path: string): Promise<string> {
  const file = await open(path, 'r').catch((cause: unknown) => {
    throw pinError('the PIN file cannot be opened', path, 'Check its name and its owner.', cause)
  })
  try {
    const { mode, size } = await file.stat()
    if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
      throw elementError(
        'ERR_ELEMENT_MODE',
        `others may read the PIN (mode ${(mode & 0o777).toString(8)})`,
        {},
        { where: path, hint: 'Close it with: chmod 600. Change the PIN if it may have been read.' },
      )
    }
    if (size > pinBytesMax + 2) throw pinError('the PIN file is too long for a PIN', path)
    const pin = (await file.readFile('utf8')).replace(/\r?\n$/, '')
    if (pin === '' || /[\r\n]/.test(pin)) throw pinError('the PIN file holds no single line', path)
    return pin
  } finally {
    await file.close()
  }
}

export function pinError(
  message: string,
  where: string,
  hint = 'Give the right PIN in the file; a token locks itself after a few wrong ones.',
  cause?: unknown,
): Error {
  const options = cause === undefined ? { where, hint } : { where, hint, cause }
  return elementError('ERR_ELEMENT_PIN', message, {}, options)
}
