/**
 * Anchors of foreign makers and their certificates at the door of enrolment: chains by openssl,
 * judged by the real judge.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { VerifiedPeer } from '@countersign/core/credential'
import { missing } from '../authority/foreign.ts'
import { makeHouse, type House as RealHouse, verified } from '../authority/house.ts'
import { newDeviceRequest, openHouse } from './house.ts'

describe('foreign makers', { skip: missing('openssl') }, () => {
  let dir: string
  let house: RealHouse
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'countersign-maker-'))
    // openssl dates its certificates by the clock of the machine: the house lives an hour later.
    house = await makeHouse({ now: Date.now() + 3_600_000 })
    ca('acme')
  })
  after(async () => {
    await house.close()
    await rm(dir, { recursive: true })
  })

  const openssl = (...args: string[]): void => {
    const { status, stderr } = spawnSync('openssl', args, { cwd: dir })
    assert.equal(status, 0, String(stderr))
  }
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  const ca = (name: string): void => {
    const usage = ['-addext', 'keyUsage=critical,keyCertSign,cRLSign']
    openssl(
      'req',
      '-x509',
      ...newKey,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.pem`,
      '-subj',
      `/CN=${name}`,
      '-days',
      '30',
      ...usage,
    )
    openssl('x509', '-in', `${name}.pem`, '-outform', 'DER', '-out', `${name}.der`)
  }
  const leaf = async (serial: string, name = `leaf-${serial}`): Promise<Uint8Array> => {
    openssl(
      'req',
      '-new',
      ...newKey,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.csr`,
      '-subj',
      `/O=Acme/serialNumber=${serial}`,
    )
    await writeFile(
      join(dir, 'ext'),
      'keyUsage=critical,digitalSignature\nauthorityKeyIdentifier=keyid\n',
    )
    openssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      '-CA',
      'acme.pem',
      '-CAkey',
      'acme.key',
      '-CAcreateserial',
      '-days',
      '20',
      '-extfile',
      'ext',
      '-outform',
      'DER',
      '-out',
      `${name}.der`,
    )
    return readFile(join(dir, `${name}.der`))
  }
  const anchorDer = (): Promise<Uint8Array> => readFile(join(dir, 'acme.der'))
  const peer = async (serial: string, name?: string): Promise<VerifiedPeer> =>
    verified(house, await leaf(serial, name), 'maker')

  test('an anchor is added once, with its scope, and taken away again', async () => {
    const der = await anchorDer()
    const row = await house.registry.addAnchor({ der, serialPattern: 'AC-*', assuranceCap: 2 })
    assert.deepEqual([row.role, row.origin, row.assuranceCap], ['maker', 'foreign', 2])
    await assert.rejects(house.registry.addAnchor({ der }), { code: 'ERR_ANCHOR_EXISTS' })
    assert.equal((await house.registry.listAnchors('maker')).length, 2)
    await house.registry.removeAnchor(row.fingerprint)
    assert.equal((await house.registry.listAnchors('maker')).length, 1)
    await assert.rejects(house.registry.removeAnchor(row.fingerprint), {
      code: 'ERR_ANCHOR_UNKNOWN',
    })
  })

  test('what is no CA, no certificate, of no product, or the house’s own is refused', async () => {
    const der = await anchorDer()
    const { registry } = house
    await assert.rejects(registry.addAnchor({ der: await leaf('AC-0') }), {
      code: 'ERR_ANCHOR_NOT_A_CA',
    })
    await assert.rejects(registry.addAnchor({ der: Uint8Array.of(0x30, 0x00) }))
    await assert.rejects(registry.addAnchor({ der, product: 'none' }), {
      code: 'ERR_PRODUCT_UNKNOWN',
    })
    for (const role of ['owner', 'server', 'operator'] as const)
      await assert.rejects(registry.addAnchor({ der, role }), { code: 'ERR_ANCHOR_ROLE' })
    const [own] = await registry.listAnchors('owner')
    await assert.rejects(registry.removeAnchor(own?.fingerprint ?? ''), {
      code: 'ERR_ANCHOR_HOUSE',
    })
  })

  test('a maker’s device may become a new device, comes again as itself, and sends nothing with that certificate', async () => {
    const { registry } = house
    await registry.addProduct('acme', {})
    const { fingerprint } = await registry.addAnchor({
      der: await anchorDer(),
      product: 'acme',
      assuranceCap: 1,
    })
    const one = await peer('AC-1')
    assert.deepEqual(await registry.admitMaker(one), {
      kind: 'newDevice',
      product: 'acme',
      serial: 'AC-1',
      assuranceMax: 1,
    })
    await assert.rejects(registry.admit(one, 'https'), { code: 'ERR_CREDENTIAL_NOT_ALLOWED' })
    const { serial, device } = await registry.reserve(requestOf(one, 'AC-1'))
    await registry.issued(serial, Uint8Array.of(1), 'a'.repeat(64))
    const again = await registry.admitMaker(one)
    assert.ok(again.kind === 'device')
    assert.equal(again.device.id, device?.id)
    await assert.rejects(
      peer('AC-1', 'copy').then((copy) => registry.admitMaker(copy)),
      {
        code: 'ERR_SERIAL_USED',
      },
    )
    await registry.suspend(device?.id ?? '', 'x')
    await assert.rejects(registry.admitMaker(one), { code: 'ERR_DEVICE_SUSPENDED' })
    await registry.removeAnchor(fingerprint)
  })

  const requestOf = (maker: VerifiedPeer, serial: string): ReturnType<typeof newDeviceRequest> =>
    newDeviceRequest(
      { now: house.clock.now() },
      { serial, product: 'acme', request: `maker:${maker.fingerprint}`, eui64: undefined },
    )
})

test('a registry without a maker’s certificate turns an owner’s certificate away from enrolment', async () => {
  const house = await openHouse()
  const peer = { role: 'owner', anchor: { origin: 'house', scope: {} } }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- outside the judge nobody can make one
  await assert.rejects(house.registry.admitMaker(peer as unknown as VerifiedPeer), {
    code: 'ERR_CREDENTIAL_NOT_ALLOWED',
  })
  await house.dispose()
})
