/** The server's EDHOC certificates through the years: successors, crashes, revocations, restored backups. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { cp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { hex } from '@countersign/core/codec'
import { parseCertificate } from '@countersign/core/credential'
import type { Authentication } from '@countersign/core/edhoc'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import {
  edhocKinds,
  edhocLifetimeMs,
  nextBeforeMs,
  promoteBeforeMs,
} from '../../src/authority/edhocCredentials.ts'
import { edhocInUse } from '../../src/authority/edhocSetting.ts'
import type { EdhocCredentials, EdhocServerCredential } from '../../src/ports.ts'
import { judgeOf, keyFiles, purposeOf, tomorrow, withHouse } from './edhocHouse.ts'
import { enrol } from './estClient.ts'
import { day, newKey, passphrase, requestFor, type House } from './house.ts'

describe("the successors of the server's EDHOC certificates", () => {
  it('appear in time, are told of, and are shown when every context has confirmed them', async () => {
    await withHouse(async (house) => {
      const edhoc = await house.authority.edhocCredentials()
      await house.authority.start(() => undefined)
      const first = edhoc.current('static key')
      await tomorrow(house, (edhocLifetimeMs - nextBeforeMs) / day - 2)
      assert.equal(edhoc.next('static key'), undefined)
      await tomorrow(house, 3)
      const next = edhoc.next('static key')
      assert.ok(next)
      assert.equal(edhoc.current('static key').fingerprint, first.fingerprint)
      assert.notDeepEqual(next.kid, first.kid)
      assert.ok(next.notAfter - house.clock.now() > edhocLifetimeMs - 2 * day)
      assert.equal((await keyFiles(house)).length, 4)
      // Of another that somebody counted.
      assert.equal(await edhoc.promote('static key', first.fingerprint), false)
      assert.equal(await edhoc.promote('signature', next.fingerprint), false)
      assert.equal(edhoc.current('static key').fingerprint, first.fingerprint)
      assert.equal(await edhoc.promote('static key', next.fingerprint), true)
      assert.equal(edhoc.current('static key').fingerprint, next.fingerprint)
      assert.equal(edhoc.next('static key'), undefined)
      assert.equal(await edhoc.promote('static key', next.fingerprint), false)
      // The key of the first is gone; a handshake that was under way still has its handle.
      assert.equal((await keyFiles(house)).length, 3)
      assert.ok(first.agree)
      const share = nodeCrypto.generateEphemeral('secp256r1').share
      assert.equal((await first.agree(share)).length, 32)
      assert.deepEqual(house.logged, [])
      const again = await house.reopen()
      const later = await again.authority.edhocCredentials()
      assert.equal(later.current('static key').fingerprint, next.fingerprint)
      assert.ok(later.next('signature'))
      return again
    })
  })

  it('that are promoted while the house closes are shown when it opens again', async () => {
    await withHouse(async (house) => {
      const edhoc = await house.authority.edhocCredentials()
      await house.authority.start(() => undefined)
      await tomorrow(house, (edhocLifetimeMs - nextBeforeMs) / day + 1)
      const next = edhoc.next('signature')
      assert.ok(next)
      const promoted = edhoc.promote('signature', next.fingerprint)
      const again = await house.reopen()
      assert.equal(await promoted, true)
      const later = await again.authority.edhocCredentials()
      assert.equal(later.current('signature').fingerprint, next.fingerprint)
      assert.equal((await keyFiles(again)).length, 3)
      return again
    })
  })

  it('are shown a month before the end, confirmed or not', async () => {
    await withHouse(async (house) => {
      const edhoc = await house.authority.edhocCredentials()
      await house.authority.start(() => undefined)
      await tomorrow(house, (edhocLifetimeMs - nextBeforeMs) / day + 1)
      const next = edhoc.next('signature')
      assert.ok(next)
      const { notAfter } = edhoc.current('signature')
      house.clock.time = notAfter - promoteBeforeMs - 2 * day
      await tomorrow(house)
      assert.notEqual(edhoc.current('signature').fingerprint, next.fingerprint)
      await tomorrow(house, 2)
      assert.equal(edhoc.current('signature').fingerprint, next.fingerprint)
    })
  })

  it('made late, after months without a server, are told of before they are shown', async () => {
    await withHouse(async (house) => {
      const first = await house.authority.edhocCredentials()
      const { fingerprint, notAfter } = first.current('signature')
      house.clock.time = notAfter - 10 * day
      const again = await house.reopen()
      const edhoc = await again.authority.edhocCredentials()
      await again.authority.start(() => undefined)
      assert.equal(edhoc.current('signature').fingerprint, fingerprint)
      const next = edhoc.next('signature')
      assert.ok(next)
      await tomorrow(again, 8)
      assert.equal(edhoc.current('signature').fingerprint, fingerprint)
      await tomorrow(again)
      assert.equal(edhoc.current('signature').fingerprint, next.fingerprint)
      return again
    })
  })

  it('are shown at once after a year without a server', async () => {
    await withHouse(async (house) => {
      const first = await house.authority.edhocCredentials()
      const { fingerprint } = first.current('signature')
      house.clock.time += 400 * day
      const again = await house.reopen()
      const edhoc = await again.authority.edhocCredentials()
      assert.notEqual(edhoc.current('signature').fingerprint, fingerprint)
      assert.ok(edhoc.current('signature').notAfter > house.clock.now())
      assert.equal(edhoc.next('signature'), undefined)
      return again
    })
  })

  it('end with their CA: none is made that would last no longer', async () => {
    await withHouse(async (house) => {
      const ca = house.authority.cas().find((row) => row.name === 'server')
      assert.ok(ca)
      const { notAfter } = parseCertificate(ca.der)
      house.clock.time = notAfter - 100 * day
      const edhoc = await house.authority.edhocCredentials()
      await house.authority.start(() => undefined)
      assert.equal(edhoc.current('signature').notAfter, notAfter)
      for (const days of [1, 50, 48]) await tomorrow(house, days)
      assert.equal(edhoc.next('signature'), undefined)
      assert.equal((await keyFiles(house)).length, 2)
      house.clock.time = notAfter + day
      const again = await house.reopen()
      await assert.rejects(again.authority.edhocCredentials(), { code: 'ERR_CA_ENDED' })
      return again
    })
  })

  it('never take the kid of one that is alive, nor soon one that has been used', async () => {
    await withHouse(async (house) => {
      const edhoc = await house.authority.edhocCredentials()
      await house.authority.start(() => undefined)
      const given = edhocKinds.map((kind) => ({ at: 0, ...shortOf(edhoc.current(kind)) }))
      for (let turn = 1; turn <= 30; turn++) {
        await tomorrow(house, (edhocLifetimeMs - nextBeforeMs) / day + 1)
        for (const kind of edhocKinds) {
          const next = edhoc.next(kind)
          assert.ok(next)
          given.push({ at: turn, ...shortOf(next) })
          assert.ok(await edhoc.promote(kind, next.fingerprint))
        }
      }
      for (const [index, { kid, at, from }] of given.entries()) {
        const earlier = given.slice(0, index).findLast((one) => one.kid === kid)
        if (earlier === undefined) continue
        assert.ok(earlier.notAfter < from, `kid ${kid} of one that is alive`)
        // 48 names, two a turn.
        assert.ok(at - earlier.at >= 22, `kid ${kid} after ${at - earlier.at} turns`)
      }
      assert.equal(new Set(given.map(({ kid }) => kid)).size, 48)
      const setting = await house.store.get('setting', 'authority.edhoc')
      assert.equal(JSON.parse(setting?.value ?? '{}').entries.length, 48)

      function shortOf({ kid, notAfter }: EdhocServerCredential): {
        kid: string
        notAfter: number
        from: number
      } {
        return { kid: hex(kid), notAfter, from: house.clock.now() }
      }
    })
  })
})

describe('what goes wrong', () => {
  it('a crash after the key or after the certificate leaves the old ones in use, and no key', async () => {
    await withHouse(async (house) => {
      const first = await house.authority.edhocCredentials()
      const { fingerprint } = first.current('signature')
      // The key of what would have been the third.
      await house.vault.createKey('server-edhoc-sign-3.key', 'P-256')
      const again = await house.reopen()
      const edhoc = await again.authority.edhocCredentials()
      assert.equal(edhoc.current('signature').fingerprint, fingerprint)
      house.clock.time += edhocLifetimeMs - nextBeforeMs + day
      const later = await again.reopen()
      const renewed = await later.authority.edhocCredentials()
      const next = renewed.next('signature')
      assert.ok(next?.signer)
      // The third is made now, and its key is the one that its certificate names.
      assert.equal((await keyFiles(later)).length, 4)
      assert.deepEqual(
        Buffer.from(next.signer.spki),
        Buffer.from(parseCertificate(next.der).spki.der),
      )
      return later
    })
  })

  it('a crash after a promotion leaves the key that is past, and the next start removes it', async () => {
    await withHouse(async (house) => {
      const edhoc = await house.authority.edhocCredentials()
      const [sign] = (await keyFiles(house)).filter((file) => file.includes('-sign-'))
      assert.ok(sign)
      const serial = hex(parseCertificate(edhoc.current('signature').der).serial)
      await house.authority.start(() => undefined)
      await house.registry.revokeCertificate(serial, 'superseded')
      await tomorrow(house)
      assert.ok(!(await keyFiles(house)).includes(sign))
      await house.vault.createKey(sign, 'P-256')
      const again = await house.reopen()
      await again.authority.edhocCredentials()
      assert.ok(!(await keyFiles(again)).includes(sign))
      return again
    })
  })

  it('a lost key means a new certificate; the other one stays', async () => {
    await withHouse(async (house) => {
      const first = await house.authority.edhocCredentials()
      await house.vault.removeKey('server-edhoc-dh-2.key')
      const again = await house.reopen()
      const edhoc = await again.authority.edhocCredentials()
      const same = (kind: Authentication): boolean =>
        edhoc.current(kind).fingerprint === first.current(kind).fingerprint
      assert.deepEqual([same('signature'), same('static key')], [true, false])
      assert.notDeepEqual(edhoc.current('static key').kid, first.current('static key').kid)
      return again
    })
  })

  it('a damaged key file is told of, and nothing is made in its place', async () => {
    await withHouse(async (house) => {
      await house.authority.edhocCredentials()
      await writeFile(join(house.directory, 'keys', 'server-edhoc-dh-2.key'), 'garbage')
      const again = await house.reopen()
      await assert.rejects(again.authority.edhocCredentials(), { code: 'ERR_VAULT_CORRUPT' })
      return again
    })
  })

  it('one that is revoked is not shown any more, and its successor not either when that is', async () => {
    await withHouse(async (house) => {
      const edhoc = await house.authority.edhocCredentials()
      await house.authority.start(() => undefined)
      await tomorrow(house, (edhocLifetimeMs - nextBeforeMs) / day + 1)
      const first = edhoc.current('static key')
      const next = edhoc.next('static key')
      assert.ok(next)
      await revoke(house, next)
      assert.equal(await edhoc.promote('static key', next.fingerprint), false)
      await tomorrow(house)
      const other = edhoc.next('static key')
      assert.ok(other)
      assert.notEqual(other.fingerprint, next.fingerprint)
      await revoke(house, first)
      await tomorrow(house)
      // The successor takes over: devices have been told of it.
      assert.equal(edhoc.current('static key').fingerprint, other.fingerprint)
      await revoke(house, other)
      await tomorrow(house)
      const last = edhoc.current('static key')
      assert.ok(![first, next, other].some((one) => one.fingerprint === last.fingerprint))
      assert.deepEqual(house.logged, [])
    })
  })

  it('a rollover of the server CA makes new ones, as long as no device has pinned it', async () => {
    await withHouse(async (house) => {
      const edhoc = await house.authority.edhocCredentials()
      const old = edhocKinds.map((kind) => edhoc.current(kind))
      const made = await house.authority.rollover({ role: 'server', rootPassphrase: passphrase })
      const judge = await judgeOf(house)
      for (const [index, kind] of edhocKinds.entries()) {
        const { der, issuer, fingerprint, kid } = edhoc.current(kind)
        assert.notEqual(fingerprint, old[index]?.fingerprint)
        assert.notDeepEqual(kid, old[index]?.kid)
        assert.deepEqual(issuer, made.der)
        const pinned = createHash('sha256').update(parseCertificate(issuer).spki.der).digest('hex')
        assert.equal(pinned, house.authority.serverAnchor())
        assert.equal(judge(der, purposeOf[kind]).anchor.certificate.der.length, made.der.length)
        assert.equal(edhoc.next(kind), undefined)
      }
      await enrol(house, await requestFor('PIN-1', newKey().signer))
      await assert.rejects(
        house.authority.rollover({ role: 'server', rootPassphrase: passphrase }),
        { code: 'ERR_ROLLOVER_PINNED' },
      )
    })
  })

  it('a restored backup shows what it knew, and tells of the successor again', async () => {
    await withHouse(async (house) => {
      const edhoc = await house.authority.edhocCredentials()
      await house.authority.start(() => undefined)
      await tomorrow(house, (edhocLifetimeMs - nextBeforeMs) / day + 1)
      const old = edhocKinds.map((kind) => shownOf(edhoc, kind))
      const [database, keys] = [join(house.directory, 'store.db'), join(house.directory, 'keys')]
      await house.store.backup(join(house.directory, 'copy.db'))
      await cp(keys, join(house.directory, 'copy'), { recursive: true })
      for (const kind of edhocKinds) {
        const { fingerprint } = edhoc.next(kind) ?? edhoc.current(kind)
        assert.ok(await edhoc.promote(kind, fingerprint))
      }
      await tomorrow(house, (edhocLifetimeMs - nextBeforeMs) / day + 1)
      const forgotten = edhocKinds.map((kind) => edhoc.next(kind))
      const restored = await house.reopen({}, async () => {
        house.clock.time -= (edhocLifetimeMs - nextBeforeMs) / 2
        for (const path of [database, `${database}-wal`, `${database}-shm`, keys])
          await rm(path, { recursive: true, force: true })
        await cp(join(house.directory, 'copy.db'), database)
        await cp(join(house.directory, 'copy'), keys, { recursive: true })
      })
      const again = await restored.authority.edhocCredentials()
      assert.deepEqual(
        edhocKinds.map((kind) => shownOf(again, kind)),
        old,
      )
      // Its keys are there: what is told of can be shown.
      const next = again.next('static key')
      assert.ok(next?.agree)
      const share = nodeCrypto.generateEphemeral('secp256r1').share
      assert.equal((await next.agree(share)).length, 32)
      assert.ok(await again.promote('static key', next.fingerprint))
      // What the other life made is unknown here.
      for (const one of forgotten) {
        assert.ok(one)
        const serial = hex(parseCertificate(one.der).serial)
        assert.equal(await restored.store.get('certificate', serial), undefined)
      }
      return restored
    })
  })

  it('one that was never asked for is not made by renewals', async () => {
    await withHouse(async (house) => {
      await house.authority.start(() => undefined)
      house.clock.time += day
      house.timers.fire()
      await house.authority.close()
      assert.deepEqual(await keyFiles(house), [])
      assert.deepEqual(await edhocInUse(house.store), [])
    })
  })
})

function shownOf(edhoc: EdhocCredentials, kind: Authentication): readonly (string | undefined)[] {
  return [edhoc.current(kind).fingerprint, edhoc.next(kind)?.fingerprint]
}

async function revoke(house: House, { der }: EdhocServerCredential): Promise<void> {
  const serial = hex(parseCertificate(der).serial)
  await house.registry.revokeCertificate(serial, 'keyCompromise')
}
