/**
 * The server's own certificate: believed by stock clients, renewed in time, and never lost to a
 * crash.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { connect, createServer } from 'node:tls'
import { parsePem, pem } from '@countersign/core/codec'
import { parseCertificate } from '@countersign/core/credential'
import {
  leafLifetimeMs,
  renewBeforeMs,
  type ServerCredential,
} from '../../src/authority/serverLeaf.ts'
import { day, type House, makeHouse } from './house.ts'

let house: House

before(async () => {
  house = await makeHouse({ hosts: ['localhost', 'server.example.com', '127.0.0.1'] })
})

after(async () => {
  await house.close()
})

async function keyFiles(): Promise<readonly string[]> {
  const files = await readdir(join(house.directory, 'keys'))
  return files.filter((file) => file.startsWith('server-tls-'))
}

describe("the server's leaf", () => {
  it('is shown with its issuing CA and believed by a stock client that has the root', async () => {
    const { chainPem, keyPem } = await house.authority.serverCredential()
    assert.equal(parsePem(chainPem).length, 2)
    const root = house.authority.cas().find((row) => row.name === 'root')
    assert.ok(root)
    const server = createServer({ cert: chainPem, key: keyPem }, (socket) => socket.end('hello'))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    assert.ok(typeof address === 'object' && address !== null)
    try {
      const said = await new Promise<string>((resolve, reject) => {
        const options = {
          host: '127.0.0.1',
          port: address.port,
          servername: 'server.example.com',
          ca: pem('CERTIFICATE', root.der),
        }
        const socket = connect(options, () => assert.ok(socket.authorized))
        socket.on('error', reject)
        socket.on('data', (bytes: Buffer) => resolve(bytes.toString()))
      })
      assert.equal(said, 'hello')
    } finally {
      server.close()
    }
  })

  it('ends in the anchor that devices pin', async () => {
    const { chainPem } = await house.authority.serverCredential()
    const issuing = parsePem(chainPem)[1]
    assert.ok(issuing)
    const spki = parseCertificate(issuing.der).spki.der
    assert.equal(createHash('sha256').update(spki).digest('hex'), house.authority.serverAnchor())
  })

  it('is made once when several ask at once', async () => {
    const other = await makeHouse()
    const leaves = await Promise.all([1, 2, 3].map(() => other.authority.serverCredential()))
    assert.equal(new Set(leaves.map((leaf) => leaf.fingerprint)).size, 1)
    await other.close()
  })

  it('stays the same until it is due, then gets a new key and is told to the doors', async () => {
    const first = await house.authority.serverCredential()
    house.clock.time = first.notAfter - renewBeforeMs - day
    assert.equal((await house.authority.serverCredential()).fingerprint, first.fingerprint)
    assert.equal((await keyFiles()).length, 1)
    const renewed = await new Promise<ServerCredential>((resolve, reject) => {
      house.authority.start(resolve).then(() => {
        house.clock.time += day
        house.timers.fire()
      }, reject)
    })
    assert.notEqual(renewed.keyPem, first.keyPem)
    assert.ok(Math.abs(renewed.notAfter - house.clock.now() - leafLifetimeMs) < 1001)
    // The old key is gone.
    assert.equal((await keyFiles()).length, 1)
    assert.equal((await house.authority.serverCredential()).fingerprint, renewed.fingerprint)
  })

  it('is the same after a restart, and made anew when its key is gone or it was revoked', async () => {
    const first = await house.authority.serverCredential()
    house = await house.reopen()
    assert.equal((await house.authority.serverCredential()).fingerprint, first.fingerprint)
    const [file] = await keyFiles()
    assert.ok(file)
    await house.vault.removeKey(file)
    const second = await house.authority.serverCredential()
    assert.notEqual(second.fingerprint, first.fingerprint)
    const leaf = parseCertificate(parsePem(second.chainPem)[0]?.der ?? new Uint8Array(0))
    await house.registry.revokeCertificate(Buffer.from(leaf.serial).toString('hex'), 'superseded')
    const third = await house.authority.serverCredential()
    assert.notEqual(third.fingerprint, second.fingerprint)
  })

  it('that is revoked is replaced at once, and the doors are told', async () => {
    const other = await makeHouse()
    try {
      const first = await other.authority.serverCredential()
      const shown: ServerCredential[] = []
      await other.authority.start((credential) => shown.push(credential))
      const leaf = parseCertificate(parsePem(first.chainPem)[0]?.der ?? new Uint8Array(0))
      const serial = Buffer.from(leaf.serial).toString('hex')
      await other.registry.revokeCertificate(serial, 'keyCompromise')
      // Whoever asks next waits for the same renewal.
      const { fingerprint } = await other.authority.serverCredential()
      await other.authority.close()
      assert.notEqual(fingerprint, first.fingerprint)
      assert.deepEqual(
        shown.map((one) => one.fingerprint),
        [fingerprint],
      )
      assert.deepEqual(other.logged, [])
    } finally {
      await other.close()
    }
  })

  it('is made anew when the names change', async () => {
    const other = await makeHouse({ hosts: ['one.example.com'] })
    const first = await other.authority.serverCredential()
    const changed = await other.reopen({ hosts: ['one.example.com', '2001:db8::7'] })
    try {
      const second = await changed.authority.serverCredential()
      assert.notEqual(second.fingerprint, first.fingerprint)
      const leaf = parseCertificate(parsePem(second.chainPem)[0]?.der ?? new Uint8Array(0))
      assert.deepEqual(
        leaf.extensions.subjectAltName?.map((name) => name.kind),
        ['dns', 'ip'],
      )
    } finally {
      await changed.close()
    }
  })
})
