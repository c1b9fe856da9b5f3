/** What the client sends: no record beyond what the server said (RFC 8449), under keys of the time. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { ChannelCrypto, SecretKey } from '@countersign/core/ports'
import { recordsPerKeyMax } from '../../../src/tls/limits.ts'
import { extension, u16 } from '../puppetBytes.ts'
import * as steps from '../puppetSteps.ts'
import { clientCa, clientEntity } from '../puppetWorld.ts'
import { assertOpen, assertRefused, fixedCrypto, opened, type Talk, talk } from './conversation.ts'

const none = new Uint8Array()
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
    const sealed = new Map<SecretKey, { count: number; readonly others: string[] }>()
    let isOpen = false
    const crypto: ChannelCrypto = {
      ...fixedCrypto,
      seal(aead, key, nonce, aad, plaintext) {
        if (!isOpen) return fixedCrypto.seal(aead, key, nonce, aad, plaintext)
        const under = sealed.get(key) ?? { count: 0, others: [] }
        sealed.set(key, under)
        under.count++
        if (plaintext.at(-1) !== 23) under.others.push(Buffer.from(plaintext).toString('hex'))
        return none
      },
    }
    const talked = await opened([], {}, { crypto })
    isOpen = true
    talked.puppet.receive = () => undefined
    const byte = Buffer.of(1)
    for (let count = 0; count <= recordsPerKeyMax; count++) talked.client.write(byte)
    // KeyUpdate, update_not_requested: the last one under its key.
    assert.deepEqual(
      [...sealed.values()],
      [
        { count: recordsPerKeyMax + 1, others: ['180000010016'] },
        { count: 1, others: [] },
      ],
    )
  })

  test('of the exporter are those of the server', async () => {
    const talked = await opened()
    const label = 'EXPORTER-Channel-Binding'
    const exported = talked.client.exporter(label, Buffer.alloc(0), 32)
    assert.deepEqual(Buffer.from(exported), talked.puppet.exported(label, Buffer.alloc(0), 32))
  })
})
