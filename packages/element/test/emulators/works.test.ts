/** The works of emulated parts: what they certify, and what a verifier makes of it. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { pem } from '@countersign/core/codec'
import { parseCertificate, purposes, serialNumberOf } from '@countersign/core/credential'
import { openWorks, worksCertificateBytesMax } from '@countersign/element/emulatorWorks'

const folder = mkdtempSync(join(tmpdir(), 'works-'))
after(() => rmSync(folder, { recursive: true }))

const serial = '0123456789abcdefee'

function newPoint(): Uint8Array {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }).subarray(-64))
}

suite('the works of emulated parts', () => {
  test('are made once, in a file that only its owner reads', async () => {
    const path = join(folder, 'once.json')
    const [first, second] = await Promise.all([openWorks(path), openWorks(path)])
    assert.deepEqual(first.root, second.root)
    assert.deepEqual((await openWorks(path)).root, first.root)
    assert.equal(statSync(path).mode & 0o777, 0o600)
  })

  test('certify an attestation key by its part, and every certificate says emulator', async () => {
    const works = await openWorks(join(folder, 'works.json'))
    const point = newPoint()
    const leaf = parseCertificate(await works.certify(serial, point))
    assert.equal(serialNumberOf(leaf.subject), serial)
    assert.deepEqual(leaf.spki.keyBytes.subarray(1), point)
    for (const one of [leaf, parseCertificate(works.root)]) {
      assert.deepEqual(one.extensions.extKeyUsage, [purposes.emulatorAttestation])
    }
  })

  test('OpenSSL finds the chain good', async () => {
    const works = await openWorks(join(folder, 'works.json'))
    const [root, leaf] = [join(folder, 'root.pem'), join(folder, 'leaf.pem')]
    writeFileSync(root, pem('CERTIFICATE', works.root))
    writeFileSync(leaf, pem('CERTIFICATE', await works.certify(serial, newPoint())))
    const ran = spawnSync('openssl', ['verify', '-x509_strict', '-CAfile', root, leaf])
    assert.equal(ran.status, 0, String(ran.stderr))
  })

  test('a certificate fits into slot 8, however its signature falls', async () => {
    const works = await openWorks(join(folder, 'works.json'))
    let longest = 0
    for (let round = 0; round < 64; round++) {
      longest = Math.max(longest, (await works.certify(serial, newPoint())).length)
    }
    assert.ok(longest <= worksCertificateBytesMax, `${longest} bytes`)
  })

  test('a file that others may read, or that is no works, is refused', async () => {
    const path = join(folder, 'open.json')
    await openWorks(path)
    chmodSync(path, 0o640)
    await assert.rejects(openWorks(path), { code: 'ERR_ELEMENT_MODE' })
    chmodSync(path, 0o600)
    const text = readFileSync(path, 'utf8')
    for (const bad of ['', '{}', text.slice(0, -3), text.replace('"version":1', '"version":2')]) {
      writeFileSync(path, bad)
      await assert.rejects(openWorks(path), { code: 'ERR_ELEMENT_DAMAGED' })
    }
  })

  test('a serial number that is none is refused', async () => {
    const works = await openWorks(join(folder, 'works.json'))
    for (const bad of ['', '0123', 'XY23456789abcdefee', `${serial}00`]) {
      await assert.rejects(works.certify(bad, newPoint()), { code: 'ERR_ELEMENT_ARGUMENT' })
    }
  })
})
