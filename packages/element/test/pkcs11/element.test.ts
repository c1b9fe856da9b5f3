/** A token as an element: SoftHSM, with pkcs11-tool and OpenSSL as those who know better. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  createECDH,
  createHash,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  verify,
} from 'node:crypto'
import { suite, test } from 'node:test'
import { openPkcs11Element, type Pkcs11Element } from '../../src/drivers/pkcs11/index.ts'
import { elementSigner } from '../../src/signer.ts'
import { skip, softTokens } from './softhsm.ts'

suite('a PKCS#11 token as an element', { skip }, () => {
  const make = softTokens()
  const token = skip === false ? make('dev') : undefined

  async function opened(object: string): Promise<Pkcs11Element> {
    assert.ok(token !== undefined)
    return await openPkcs11Element(token.url(object))
  }

  /** What pkcs11-tool reads of the public half: a SubjectPublicKeyInfo. */
  function spkiByTool(label: string): Buffer {
    assert.ok(token !== undefined)
    return token.tool('--read-object', '--type', 'pubkey', '--label', label)
  }

  test('pkcs11-tool reads the public key that the element answered', async () => {
    const element = await opened('made')
    const point = await element.generateKey(0)
    assert.deepEqual(Buffer.from(point), spkiByTool('made').subarray(-64))
    assert.deepEqual(await element.publicKey(0), point)
    await element.close()
  })

  test('a key made here never leaves the token, as pkcs11-tool sees it', async () => {
    const element = await opened('inside')
    await element.generateKey(2)
    const [listed = ''] =
      token
        ?.tool('--list-objects', '--type', 'privkey')
        .toString()
        .split(/(?=Private Key Object)/)
        .filter((text) => text.includes('inside-2')) ?? []
    assert.match(listed, /Usage:.* sign,.* derive$/m)
    assert.match(listed, /Access:\s+sensitive, always sensitive, never extracta?ble, local/)
    await element.close()
  })

  test('OpenSSL verifies what the token signs, as r || s and as DER', async () => {
    const element = await opened('signing')
    await element.generateKey(0)
    const key = createPublicKey({ key: spkiByTool('signing'), format: 'der', type: 'spki' })
    const message = Buffer.from('a reading')
    const digest = createHash('sha256').update(message).digest()
    for (let turn = 0; turn < 20; turn++) {
      const raw = await element.sign(0, digest)
      assert.equal(raw.length, 64)
      assert.ok(verify('sha256', message, { key, dsaEncoding: 'ieee-p1363' }, raw))
    }
    const signer = await elementSigner(element, 0)
    assert.ok(verify('sha256', message, key, await signer.sign(message)))
    await element.close()
  })

  test('a key that pkcs11-tool made is found and used', async () => {
    token?.tool(
      '--keypairgen',
      '--key-type',
      'EC:prime256v1',
      '--label',
      'foreign',
      '--id',
      '0a',
      '--usage-sign',
    )
    const element = await opened('foreign')
    assert.deepEqual(Buffer.from(await element.publicKey(0)), spkiByTool('foreign').subarray(-64))
    const message = Buffer.from('by a foreign key')
    const signature = await element.sign(0, createHash('sha256').update(message).digest())
    const key = createPublicKey({ key: spkiByTool('foreign'), format: 'der', type: 'spki' })
    assert.ok(verify('sha256', message, { key, dsaEncoding: 'ieee-p1363' }, signature))
    await element.close()
  })

  test('a key that may leave the token is told, and another may take its place', async () => {
    token?.tool(
      '--keypairgen',
      '--key-type',
      'EC:prime256v1',
      '--label',
      'loose',
      '--id',
      '0b',
      '--extractable',
    )
    const element = await opened('loose')
    const [loose] = await element.slots()
    assert.equal(loose?.state, 'key')
    assert.equal(loose?.isExposed, true)
    assert.equal(loose?.canGenerate, true)
    await element.generateKey(0)
    assert.equal((await element.slots())[0]?.isExposed, false)
    await element.close()
  })

  test('the shared secret is the one that OpenSSL computes', async () => {
    const element = await opened('agreeing')
    const point = await element.generateKey(1)
    const peer = createECDH('prime256v1')
    const peerPoint = peer.generateKeys().subarray(1)
    const expected = peer.computeSecret(Buffer.concat([Buffer.of(4), point]))
    assert.deepEqual(Buffer.from((await element.ecdh?.(1, peerPoint)) ?? []), expected)
    await element.close()
  })

  test('a point off the curve is refused before the token sees it', async () => {
    const element = await opened('agreeing')
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const point = publicKey.export({ format: 'der', type: 'spki' }).subarray(-64)
    for (let bit = 0; bit < 512; bit++) {
      const bent = Buffer.from(point)
      bent[bit >> 3] = (bent[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      await assert.rejects(element.ecdh?.(1, bent) ?? Promise.resolve(), {
        code: 'ERR_ELEMENT_ECC',
      })
    }
    await assert.rejects(element.ecdh?.(1, point.subarray(1)) ?? Promise.resolve(), {
      code: 'ERR_ELEMENT_ARGUMENT',
    })
    await element.close()
  })

  test('a new key in a slot replaces the old one, and one pair is left', async () => {
    const element = await opened('again')
    const first = await element.generateKey(0)
    const second = await element.generateKey(0)
    assert.notDeepEqual(first, second)
    assert.deepEqual(await element.publicKey(0), second)
    const listed = token?.tool('--list-objects').toString() ?? ''
    assert.equal(listed.match(/label: +again$/gm)?.length, 2)
    await element.close()
  })

  test('two made at once under one label leave one', async () => {
    const element = await opened('twice')
    await Promise.all([element.generateKey(0), element.generateKey(0), element.generateKey(0)])
    const listed = token?.tool('--list-objects').toString() ?? ''
    assert.equal(listed.match(/label: +twice$/gm)?.length, 2)
    await element.close()
  })

  test('two keys of one label are refused until one is made anew', async () => {
    for (const id of ['21', '22']) {
      token?.tool('--keypairgen', '--key-type', 'EC:prime256v1', '--label', 'double', '--id', id)
    }
    const element = await opened('double')
    await assert.rejects(element.publicKey(0), { code: 'ERR_ELEMENT_CONFIG' })
    assert.equal((await element.slots())[0]?.state, 'unknown')
    await element.generateKey(0)
    assert.equal((await element.slots())[0]?.state, 'key')
    await element.close()
  })

  test('a key of another curve is shown, and not used', async () => {
    token?.tool('--keypairgen', '--key-type', 'EC:secp384r1', '--label', 'large', '--id', '30')
    const element = await opened('large')
    assert.equal((await element.slots())[0]?.state, 'unknown')
    await assert.rejects(element.sign(0, new Uint8Array(32)), { code: 'ERR_ELEMENT_CONFIG' })
    await element.close()
  })

  test('a key outlives the element, and is found by another', async () => {
    const first = await opened('kept')
    const point = await first.generateKey(3)
    await first.close()
    const second = await opened('kept')
    assert.deepEqual(await second.publicKey(3), point)
    assert.deepEqual(
      (await second.slots()).map(({ state, label }) => [label, state]),
      [
        ['kept', 'empty'],
        ['kept-1', 'empty'],
        ['kept-2', 'empty'],
        ['kept-3', 'key'],
      ],
    )
    await second.close()
  })

  test('it says what it is, and what its owner called it', async () => {
    const element = await opened('made')
    const info = await element.info()
    const listed = execFileSync('softhsm2-util', ['--show-slots']).toString()
    const serial = /Serial number:\s+(\w+)\s+Initialized:\s+yes/.exec(listed)?.[1]
    assert.equal(info.kind, 'pkcs11')
    assert.equal(info.vendor, 'SoftHSM project')
    assert.equal(info.label, 'dev')
    assert.equal(info.serial, serial)
    assert.deepEqual(info.capabilities, ['ecdh', 'ephemeral'])
    await element.close()
  })

  test('a digest of another length, a slot that is none and an empty slot are refused', async () => {
    const element = await opened('bounds')
    await assert.rejects(element.sign(0, new Uint8Array(20)), { code: 'ERR_ELEMENT_DIGEST' })
    for (const slot of [-1, 4, 0.5, Number.NaN]) {
      await assert.rejects(element.publicKey(slot), { code: 'ERR_ELEMENT_SLOT' })
      await assert.rejects(element.generateKey(slot), { code: 'ERR_ELEMENT_SLOT' })
    }
    await assert.rejects(element.sign(1, new Uint8Array(32)), { code: 'ERR_ELEMENT_SLOT_EMPTY' })
    await element.close()
  })

  test('random bytes are as many as were asked for, and different each time', async () => {
    const element = await opened('made')
    const seen = new Set<string>()
    for (let turn = 0; turn < 50; turn++) {
      const bytes = await element.random(32)
      assert.equal(bytes.length, 32)
      seen.add(Buffer.from(bytes).toString('hex'))
    }
    assert.equal(seen.size, 50)
    for (const length of [-1, 65_537, 1.5]) {
      await assert.rejects(element.random(length), { code: 'ERR_ELEMENT_ARGUMENT' })
    }
    await element.close()
  })

  test('the two halves of an agreement agree through two tokens', async () => {
    const [one, other] = [await opened('left'), await opened('right')]
    const [leftPoint, rightPoint] = [await one.generateKey(0), await other.generateKey(0)]
    const left = await one.ecdh?.(0, rightPoint)
    assert.deepEqual(left, await other.ecdh?.(0, leftPoint))
    const ephemeral = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const publicKey = createPublicKey({ key: spkiByTool('left'), format: 'der', type: 'spki' })
    const point = ephemeral.publicKey.export({ format: 'der', type: 'spki' }).subarray(-64)
    assert.deepEqual(
      Buffer.from((await one.ecdh?.(0, point)) ?? []),
      diffieHellman({ privateKey: ephemeral.privateKey, publicKey }),
    )
    await one.close()
    await other.close()
  })
})
