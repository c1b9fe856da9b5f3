/** Two things that `doctor` tries out: does the passphrase open the keys, is a port free? */
import { createServer } from 'node:net'
import { join } from 'node:path'
import { isCountersignError } from '@countersign/core/errors'
import { Vault } from '../authority/vault.ts'
import type { Address, DoorName } from '../config.ts'
import { listen } from '../listen.ts'
import { type Check, fail, ok } from './check.ts'
import { keysFolder } from './layout.ts'

export async function checkKeys(dir: string, passphrase: string): Promise<Check> {
  await Vault.open({ directory: join(dir, keysFolder), passphrase })
  return ok('keys', 'the passphrase opens them')
}

export async function checkPort(door: DoorName, address: Address): Promise<Check> {
  const server = createServer()
  const at = `${address.host}:${address.port}`
  try {
    await listen(server, door, address)
    return ok(`door ${door}`, `${at} is free`)
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    const hint = isCountersignError(error) ? error.hint : undefined
    return fail(`door ${door}`, `${at}: ${message}`, hint ?? 'Choose another address.')
  } finally {
    server.close()
  }
}
