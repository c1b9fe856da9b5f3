/**
 * Puts the house together: the only file that names concrete adapters. A folder is opened once, for
 * one command or for as long as `serve` runs; what needs a key waits until somebody asks for one.
 */
import { existsSync } from 'node:fs'
import { AdapterError, InvariantError } from '@countersign/core/errors'
import type { Clock } from '@countersign/core/ports'
import { nodeCrypto, randomBytes } from '@countersign/element/nodeCrypto'
import { Applications } from './application/applications.ts'
import { WebhookTargets } from './application/webhookTarget.ts'
import { Desk } from './attestation/desk.ts'
import { Manifests } from './attestation/manifests.ts'
import { Authority } from './authority/authority.ts'
import { type ScryptCost, scryptCost } from './authority/passphrase.ts'
import { Vault } from './authority/vault.ts'
import { Commands } from './commands/commands.ts'
import { type AskPin, HouseToken } from './compose/caToken.ts'
import { factsOf } from './compose/facts.ts'
import { crlFolder, keysFolder, unfinishedFile } from './compose/layout.ts'
import type { Keys, Services } from './compose/services.ts'
import { machineClock, machineTimers } from './compose/world.ts'
import { type Config, readConfig } from './config.ts'
import { silentLog } from './log.ts'
import type { Log, Sealer, Timers } from './ports.ts'
import { downlinksIn } from './registry/lifecycle.ts'
import { createNotices } from './registry/notices.ts'
import { Registry } from './registry/registry.ts'
import { type DataFolder, databaseFile, openFolder } from './store/folder.ts'
import { openSqliteStore } from './store/sqlite.ts'

export interface OpenOptions {
  /** Asked once, when the first key is needed. */
  readonly passphrase: string | (() => Promise<string>)
  /** Asked for the PIN of the token with the CA keys, where no file has it. */
  readonly askPin?: AskPin
  /** Read from the folder when absent. */
  readonly config?: Config
  readonly log?: Log
  readonly clock?: Clock
  readonly timers?: Timers
  /**
   * Cheaper only in tests and in the demo, whose keys protect nothing: the vault raises what is
   * below.
   */
  readonly cost?: ScryptCost
}

/** Owns the folder until it is closed. */
export async function openHouse(dir: string, options: OpenOptions): Promise<Services> {
  const config = options.config ?? (await readConfig(dir))
  const clock = options.clock ?? machineClock
  const folder = await openFolder(dir, { clock })
  try {
    if (existsSync(folder.file(unfinishedFile))) throw unfinished(folder.path)
    return await furnish(folder, { ...options, config, clock })
  } catch (error) {
    folder.release()
    throw error
  }
}

type Furnishing = OpenOptions & {
  readonly config: Config
  readonly clock: Clock
  /** Those that `init` has just made. */
  readonly vault?: Vault
  readonly token?: HouseToken | undefined
}

/** The rooms of a folder that is owned already. */
export async function furnish(folder: DataFolder, options: Furnishing): Promise<Services> {
  const { config, clock, log = silentLog, timers = machineTimers } = options
  const failed = (error: unknown): void => log.error(factsOf(error), 'something behind failed')
  const store = await openSqliteStore(folder.file(databaseFile), { clock })
  const notices = createNotices(failed)
  const random = randomBytes
  const registry = new Registry({ store, notices, clock, random, crypto: nodeCrypto, failed })
  const sealer = new LateSealer()
  const targets = new WebhookTargets(config.webhooks.trustedHosts)
  const common = { store, notices, clock, timers, random }
  const applications = new Applications({ ...common, sealer, targets })
  const commands = new Commands({ ...common, downlinks: downlinksIn, failed })
  let opened: Promise<Keys> | undefined
  const token = options.token ?? tokenOf(config, options.askPin)
  let listeners: Readonly<Record<string, string>> = {}
  let consoleLink: Services['consoleLink']
  const manifests = new Manifests({ store, clock, crypto: nodeCrypto })
  const base = {
    ...common,
    manifests,
    dir: folder.path,
    demo: folder.demo,
    config,
    log,
    registry,
    targets,
  }
  return {
    ...base,
    applications,
    commands,
    keys: () => (opened ??= openKeys(folder, base, sealer, { ...options, token })),
    get listeners() {
      return listeners
    },
    setListeners: (urls) => (listeners = urls),
    get consoleLink() {
      return consoleLink
    },
    setConsoleLink: (make) => (consoleLink = make),
    announce: (facts) => folder.announce(facts),
    close: async () => {
      const keys = await opened?.catch(() => undefined)
      await keys?.authority.close()
      await token?.close()
      await registry.close()
      await commands.close()
      await store.close()
      folder.release()
    },
  }
}

type Base = Pick<
  Services,
  'store' | 'notices' | 'clock' | 'timers' | 'random' | 'config' | 'log' | 'registry' | 'demo'
>

async function openKeys(
  folder: DataFolder,
  base: Base,
  sealer: LateSealer,
  { passphrase, vault: made, token, cost = scryptCost }: Furnishing,
): Promise<Keys> {
  const vault =
    made ??
    (await Vault.open({
      directory: folder.file(keysFolder),
      passphrase: typeof passphrase === 'string' ? passphrase : await passphrase(),
      cost,
    }))
  sealer.arrive(vault)
  const { hosts, crlBase } = base.config
  const authority = await Authority.open({
    ...base,
    attestation: new Desk({ ...base, crypto: nodeCrypto, isDemo: base.demo }),
    vault,
    caToken: token,
    crypto: nodeCrypto,
    directory: folder.file(crlFolder),
    hosts,
    ...(crlBase === null ? {} : { crlBase }),
  })
  return { authority, sealer }
}

function tokenOf({ caToken }: Config, askPin: AskPin | undefined): HouseToken | undefined {
  return caToken === null ? undefined : new HouseToken(caToken, askPin)
}

/**
 * Handed out before the vault is open: listing applications needs no passphrase, adding one does.
 */
class LateSealer implements Sealer {
  #vault: Sealer | undefined

  arrive(vault: Sealer): void {
    this.#vault = vault
  }

  seal(name: string, secret: Uint8Array): Uint8Array {
    return this.#ready.seal(name, secret)
  }

  open(name: string, sealed: Uint8Array): Uint8Array {
    return this.#ready.open(name, sealed)
  }

  get #ready(): Sealer {
    if (this.#vault !== undefined) return this.#vault
    throw new InvariantError('ERR_KEYS_CLOSED', 'a sealed secret was asked for before the keys')
  }
}

export function unfinished(dir: string): AdapterError<'ERR_FOLDER_UNFINISHED'> {
  return new AdapterError(
    'ERR_FOLDER_UNFINISHED',
    'init was interrupted before this folder was whole',
    {},
    { where: dir, hint: 'Nothing was issued from it yet: remove the folder and run init again.' },
  )
}
