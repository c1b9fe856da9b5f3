/**
 * An opened house: what `compose.ts` has put together and what operations work on. Keys are opened when the first operation needs one, so
 * that looking at a folder asks nobody for a passphrase.
 */
import type { Clock, Random } from '@countersign/core/ports'
import type { Applications } from '../application/applications.ts'
import type { Authority } from '../authority/authority.ts'
import type { Vault } from '../authority/vault.ts'
import type { Config } from '../config.ts'
import type { Log, Notices, Store, Timers } from '../ports.ts'
import type { Registry } from '../registry/registry.ts'

export interface Keys {
  readonly vault: Vault
  readonly authority: Authority
  readonly applications: Applications
}

export interface Services {
  readonly dir: string
  readonly demo: boolean
  readonly config: Config
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly log: Log
  readonly store: Store
  readonly notices: Notices
  readonly registry: Registry
  /** Empty until the doors are open. */
  readonly listeners: Readonly<Record<string, string>>
  keys(): Promise<Keys>
  /** Others find the owner's control socket by it. */
  announce(facts: Readonly<Record<string, string>>): void
  setListeners(listeners: Readonly<Record<string, string>>): void
  close(): Promise<void>
}
