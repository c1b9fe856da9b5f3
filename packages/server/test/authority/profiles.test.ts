import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { pem } from '@countersign/core/codec'
import { encodeSubjectAltName, macAddressName } from '@countersign/core/credential'
import { certtool, missing, openssl } from './foreign.ts'
import { day, type House, makeHouse, newKey, requestFor } from './house.ts'

let house: House
let folder: string

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'profiles-'))
  house = await makeHouse({ crlBase: 'http://crl.example.com/crl' })
})

after(async () => {
  await house.close()
  await rm(folder, { recursive: true, force: true })
})

async function file(name: string, ...certificates: readonly Uint8Array[]): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, certificates.map((der) => pem('CERTIFICATE', der)).join(''))
  return path
}

async function crlFile(name: string): Promise<string> {
  const path = join(folder, `${name}.crl.pem`)
  const der = await house.authority.crl(name)
  assert.ok(der)
  await writeFile(path, pem('X509 CRL', der))
  return path
}

describe('the CAs', () => {
  it('are one root and one issuing CA a role, of one house and never of two roles', async () => {
    const rows = house.authority.cas()
    assert.deepEqual(rows.map((row) => row.name).toSorted(), [
      'maker',
      'operator',
      'owner',
      'root',
      'server',
    ])
    const keys = rows.map((row) => row.keyFile)
    assert.equal(new Set(keys).size, 5)
    const anchors = await house.registry.listAnchors()
    assert.deepEqual(anchors.map((row) => row.role).toSorted(), [
      'maker',
      'operator',
      'owner',
      'server',
    ])
  })
})
