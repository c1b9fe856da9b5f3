/**
 * An opened house: what `compose.ts` has put together and what operations work on. Keys are opened
 * when the first operation needs one, so that looking at a folder asks nobody for a passphrase.
 */
import type { Clock, Random } from '@countersign/core/ports'
import type { Applications } from '../application/applications.ts'
import type { WebhookTargets } from '../application/webhookTarget.ts'
import type { Manifests } from '../attestation/manifests.ts'
import type { Authority } from '../authority/authority.ts'
import type { Commands } from '../commands/commands.ts'
import type { Config } from '../config.ts'
import type { ConsoleLinkDocument } from '../control/contract.ts'
import type { Log, Notices, Sealer, Store, Timers } from '../ports.ts'
import type { Registry } from '../registry/registry.ts'

export interface Keys {
  readonly authority: Authority
  /** Works from now on; before, whoever uses it has forgotten to await `keys()`. */
  readonly sealer: Sealer
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
  readonly manifests: Manifests
  /** Adding and testing need `keys()` first; listing and removing do not. */
  readonly applications: Applications
  readonly commands: Commands
  readonly targets: WebhookTargets
  /** Opened once; asks for the passphrase. */
  keys(): Promise<Keys>
  /** Url of each open door; empty until `serve` has opened them. */
  readonly listeners: Readonly<Record<string, string>>
  setListeners(listeners: Readonly<Record<string, string>>): void
  /** Makes a one-time link to the page; undefined while no page is open. */
  readonly consoleLink: (() => ConsoleLinkDocument) | undefined
  setConsoleLink(make: (() => ConsoleLinkDocument) | undefined): void
  /** What other processes read of the folder's owner. */
  announce(facts: Readonly<Record<string, string>>): void
  close(): Promise<void>
}
