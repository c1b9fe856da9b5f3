/** A house whose EDHOC certificates are looked at day by day. */
import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Judge, type Purpose, type VerifiedPeer } from '@countersign/core/credential'
import type { Authentication } from '@countersign/core/edhoc'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { edhocKinds } from '../../src/authority/edhocCredentials.ts'
import { anchorOf } from '../../src/compose/anchors.ts'
import { day, type House, makeHouse } from './house.ts'

export async function withHouse(work: (house: House) => Promise<House | void>): Promise<void> {
  const house = await makeHouse()
  let last: House | void = undefined
  try {
    last = await work(house)
  } finally {
    await (last ?? house).close()
  }
}

export async function keyFiles(house: House): Promise<readonly string[]> {
  const files = await readdir(join(house.directory, 'keys'))
  return files.filter((file) => file.startsWith('server-edhoc-')).toSorted()
}

/** The daily look, until nothing of it is under way. */
export async function tomorrow(house: House, days = 1): Promise<void> {
  house.clock.time += days * day
  house.timers.fire()
  const edhoc = await house.authority.edhocCredentials()
  // A look may wait for one that a notice began: whoever asks after each waits for both.
  for (let look = 0; look < 3; look++) {
    await house.authority.serverCredential()
    await new Promise((resolve) => setImmediate(resolve))
    for (const kind of edhocKinds) assert.equal(await edhoc.promote(kind, 'of none'), false)
  }
}

export async function judgeOf(
  house: House,
): Promise<(der: Uint8Array, purpose: Purpose) => VerifiedPeer> {
  const anchors = (await house.registry.listAnchors()).map(anchorOf)
  const judge = new Judge({ crypto: nodeCrypto, clock: house.clock, anchors })
  return (der, purpose) => judge.judge(der, [], { role: 'server', purpose })
}

export const purposeOf: Readonly<Record<Authentication, Purpose>> = {
  signature: 'serverEdhocSign',
  'static key': 'serverEdhocDh',
}
