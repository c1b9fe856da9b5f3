/**
 * `init`: a new data folder. Made in place under a marker that goes last, so that an interrupted
 * one is recognised; a folder that is not empty is never touched.
 */
import { randomBytes as nodeRandomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { CallerError } from '@countersign/core/errors'
import type { Clock } from '@countersign/core/ports'
import { syncFolder, writeDurably } from '@countersign/element/durable'
import { Authority } from '../authority/authority.ts'
import { type ScryptCost, scryptCost } from '../authority/passphrase.ts'
import { Vault } from '../authority/vault.ts'
import { furnish, unfinished } from '../compose.ts'
import { type ConfigFile, configFile, isHostName, mergeConfig, requireCaToken } from '../config.ts'
import { type DataFolder, makeFolder } from '../store/folder.ts'
import { type AskPin, HouseToken } from './caToken.ts'
import { crlFolder, devPassphraseFile, keysFolder, unfinishedFile } from './layout.ts'
import { machineClock } from './world.ts'

export interface FoundOptions {
  /** Names and addresses of the server, beside localhost. */
  readonly hosts: readonly string[]
  /** Absent: one is made and kept beside the data (`--dev`). */
  readonly passphrase?: string | (() => Promise<string>)
  /** `pkcs11:` URL of a token: root and issuing keys are made in it, and stay there. */
  readonly caToken?: string | undefined
  readonly askPin?: AskPin | undefined
  readonly demo: boolean
  readonly clock?: Clock
  /** Cheaper only in tests and in the demo, whose keys protect nothing. */
  readonly cost?: ScryptCost
}

export interface FoundedFolder {
  readonly dir: string
  readonly hosts: readonly string[]
  /** SHA-256 of the public key of the server issuing CA: what devices pin. */
  readonly anchor: string
  /** Name of the token with the CA keys. */
  readonly caToken: string | null
  readonly dev: boolean
  readonly demo: boolean
}

const localHosts: readonly string[] = ['localhost', '127.0.0.1', '::1']
/** 256 bits: stronger than the key that it protects. */
const devPassphraseBytes = 32

export async function createFolder(dir: string, options: FoundOptions): Promise<FoundedFolder> {
  const hosts = [...new Set([...options.hosts.map(checkedHost), ...localHosts])]
  const clock = options.clock ?? machineClock
  if (existsSync(join(dir, unfinishedFile))) throw unfinished(dir)
  // Asked before anything is made: whoever leaves at the prompt leaves nothing behind. A folder
  // that is not free is refused below.
  const isFree = (await readdir(dir).catch(() => [])).length === 0
  const passphrase = isFree ? await givenPassphrase(options) : undefined
  const token = tokenOf(options)
  const folder = await makeFolder(dir, { clock, demo: options.demo })
  const opened: { close(): Promise<void> }[] = [{ close: async () => folder.release() }]
  try {
    return await fill(folder, { ...options, passphrase, hosts, clock, token }, opened)
  } catch (error) {
    // What was made in the token would be nobody's. The reason for all this is told, not another one.
    await token?.undo().catch(() => undefined)
    await token?.close()
    await opened.pop()?.close()
    // It was empty when we took it, so that everything in it is ours: the next init finds it as
    // this one did.
    for (const name of await readdir(folder.path)) {
      await rm(folder.file(name), { recursive: true, force: true })
    }
    throw error
  } finally {
    await opened.pop()?.close()
  }
}

/** Whoever is in `opened` last owns the folder, and closes it. */
async function fill(
  folder: DataFolder,
  options: Omit<FoundOptions, 'passphrase'> & {
    readonly clock: Clock
    readonly passphrase: string | undefined
    readonly token: HouseToken | undefined
  },
  opened: { close(): Promise<void> }[],
): Promise<FoundedFolder> {
  const { hosts, clock, token, caToken } = options
  await writeDurably(folder.file(unfinishedFile), '')
  const passphrase = options.passphrase ?? (await makeDevPassphrase(folder))
  const file: ConfigFile = { hosts: [...hosts], ...(caToken === undefined ? {} : { caToken }) }
  await writeDurably(folder.file(configFile), `${JSON.stringify(file, null, 2)}\n`)
  const vault = await Vault.create({
    directory: folder.file(keysFolder),
    passphrase,
    cost: options.cost ?? scryptCost,
  })
  const config = mergeConfig(file, {})
  const house = await furnish(folder, { passphrase, config, clock, vault, token })
  opened.splice(0, 1, house)
  await Authority.found({
    store: house.store,
    vault,
    caToken: token,
    clock,
    directory: folder.file(crlFolder),
    rootPassphrase: passphrase,
  })
  await house.registry.bootstrap()
  const { authority } = await house.keys()
  await authority.serverCredential()
  await rm(folder.file(unfinishedFile))
  await syncFolder(folder.path)
  return {
    dir: folder.path,
    hosts,
    anchor: authority.serverAnchor(),
    caToken: token?.name ?? null,
    dev: options.passphrase === undefined,
    demo: options.demo,
  }
}

function tokenOf({ caToken, askPin }: FoundOptions): HouseToken | undefined {
  if (caToken === undefined) return undefined
  requireCaToken(caToken, '--ca-token')
  return new HouseToken(caToken, askPin)
}

async function givenPassphrase({ passphrase }: FoundOptions): Promise<string | undefined> {
  return typeof passphrase === 'function' ? await passphrase() : passphrase
}

async function makeDevPassphrase(folder: DataFolder): Promise<string> {
  const passphrase = nodeRandomBytes(devPassphraseBytes).toString('base64url')
  await writeDurably(folder.file(devPassphraseFile), `${passphrase}\n`)
  return passphrase
}

function checkedHost(host: string): string {
  if (isHostName(host)) return host
  throw new CallerError(
    'ERR_USAGE',
    `"${host}" is neither a host name nor an IP address`,
    {},
    { where: '--host', hint: 'Give the name alone, without https:// and port.' },
  )
}
