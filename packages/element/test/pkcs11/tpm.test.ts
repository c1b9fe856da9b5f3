/**
 * A TPM 2.0 as an element, through tpm2-pkcs11: what is different there from SoftHSM. pkcs11-tool and
 * OpenSSL are those who know better.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createPublicKey, verify } from 'node:crypto'
import { suite, test } from 'node:test'
import { openPkcs11Element, type Pkcs11Element } from '../../src/drivers/pkcs11/index.ts'
import { assertSigns, digest, message } from './signs.ts'
import { modulePath, skip, softTpm, type TpmToken } from './swtpm.ts'

suite('a TPM 2.0 as an element', { skip }, async () => {
  const tpm = skip === false ? await softTpm() : undefined
  const made = (label: string): TpmToken => tpm?.token(label) ?? assert.fail()

  test('a key made here never leaves the TPM, as pkcs11-tool sees it', async () => {
    const token = made('inside')
    const element = await openPkcs11Element(token.url('key'))
    const point = await element.generateKey(0)
    assert.deepEqual(spkiByTool(token, 'key').subarray(-64), Buffer.from(point))
    const [listed = ''] = token
      .tool('--list-objects', '--type', 'privkey')
      .toString()
      .split(/(?=Private Key Object)/)
      .filter((text) => text.includes('Private Key'))
    assert.match(listed, /Access:\s+sensitive, always sensitive, never extracta?ble, local/)
    assert.equal((await element.slots())[0]?.isExposed, false)
    await element.close()
  })

  test('a key that pkcs11-tool made is found and used', async () => {
    const token = made('foreign')
    const how = ['--keypairgen', '--key-type', 'EC:prime256v1', '--label', 'device', '--id', '01']
    token.tool(...how, '--usage-sign')
    const element = await openPkcs11Element(token.url('device'))
    const key = createPublicKey({ key: spkiByTool(token, 'device'), format: 'der', type: 'spki' })
    const signature = await element.sign(0, digest)
    assert.ok(verify('sha256', message, { key, dsaEncoding: 'ieee-p1363' }, signature))
    await element.close()
  })

  test('it agrees on no secret, and says so by the absent member', async () => {
    const element = await openPkcs11Element(made('no-ecdh').url('key'))
    assert.equal('ecdh' in element, false)
    assert.deepEqual((await element.info()).capabilities, [])
    assert.deepEqual((await element.slots())[0]?.uses, ['sign'])
    await element.close()
  })

  // More than the library can take without being begun anew, in keys and in objects of the TPM.
  test('twenty keys in turn leave four, each under its own name', async () => {
    const token = made('turns')
    const element = await openPkcs11Element(token.url('key'))
    const points = new Map<number, Uint8Array>()
    const order = [0, 1, 2, 3, 0, 2, 1, 0, 3, 3, 0, 0, 1, 2, 0, 1, 3, 2, 1, 0]
    for (const slot of order) {
      points.set(slot, await element.generateKey(slot))
      for (const [other, point] of points) {
        assert.deepEqual(await element.publicKey(other), point)
        await assertSigns(element, other)
      }
    }
    const listed = token.tool('--list-objects').toString()
    const labels = [...listed.matchAll(/label: +(\S+)$/gm)].map(([, label]) => label)
    const names = ['key', 'key-1', 'key-2', 'key-3']
    assert.deepEqual(labels.toSorted(), [...names, ...names].toSorted())
    await element.close()
  })

  test('two elements on it both go on while one makes keys', async () => {
    const token = made('beside')
    const one = await openPkcs11Element(token.url('one'))
    const other = await openPkcs11Element(token.url('other'))
    await other.generateKey(0)
    await Promise.all([
      ...Array.from({ length: 3 }, () => one.generateKey(0)),
      ...Array.from({ length: 20 }, () => assertSigns(other)),
    ])
    await assertSigns(one)
    await one.close()
    await assertSigns(other)
    await other.close()
  })

  test('while it signs and makes keys this process does other things', async () => {
    const element = await openPkcs11Element(made('turn').url('key'))
    await element.generateKey(0)
    // So many until it is known to be slow, and to do one thing at a time.
    await atOnce(element, 30)
    const turns = await turnsDuring(() => atOnce(element, 30))
    assert.ok(turns > 30, `${turns} turns of the event loop in 30 signatures`)
    for (let round = 0; round < 10; round++) {
      assert.ok((await turnsDuring(() => element.sign(0, digest))) > 0)
    }
    assert.ok((await turnsDuring(() => element.generateKey(1))) > 0)
    await element.close()
  })

  test('its broker dies and comes back, and one call is lost by it', async () => {
    const element = await openPkcs11Element(made('broker').url('key'))
    await element.generateKey(0)
    for (let round = 0; round < 3; round++) {
      await assertSigns(element)
      tpm?.killBroker()
      await assert.rejects(element.sign(0, digest), { code: 'ERR_ELEMENT_BUS' })
      tpm?.wakeBroker()
      await assertSigns(element)
    }
    await element.close()
  })

  // The last one: it is the TPM that locks itself, with all its tokens.
  test('three wrong PINs lock the TPM for everybody, and its owner unlocks it', async () => {
    const token = made('locked')
    const element = await openPkcs11Element(token.url('key'))
    await element.generateKey(0)
    await assertSigns(element)
    const login = ['--module', modulePath, '--token-label', 'locked', '--login', '--pin', '999999']
    for (let turn = 0; turn < 3; turn++) {
      assert.throws(() => execFileSync('pkcs11-tool', [...login, '-O'], { stdio: 'ignore' }))
    }
    await assert.rejects(element.sign(0, digest), { code: 'ERR_ELEMENT_BUS' })
    const locked = { code: 'ERR_ELEMENT_PIN', hint: /tpm2_dictionarylockout/ }
    await assert.rejects(element.sign(0, digest), locked)
    await assert.rejects(openPkcs11Element(token.url('key')), locked)
    execFileSync('tpm2_dictionarylockout', ['--clear-lockout'], { stdio: 'ignore' })
    await assertSigns(element)
    await element.close()
  })
})

function spkiByTool(token: TpmToken, label: string): Buffer {
  return token.tool('--read-object', '--type', 'pubkey', '--label', label)
}

async function atOnce(element: Pkcs11Element, count: number): Promise<void> {
  await Promise.all(
    Array.from({ length: 2 * count }, (_, i) =>
      i % 2 === 0 ? assertSigns(element) : element.random(32),
    ),
  )
}

/** How often the event loop came round meanwhile. */
async function turnsDuring(work: () => Promise<unknown>): Promise<number> {
  let turns = 0
  let isOver = false
  const turn = (): void => {
    turns++
    if (!isOver) setImmediate(turn)
  }
  setImmediate(turn)
  await work()
  isOver = true
  return turns
}
