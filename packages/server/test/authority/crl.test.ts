/** CRLs: complete at once, signed together, numbered for ever, and as large as a fleet. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fromHex, hex, pem } from '@countersign/core/codec'
import { type CertificateList, parseCertificateList } from '@countersign/core/credential'
import { softwareSigner } from '@countersign/element/softwareSigner'
import { signCrl } from '../../src/authority/crl.ts'
import { refreshMs, validityMs } from '../../src/authority/crlPublisher.ts'
import { decodeCa } from '../../src/authority/founding.ts'
import { type Revocation, RevokedList } from '../../src/authority/revokedList.ts'
import { enrol } from './estClient.ts'
import { missing, openssl } from './foreign.ts'
import { day, type House, makeHouse, newKey, requestFor } from './house.ts'

let folder: string
let count = 0

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'crl-'))
})

after(async () => {
  await rm(folder, { recursive: true, force: true })
})

async function listOf(house: House, name = 'owner'): Promise<CertificateList> {
  const der = await house.authority.crl(name)
  assert.ok(der)
  return parseCertificateList(der)
}

/** Enrols a device; returns the serial number of its certificate. */
async function newCertificate(house: House): Promise<string> {
  const csr = await requestFor(`CRL-${++count}`, newKey().signer)
  return hex((await enrol(house, csr)).serial)
}

async function withHouse(run: (house: House) => Promise<House | void>): Promise<void> {
  const house = await makeHouse()
  let last: House = house
  try {
    last = (await run(house)) ?? house
    assert.deepEqual(last.logged, [])
  } finally {
    await last.close()
  }
}

describe('a published CRL', () => {
  it('has every revocation that was made before it was asked for, and its reason', () =>
    withHouse(async (house) => {
      const reasons = ['unspecified', 'keyCompromise', 'superseded', 'privilegeWithdrawn'] as const
      const serials: string[] = []
      for (const reason of reasons) {
        const serial = await newCertificate(house)
        await house.registry.revokeCertificate(serial, reason)
        serials.push(serial)
        assert.ok((await listOf(house)).findRevoked(fromHex(serial)))
      }
      const list = await listOf(house)
      assert.equal(list.entryCount, reasons.length)
      for (const [index, serial] of serials.entries()) {
        const entry = list.findRevoked(fromHex(serial))
        const reason = reasons[index] === 'unspecified' ? undefined : reasons[index]
        assert.equal(entry?.reason, reason)
        assert.equal(entry?.revokedAt, Math.floor(house.clock.now() / 1000) * 1000)
      }
      // Another CA's list knows nothing of it.
      assert.equal((await listOf(house, 'server')).entryCount, 0)
    }))

  it('is signed again only when something changed or a day is over, each time with a higher number', () =>
    withHouse(async (house) => {
      const first = await house.authority.crl('owner')
      assert.equal(await house.authority.crl('owner'), first)
      const { crlNumber, thisUpdate, nextUpdate } = await listOf(house)
      assert.equal(nextUpdate, thisUpdate + validityMs)
      house.clock.time += refreshMs
      const next = await listOf(house)
      assert.equal(next.crlNumber, (crlNumber ?? 0n) + 1n)
      assert.ok(next.thisUpdate > thisUpdate)
    }))

  it('takes many revocations into one signature when it publishes by itself', () =>
    withHouse(async (house) => {
      await house.authority.start(() => undefined)
      const first = await listOf(house)
      const serials = [
        await newCertificate(house),
        await newCertificate(house),
        await newCertificate(house),
      ]
      await Promise.all(serials.map((one) => house.registry.revokeCertificate(one, 'superseded')))
      house.timers.fire()
      const second = await listOf(house)
      assert.equal(second.entryCount, 3)
      assert.equal(second.crlNumber, (first.crlNumber ?? 0n) + 1n)
      assert.equal((await listOf(house)).crlNumber, second.crlNumber)
    }))

  it('has all certificates of a revoked device', () =>
    withHouse(async (house) => {
      const serial = await newCertificate(house)
      await listOf(house)
      const device = await house.registry.find(`CRL-${count}`)
      await house.registry.suspend(device.id, 'lost')
      // Suspension is the registry's own affair: it can end, and a CRL entry cannot.
      assert.equal((await listOf(house)).entryCount, 0)
      await house.registry.revoke(device.id, 'keyCompromise')
      assert.equal((await listOf(house)).findRevoked(fromHex(serial))?.reason, 'keyCompromise')
    }))

  it('survives a restart as it is, and is signed anew when the file is gone, damaged or behind', () =>
    withHouse(async (house) => {
      const serial = await newCertificate(house)
      await house.registry.revokeCertificate(serial, 'superseded')
      const first = await house.authority.crl('owner')
      let now = await house.reopen()
      assert.deepEqual(
        Buffer.from((await now.authority.crl('owner')) ?? ''),
        Buffer.from(first ?? ''),
      )
      const file = join(house.directory, 'crl', 'owner.crl')
      const bytes = await readFile(file)
      const numbers: (bigint | undefined)[] = [(await listOf(now)).crlNumber]
      const damages: readonly (() => Promise<void>)[] = [
        () => rm(file),
        () => writeFile(file, bytes.subarray(0, 40)),
        () => writeFile(file, bytes),
      ]
      for (const damage of damages) {
        await damage()
        now = await now.reopen()
        const list = await listOf(now)
        assert.ok(list.findRevoked(fromHex(serial)))
        numbers.push(list.crlNumber)
      }
      assert.deepEqual(numbers, [1n, 2n, 3n, 4n])
      // Revoked and then killed before anything was published.
      const late = await newCertificate(now)
      await now.registry.revokeCertificate(late, 'keyCompromise')
      now = await now.reopen()
      assert.ok((await listOf(now)).findRevoked(fromHex(late)))
      return now
    }))

  it('keeps an expired certificate on one more list, then drops it (RFC 5280 §3.3)', () =>
    withHouse(async (house) => {
      const serial = await newCertificate(house)
      await house.registry.revokeCertificate(serial, 'superseded')
      await listOf(house)
      const { validityDays } = await house.registry.product('default')
      house.clock.time += (validityDays + 1) * day
      assert.ok((await listOf(house)).findRevoked(fromHex(serial)))
      house.clock.time += day
      assert.equal((await listOf(house)).entryCount, 0)
      const again = await house.reopen()
      house.clock.time += day
      assert.equal((await listOf(again)).entryCount, 0)
      return again
    }))

  it('signed by a clock that was ahead is signed again when the clock is right, and misses nothing', () =>
    withHouse(async (house) => {
      const serial = await newCertificate(house)
      await house.registry.revokeCertificate(serial, 'keyCompromise')
      const right = house.clock.time
      const { validityDays } = await house.registry.product('default')
      // Twice, and far: the second list leaves out what seems to have expired.
      house.clock.time = right + (validityDays + 1) * day
      await listOf(house)
      house.clock.time += 2 * day
      const ahead = await listOf(house)
      assert.equal(ahead.entryCount, 0)
      house.clock.time = right
      const list = await listOf(house)
      assert.ok(list.thisUpdate <= right)
      assert.ok(list.findRevoked(fromHex(serial)))
      assert.ok((list.crlNumber ?? 0n) > (ahead.crlNumber ?? 0n))
      assert.equal((await listOf(house)).crlNumber, list.crlNumber)
    }))

  it('signed by a clock that was ahead is signed again after a restart too', () =>
    withHouse(async (house) => {
      const serial = await newCertificate(house)
      await house.registry.revokeCertificate(serial, 'keyCompromise')
      const right = house.clock.time
      house.clock.time = right + 300 * day
      await listOf(house)
      house.clock.time += 2 * day
      await listOf(house)
      house.clock.time = right
      const again = await house.reopen()
      const list = await listOf(again)
      assert.ok(list.thisUpdate <= right)
      assert.ok(list.findRevoked(fromHex(serial)))
      return again
    }))

  it('is kept by a house whose disk is full, and signed when there is room again', () =>
    withHouse(async (house) => {
      await house.authority.start(() => undefined)
      const first = await listOf(house)
      const folderOfCrls = join(house.directory, 'crl')
      const serial = await newCertificate(house)
      await house.registry.revokeCertificate(serial, 'superseded')
      await rm(folderOfCrls, { recursive: true })
      await assert.rejects(house.authority.crl('owner'), { code: 'ENOENT' })
      await mkdir(folderOfCrls)
      const second = await listOf(house)
      assert.ok(second.findRevoked(fromHex(serial)))
      assert.ok((second.crlNumber ?? 0n) > (first.crlNumber ?? 0n))
    }))
})

describe('a CRL of 100,000', () => {
  it('is read whole by OpenSSL, which finds a revoked certificate in it', {
    skip: missing('openssl'),
  }, async () => {
    const house = await makeHouse()
    try {
      const row = house.authority.cas().find((one) => one.name === 'owner')
      const root = house.authority.cas().find((one) => one.name === 'root')
      assert.ok(row && root)
      const leaf = await enrol(house, await requestFor('BIG', newKey().signer))
      const list = new RevokedList()
      const now = house.clock.now()
      const revoke = (serial: string): boolean =>
        list.add({ serial, revokedAt: now, reason: null, notAfter: now + day } satisfies Revocation)
      for (let entry = 1; entry < 100_000; entry++) revoke(`40${randomBytes(15).toString('hex')}`)
      revoke(hex(leaf.serial))
      assert.equal(list.size, 100_000)
      const { certificate, keyId } = decodeCa(row.der)
      const der = await signCrl(
        {
          issuer: certificate.subject.der,
          keyId,
          number: 7,
          thisUpdate: now,
          nextUpdate: now + day,
          revoked: list,
        },
        softwareSigner(await house.vault.openKey(row.keyFile)),
      )
      // 16-byte serial numbers: 35 bytes an entry.
      assert.equal(list.byteLength, 3_500_000)
      const file = join(folder, 'big.pem')
      await writeFile(file, pem('X509 CRL', der))
      const { text } = await openssl('crl', '-in', file, '-noout', '-text')
      assert.equal(text.match(/Serial Number: /g)?.length, 100_000)
      assert.match(text, /X509v3 CRL Number: \s+7\n/)
      const [leafFile, caFile, rootFile] = [
        join(folder, 'leaf.pem'),
        join(folder, 'ca.pem'),
        join(folder, 'root.pem'),
      ]
      await writeFile(leafFile, pem('CERTIFICATE', leaf.der))
      await writeFile(caFile, pem('CERTIFICATE', row.der))
      await writeFile(rootFile, pem('CERTIFICATE', root.der))
      const verdict = await openssl(
        'verify',
        '-x509_strict',
        '-crl_check',
        '-CRLfile',
        file,
        '-CAfile',
        rootFile,
        '-untrusted',
        caFile,
        leafFile,
      )
      assert.match(verdict.text, /certificate revoked/)
    } finally {
      await house.close()
    }
  })
})
