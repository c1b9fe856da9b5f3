/**
 * The vault: every key of the data folder, encrypted at rest. One random folder key is wrapped by
 * the passphrase; each other secret is sealed under the folder key with its name as associated
 * data. The root's private key is not among them: it is a file of its own with its own wrap, so
 * that it can be carried away (`root.key`).
 *
 * Private keys leave as KeyObjects, which sign and are never printed; the vault's own fields are
 * private (#), which neither JSON nor inspect shows.
 */
import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto'
import { access, chmod, mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { CallerError, isCountersignError } from '@countersign/core/errors'
import { writeDurably } from '@countersign/element/durable'
import type { Sealer } from '../ports.ts'
import {
  corrupt,
  isCheaper,
  type ScryptCost,
  scryptCost,
  unwrap,
  type VaultErrorCode,
  wrap,
} from './passphrase.ts'

export type KeyKind = 'P-256' | 'P-384'

export interface VaultOptions {
  /** Folder of the key files; made with mode 0700. */
  readonly directory: string
  readonly passphrase: string
  /** Cheaper only in tests. */
  readonly cost?: ScryptCost
}

const folderKeyFile = 'folder.key'
export const rootKeyFile = 'root.key'
/**
 * Shortest passphrase that `create` takes: scrypt slows guessing, it does not make a short word
 * strong.
 */
const passphraseLengthMin = 8
const nonceLength = 12
const tagLength = 16
/** First byte of a seal: names the algorithm, so that another can follow. */
const sealVersion = 1

export class Vault implements Sealer {
  readonly #directory: string
  readonly #key: KeyObject
  readonly #cost: ScryptCost

  private constructor(directory: string, key: KeyObject, cost: ScryptCost) {
    this.#directory = directory
    this.#key = key
    this.#cost = cost
  }

  /** Makes a new folder key. Refuses a folder that has one. */
  static async create(options: VaultOptions): Promise<Vault> {
    const { directory, passphrase, cost = scryptCost } = options
    requireStrength(passphrase)
    await mkdir(directory, { recursive: true, mode: 0o700 })
    // An existing folder keeps its mode at mkdir.
    await chmod(directory, 0o700)
    if (await exists(join(directory, folderKeyFile))) {
      throw new CallerError('ERR_FOLDER_EXISTS', 'this folder already has a key', { directory })
    }
    const secret = randomBytes(32)
    try {
      const text = await wrap(folderKeyFile, secret, passphrase, cost)
      await writeDurably(join(directory, folderKeyFile), text)
      return new Vault(directory, createSecretKey(secret), cost)
    } finally {
      secret.fill(0)
    }
  }

  /** Opens the folder key; wraps it again when its cost has fallen behind. */
  static async open(options: VaultOptions): Promise<Vault> {
    const { directory, passphrase, cost = scryptCost } = options
    const file = join(directory, folderKeyFile)
    const opened = await unwrap(folderKeyFile, await readText(file), passphrase)
    try {
      if (opened.secret.length !== 32) throw corrupt(folderKeyFile, 'not a folder key')
      if (isCheaper(opened.cost, cost)) {
        await writeDurably(file, await wrap(folderKeyFile, opened.secret, passphrase, cost))
      }
      return new Vault(directory, createSecretKey(opened.secret), cost)
    } finally {
      opened.secret.fill(0)
    }
  }

  seal(name: string, secret: Uint8Array): Uint8Array {
    const nonce = randomBytes(nonceLength)
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce)
    cipher.setAAD(Buffer.from(name))
    return Buffer.concat([
      Buffer.of(sealVersion),
      nonce,
      cipher.update(secret),
      cipher.final(),
      cipher.getAuthTag(),
    ])
  }

  open(name: string, sealed: Uint8Array): Uint8Array {
    if (sealed.length < 1 + nonceLength + tagLength || sealed[0] !== sealVersion) {
      throw corrupt(name, 'not a sealed secret')
    }
    const decipher = createDecipheriv('aes-256-gcm', this.#key, sealed.subarray(1, 1 + nonceLength))
    decipher.setAAD(Buffer.from(name))
    decipher.setAuthTag(sealed.subarray(-tagLength))
    try {
      // GCM: `final` gives no bytes, it only judges the tag.
      const secret = decipher.update(sealed.subarray(1 + nonceLength, -tagLength))
      decipher.final()
      return secret
    } catch (cause) {
      throw corrupt(name, 'sealed under another key or changed', cause)
    }
  }

  /** Makes a signing key, sealed in `file` before anyone has it. */
  async createKey(file: string, kind: KeyKind): Promise<KeyObject> {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: kind })
    const der = privateKey.export({ format: 'der', type: 'pkcs8' })
    try {
      await writeDurably(join(this.#directory, file), this.seal(file, der))
    } finally {
      der.fill(0)
    }
    return privateKey
  }

  async openKey(file: string): Promise<KeyObject> {
    const der = this.open(file, await readBytes(join(this.#directory, file)))
    try {
      return privateKeyOf(der)
    } catch (cause) {
      throw corrupt(file, 'not a private key', cause)
    } finally {
      der.fill(0)
    }
  }

  async hasKey(file: string): Promise<boolean> {
    return exists(join(this.#directory, file))
  }

  async removeKey(file: string): Promise<void> {
    await rm(join(this.#directory, file), { force: true })
  }

  /**
   * The root's key in its own wrap: `root.key` can leave the machine and come back for a rollover.
   */
  async createRootKey(kind: KeyKind, passphrase: string): Promise<KeyObject> {
    requireStrength(passphrase)
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: kind })
    const der = privateKey.export({ format: 'der', type: 'pkcs8' })
    try {
      const text = await wrap(rootKeyFile, der, passphrase, this.#cost)
      await writeDurably(join(this.#directory, rootKeyFile), text)
    } finally {
      der.fill(0)
    }
    return privateKey
  }

  /** `file`: where the operator has put it; the folder itself when absent. */
  async openRootKey(passphrase: string, file?: string): Promise<KeyObject> {
    const path = file ?? join(this.#directory, rootKeyFile)
    const secret = await this.#rootSecret(path, passphrase)
    try {
      return privateKeyOf(secret)
    } catch (cause) {
      throw corrupt(rootKeyFile, 'not a private key', cause)
    } finally {
      secret.fill(0)
    }
  }

  /** The file was named by hand: a wrong one is a slip, and no reason to restore anything. */
  async #rootSecret(path: string, passphrase: string): Promise<Uint8Array> {
    const text = await readText(path)
    try {
      return (await unwrap(rootKeyFile, text, passphrase)).secret
    } catch (cause) {
      if (!isCountersignError(cause) || cause.code !== 'ERR_VAULT_CORRUPT') throw cause
      throw new CallerError<VaultErrorCode>(
        'ERR_VAULT_CORRUPT',
        'this is not the root key that "init" made',
        {},
        { where: path, hint: 'Give keys/root.key from where it was carried to.', cause },
      )
    }
  }
}

/** SubjectPublicKeyInfo of a private key's public half. */
export function spkiOf(key: KeyObject): Uint8Array {
  return createPublicKey(key).export({ format: 'der', type: 'spki' })
}

function privateKeyOf(pkcs8: Uint8Array): KeyObject {
  const key = Buffer.from(pkcs8.buffer, pkcs8.byteOffset, pkcs8.length)
  return createPrivateKey({ key, format: 'der', type: 'pkcs8' })
}

function requireStrength(passphrase: string): void {
  if (passphrase.normalize('NFKC').length >= passphraseLengthMin) return
  throw new CallerError<VaultErrorCode>(
    'ERR_PASSPHRASE',
    `a passphrase has at least ${passphraseLengthMin} characters`,
    {},
    { hint: 'Take five random words, or a file of random bytes in base64.' },
  )
}

async function readText(path: string): Promise<string> {
  return (await readBytes(path)).toString('utf8')
}

async function readBytes(path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (cause) {
    if (!isMissing(cause)) throw cause
    throw new CallerError<VaultErrorCode>(
      'ERR_KEY_FILE_MISSING',
      `there is no key file ${path}`,
      {},
      { hint: 'Bring the file back from where it is kept, or restore a backup.', cause },
    )
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path)
    return true
  } catch (cause) {
    if (isMissing(cause)) return false
    throw cause
  }
}

function isMissing(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && cause.code === 'ENOENT'
}
