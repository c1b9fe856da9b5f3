/** What the client sends: no record beyond what the server said (RFC 8449), under keys of the time. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { ChannelCrypto, SecretKey } from '@countersign/core/ports'
import { nodeCrypto } from '@countersign/element/nodeCrypto'
import { extension, u16 } from '../puppetBytes.ts'
import * as steps from '../puppetSteps.ts'
import { clientCa, clientEntity } from '../puppetWorld.ts'
import { assertOpen, assertRefused, fixedCrypto, opened, Talk, talk } from './conversation.ts'

const content = Buffer.alloc(40_000, 'abcdefg')

function limited(limit: number): Promise<Talk> {
  const extensions = steps.encryptedExtensions(extension('record_size_limit', 28, u16(limit)))
  return talk({ flights: [steps.fullFlight.toSpliced(2, 1, extensions)] })
}

suite("the server's record_size_limit", () => {
  for (const limit of [64, 65, 500, 16_384, 16_385]) {
    test(`of ${limit} holds for each record of the client`, async () => {
      const talked = await limited(limit)
      assertOpen(talked)
      // The certificates alone are longer than the least limits.
      const shown = [clientEntity.certificate.der, clientCa.certificate.der]
      assert.deepEqual(
        talked.puppet.clientChain,
        shown.map((der) => Buffer.from(der)),
      )
      talked.client.write(content)
      assert.deepEqual(Buffer.concat(talked.puppet.data), content)
      assert.equal(Math.max(...talked.puppet.innerLengths), limit)
    })
  }

  test('below 64 is refused', async () => {
    const illegal = { alert: 'illegal_parameter', code: 'ERR_TLS_ILLEGAL_PARAMETER' }
    for (const limit of [0, 1, 2, 63]) assertRefused(await limited(limit), illegal, `${limit}`)
  })

  test('beyond what TLS has allows no more than TLS', async () => {
    for (const limit of [16_386, 65_535]) {
      const talked = await limited(limit)
      assertOpen(talked)
      talked.client.write(content)
      assert.equal(Math.max(...talked.puppet.innerLengths), 16_385)
    }
  })

  test('is that of TLS where the server has none', async () => {
    const talked = await opened()
    talked.client.write(content)
    assert.equal(Math.max(...talked.puppet.innerLengths), 16_385)
    assert.deepEqual(Buffer.concat(talked.puppet.data), content)
  })
})

suite('keys', () => {
  test('may be new as often as the client likes', async () => {
    const talked = await opened()
    for (let index = 0; index < 100; index++) {
      talked.client.updateKeys()
      talked.client.write(Buffer.of(index))
    }
    assert.deepEqual(
      Buffer.concat(talked.puppet.data),
      Buffer.from(Array.from({ length: 100 }, (_, index) => index)),
    )
    assert.equal(talked.puppet.unreadable, 0)
    assertOpen(talked)
  })

  test('are worn out after so many records, and new before the next (RFC 8446 §5.5)', async () => {
    const keys: SecretKey[] = []
    const sealed: string[] = []
    const crypto: ChannelCrypto = {
      ...fixedCrypto,
      sealPieces(aead, key, nonce, aad, ...pieces) {
        if (!keys.includes(key)) keys.push(key)
        sealed.push(`${keys.indexOf(key)}: ${Buffer.concat(pieces).toString('hex')}`)
        return nodeCrypto.sealPieces?.(aead, key, nonce, aad, ...pieces) ?? []
      },
    }
    const talked = await opened(
      [],
      {},
      { crypto, policy: { groups: ['x25519'], recordsPerKeyMax: 3 } },
    )
    sealed.length = 0
    keys.length = 0
    for (const byte of [1, 2, 3, 4, 5, 6]) talked.client.write(Buffer.of(byte))
    // KeyUpdate, update_not_requested: the last one under its key.
    const update = '180000010016'
    const first = ['0: 0117', '0: 0217', '0: 0317', `0: ${update}`]
    assert.deepEqual(sealed, [...first, '1: 0417', '1: 0517', '1: 0617'])
    assert.deepEqual(Buffer.concat(talked.puppet.data), Buffer.of(1, 2, 3, 4, 5, 6))
    assert.equal(talked.puppet.unreadable, 0)
  })

  test('are of their time also where long data goes out in pieces', async () => {
    const written: number[] = []
    const sendPieces = (pieces: readonly Uint8Array[]): void => void written.push(pieces.length)
    const talked = await new Talk({}, {}, { sendPieces }).start()
    talked.client.write(content)
    // Asked for by the server, and owed before the next data.
    await talked.run(steps.keyUpdate(1))
    talked.client.write(content)
    talked.client.write(Buffer.from('short'))
    assert.deepEqual(
      Buffer.concat(talked.puppet.data),
      Buffer.concat([content, content, Buffer.from('short')]),
    )
    assert.equal(talked.puppet.unreadable, 0)
    const [first = 0, second] = written
    assert.equal(second, first + 1)
    assert.equal(written.length, 2)
    assertOpen(talked)
  })

  test('of the exporter are those of the server', async () => {
    const talked = await opened()
    const label = 'EXPORTER-Channel-Binding'
    const exported = talked.client.exporter(label, Buffer.alloc(0), 32)
    assert.deepEqual(Buffer.from(exported), talked.puppet.exported(label, Buffer.alloc(0), 32))
  })
})
