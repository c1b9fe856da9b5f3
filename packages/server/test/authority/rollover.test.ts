/** A new issuing CA takes over a role; what the old one signed lives on. */
import assert from 'node:assert/strict'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { hex, pem } from '@countersign/core/codec'
import { parseCertificate, parseCertificateList } from '@countersign/core/credential'
import type { Notice } from '../../src/ports.ts'
import { ask, enrol, enrolled } from './estClient.ts'
import { missing, openssl } from './foreign.ts'
import { type House, makeHouse, newKey, passphrase, requestFor, verified } from './house.ts'

let house: House
let folder: string

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rollover-'))
  house = await makeHouse()
})

after(async () => {
  await house.close()
  await rm(folder, { recursive: true, force: true })
})

describe('a rollover', () => {
  it('needs the root key, which may be elsewhere, and its passphrase', async () => {
    const inside = join(house.directory, 'keys', 'root.key')
    const outside = join(folder, 'root.key')
    await rename(inside, outside)
    const rollover = (rootKey?: string, rootPassphrase?: string): Promise<unknown> =>
      house.authority.rollover({ role: 'operator', rootKey, rootPassphrase })
    await assert.rejects(rollover(undefined, passphrase), { code: 'ERR_KEY_FILE_MISSING' })
    await assert.rejects(rollover(outside, 'another one'), { code: 'ERR_PASSPHRASE' })
    await assert.rejects(rollover(outside), { code: 'ERR_PASSPHRASE' })
    const other = await makeHouse()
    const foreign = join(other.directory, 'keys', 'root.key')
    await assert.rejects(rollover(foreign, passphrase), {
      code: 'ERR_ROOT_KEY',
      hint: 'Give the root.key that "init" made with this folder.',
    })
    await other.close()
    assert.equal(house.authority.cas().length, 5)
    await rollover(outside, passphrase)
    await rename(outside, inside)
    assert.equal(house.authority.cas().length, 6)
  })

  it('of the owner CA: new certificates by the new one, old ones renew there, both are anchors', async () => {
    const { signer } = newKey()
    const old = await enrol(house, await requestFor('OLD', signer))
    const told: Notice[] = []
    const stop = house.notices.listen((notice) => told.push(notice))
    const made = await house.authority.rollover({ role: 'owner', rootPassphrase: passphrase })
    stop()
    assert.deepEqual([made.name, made.role, made.status], ['owner-2', 'owner', 'active'])
    assert.ok(told.some((notice) => notice.kind === 'anchors'))
    const status = house.authority.cas().find((row) => row.name === 'owner')?.status
    assert.equal(status, 'retired')
    const peer = await verified(house, old.der, 'owner')
    const renewed = enrolled(
      await ask(house, 'simplereenroll', { peer, csr: await requestFor('OLD', newKey().signer) }),
    )
    assert.notDeepEqual(renewed.issuer.der, old.issuer.der)
    await verified(house, renewed.der, 'owner')
    await verified(
      house,
      (await enrol(house, await requestFor('NEW', newKey().signer))).der,
      'owner',
    )
  })

  it('asked for twice at once is done twice, one behind the other', async () => {
    const other = await makeHouse()
    const wanted = { role: 'operator', rootPassphrase: passphrase } as const
    const made = await Promise.all([1, 2].map(() => other.authority.rollover(wanted)))
    assert.deepEqual(
      made.map((row) => row.name),
      ['operator-2', 'operator-3'],
    )
    // Each key file is the key of its CA, or this would throw.
    const again = await other.reopen()
    assert.equal(again.authority.cas().filter((row) => row.status === 'active').length, 5)
    await again.close()
  })

  it('keeps a CRL for each: the retired CA revokes what it signed', async () => {
    const rows = await house.registry.certificatesOf((await house.registry.find('OLD')).id)
    for (const row of rows) await house.registry.revokeCertificate(row.serial, 'superseded')
    for (const name of ['owner', 'owner-2']) {
      const der = await house.authority.crl(name)
      assert.ok(der)
      const list = parseCertificateList(der)
      assert.equal(list.entryCount, 1)
      const row = rows.find((one) => one.ca === name)
      assert.ok(list.findRevoked(Buffer.from(row?.serial ?? '', 'hex')))
    }
  })

  it('survives a restart, and OpenSSL follows the chain of the new CA', {
    skip: missing('openssl'),
  }, async () => {
    house = await house.reopen()
    const leaf = await enrol(house, await requestFor('LATER', newKey().signer))
    const ca = house.authority.cas().find((row) => row.name === 'owner-2')
    const root = house.authority.cas().find((row) => row.name === 'root')
    assert.ok(ca && root)
    const files = { leaf: leaf.der, ca: ca.der, root: root.der }
    for (const [name, der] of Object.entries(files)) {
      await writeFile(join(folder, `${name}.pem`), pem('CERTIFICATE', der))
    }
    const lists = [await house.authority.crl('owner-2'), await house.authority.crl('root')]
    const crls = lists.map((der) => pem('X509 CRL', der ?? new Uint8Array(0))).join('')
    await writeFile(join(folder, 'crl.pem'), crls)
    const verdict = await openssl(
      'verify',
      '-x509_strict',
      '-crl_check_all',
      '-CRLfile',
      join(folder, 'crl.pem'),
      '-CAfile',
      join(folder, 'root.pem'),
      '-untrusted',
      join(folder, 'ca.pem'),
      join(folder, 'leaf.pem'),
    )
    assert.equal(verdict.code, 0, verdict.text)
    assert.match(hex(leaf.serial), /^[4-7][0-9a-f]{31}$/)
  })

  it('lets the retired CA be revoked: nothing that it signed is believed from then on', async () => {
    const other = await makeHouse()
    const old = await enrol(other, await requestFor('UNDER-1', newKey().signer))
    const serialOf = (name: string): string => {
      const row = other.authority.cas().find((one) => one.name === name)
      return hex(parseCertificate(row?.der ?? new Uint8Array()).serial)
    }
    const revoke = (name: string): Promise<unknown> =>
      other.registry.revokeCertificate(serialOf(name), 'cACompromise')
    // As long as it signs, saying that it is revoked would change nothing.
    for (const name of ['owner', 'server', 'root'])
      await assert.rejects(revoke(name), { code: 'ERR_CA_ACTIVE' })
    await verified(other, old.der, 'owner')
    await other.authority.rollover({ role: 'owner', rootPassphrase: passphrase })
    const told: Notice[] = []
    const stop = other.notices.listen((notice) => told.push(notice))
    await revoke('owner')
    stop()
    assert.ok(told.some((notice) => notice.kind === 'anchors'))
    await assert.rejects(verified(other, old.der, 'owner'), { code: 'ERR_CHAIN_UNKNOWN_ISSUER' })
    await verified(
      other,
      (await enrol(other, await requestFor('UNDER-2', newKey().signer))).der,
      'owner',
    )
    await other.authority.rollover({ role: 'operator', rootPassphrase: passphrase })
    const list = parseCertificateList((await other.authority.crl('root')) ?? new Uint8Array())
    assert.ok(list.findRevoked(Buffer.from(serialOf('owner'), 'hex')))
    await (await other.reopen()).close()
  })

  it('of the server CA is refused once a device has pinned it', async () => {
    await assert.rejects(house.authority.rollover({ role: 'server', rootPassphrase: passphrase }), {
      code: 'ERR_ROLLOVER_PINNED',
    })
    const fresh = await makeHouse()
    try {
      const first = fresh.authority.serverAnchor()
      const { fingerprint } = await fresh.authority.serverCredential()
      await fresh.authority.rollover({ role: 'server', rootPassphrase: passphrase })
      assert.notEqual(fresh.authority.serverAnchor(), first)
      assert.notEqual((await fresh.authority.serverCredential()).fingerprint, fingerprint)
    } finally {
      await fresh.close()
    }
  })
})

describe('a CA of the house', () => {
  it('is never taken for a foreign maker: each role has its own anchor', async () => {
    for (const { der, name } of house.authority.cas())
      await assert.rejects(
        house.registry.addAnchor({ der }),
        ({ code }: { code?: string }) => code === 'ERR_ANCHOR_HOUSE',
        name,
      )
  })
})
