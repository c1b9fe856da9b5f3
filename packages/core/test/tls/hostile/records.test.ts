/** Records as RFC 8446 §5 does not allow them, and at the edge of what it allows. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { PuppetOptions, Step } from '../puppet.ts'
import { plainRecord } from '../puppetKeys.ts'
import * as steps from '../puppetSteps.ts'
import {
  assertFailed,
  assertOpen,
  assertRefused,
  opened,
  policy,
  type Refusal,
  type Talk,
  talk,
} from './conversation.ts'

const unexpected = { alert: 'unexpected_message', code: 'ERR_TLS_UNEXPECTED_MESSAGE' }
const overflow = { alert: 'record_overflow', code: 'ERR_TLS_RECORD_OVERFLOW' }
const malformed = { alert: 'decode_error', code: 'ERR_TLS_DECODE' }
const badMac = { alert: 'bad_record_mac', code: 'ERR_TLS_RECORD_MAC' }

const handshake = 22
const alert = 21
const applicationData = 23

/** In the place of the EncryptedExtensions. */
const inHandshake = (...wrong: readonly Step[]): Promise<Talk> =>
  talk({ flights: [[steps.serverHello(), ...wrong]] })

/** In the place of the ServerHello. */
const atFirst = (...wrong: readonly Step[]): Promise<Talk> => talk({ flights: [wrong] })

/** The header of a record, and nothing of it. */
const announced = (type: number, length: number): Step =>
  steps.raw(Buffer.of(type, 3, 3, length >> 8, length & 255))

/** TLSInnerPlaintext as it is given. */
const inner = (bytes: Uint8Array): Step => {
  return (puppet) => {
    assert.ok(puppet.out !== undefined)
    puppet.record(puppet.out.sealInner(bytes))
  }
}

const padded = (type: number, content: Uint8Array, padding: number): Step => {
  return (puppet) => {
    assert.ok(puppet.out !== undefined)
    puppet.record(puppet.out.seal(type, content, padding))
  }
}

function assertWaits(talked: Talk, what: string): void {
  assert.deepEqual(talked.failed, [], what)
  assert.deepEqual(talked.puppet.alerts, [], what)
}

const others = Array.from({ length: 256 }, (_, type) => type).filter(
  (type) => type < 20 || type > 23,
)

suite('of a type that there is not', () => {
  test('the first byte of the first record says so', async () => {
    for (const type of others) {
      assertRefused(await atFirst(steps.raw(Buffer.of(type))), unexpected, `type ${type}`)
    }
  })

  test('a record behind the handshake is refused, protected or not', async () => {
    for (const type of others) {
      assertFailed(await opened([steps.raw(Buffer.of(type))]), unexpected, `type ${type}`)
      // A type of 0 is padding.
      if (type > 0) assertFailed(await opened([steps.contentOf(type, Buffer.of(1))]), unexpected)
    }
  })

  test('a protected record within the handshake is refused', async () => {
    for (const type of [1, 19, 20, 24, 25, 64, 128, 255]) {
      const refused = await inHandshake(steps.contentOf(type, Buffer.of(1)))
      assertRefused(refused, unexpected, `type ${type}`)
    }
  })
})

suite('lengths', () => {
  test('a record that is not protected is refused by its header when it is too long', async () => {
    assertWaits(await atFirst(announced(handshake, 16_384)), '2^14')
    assertRefused(await atFirst(announced(handshake, 16_385)), overflow)
    assertRefused(await atFirst(announced(handshake, 65_535)), overflow)
  })

  test('a protected record is refused by its header when it is too long', async () => {
    assertWaits(await inHandshake(announced(applicationData, 16_640)), '2^14 + 256')
    assertRefused(await inHandshake(announced(applicationData, 16_641)), overflow)
    assertFailed(await opened([announced(applicationData, 16_641)]), overflow)
  })

  test('content is refused when it is longer than 2^14, with its padding', async () => {
    const most = Buffer.alloc(16_384, 'x')
    const full = await opened([steps.data(most)])
    assert.equal(full.text, most.toString())
    assertOpen(full)
    const tooLong = Buffer.concat([most, Buffer.of(1, applicationData)])
    assertFailed(await opened([inner(tooLong)]), overflow)
    assertFailed(await opened([padded(applicationData, most, 1)]), overflow)
    assertOpen(await opened([padded(applicationData, most.subarray(1), 1)]))
    assertRefused(await inHandshake(inner(tooLong)), overflow)
  })

  test('content is refused when it is longer than what the client said', async () => {
    for (const recordContentMax of [64, 1000, 16_383]) {
      const options = { policy: { ...policy, recordContentMax } }
      const small = { contentMax: recordContentMax }
      const fits = await opened([steps.data(Buffer.alloc(recordContentMax))], small, options)
      assertOpen(fits)
      // RFC 8449 §4: the type and the padding count.
      const padding = padded(applicationData, Buffer.alloc(recordContentMax), 1)
      assertFailed(await opened([padding], small, options), overflow)
      const longer = Buffer.alloc(recordContentMax + 1)
      assertFailed(await opened([padded(applicationData, longer, 0)], small, options), overflow)
      const flight = [steps.serverHello(), padded(handshake, longer, 0)]
      assertRefused(await talk({ flights: [flight] }, options), overflow)
    }
  })

  test('a protected record that has no room for a tag does not open', async () => {
    for (let length = 0; length < 17; length++) {
      const short = steps.raw(plainRecord(applicationData, Buffer.alloc(length)))
      assertRefused(await inHandshake(short), badMac, `${length} bytes`)
    }
  })

  test('a record of nothing but padding is refused', async () => {
    for (const length of [0, 1, 100, 16_385]) {
      const refused = await inHandshake(inner(Buffer.alloc(length)))
      assertRefused(refused, unexpected, `${length} zeros`)
      assertFailed(await opened([inner(Buffer.alloc(length))]), unexpected)
    }
  })

  test('padding behind a content is nothing', async () => {
    const talked = await opened([
      padded(applicationData, Buffer.from('much'), 1000),
      padded(handshake, Buffer.of(24, 0, 0, 1, 0), 16),
      (puppet) => (puppet.out = puppet.out?.next()),
      padded(alert, Buffer.of(1, 0), 1),
    ])
    assert.deepEqual([talked.text, talked.ended], ['much', 1])
    assertOpen(talked)
  })
})

suite('empty records', () => {
  test('of a handshake are refused', async () => {
    const empty = steps.contentOf(handshake, Buffer.alloc(0))
    assertRefused(await atFirst(empty), unexpected)
    assertRefused(await inHandshake(empty), unexpected)
    assertFailed(await opened([empty]), unexpected)
  })

  test('of alerts are refused as RFC 8446 §5.4 says', async () => {
    const empty = steps.contentOf(alert, Buffer.alloc(0))
    assertRefused(await atFirst(empty), unexpected)
    assertRefused(await inHandshake(empty), unexpected)
    assertFailed(await opened([empty]), unexpected)
  })

  test('of data are nothing, but only where data may come', async () => {
    const empty = steps.data('')
    const talked = await opened([empty, steps.data('full'), empty])
    assert.deepEqual(talked.data.length, 1)
    assertOpen(talked)
    assertRefused(await atFirst(empty), unexpected)
    assertRefused(await inHandshake(empty), unexpected)
  })
})

suite('protection', () => {
  const finishedMessage = Buffer.of(20, 0, 0, 1, 0)

  test('a record without it is refused where there are keys', async () => {
    for (const [type, content] of [
      [handshake, finishedMessage],
      [alert, Buffer.of(2, 40)],
      [alert, Buffer.of(1, 0)],
    ] as const) {
      const bare = steps.raw(plainRecord(type, content))
      assertRefused(await inHandshake(bare), unexpected, `type ${type}`)
      assertFailed(await opened([bare]), unexpected, `type ${type}`)
    }
    const bare = steps.raw(plainRecord(applicationData, Buffer.alloc(40)))
    assertRefused(await inHandshake(bare), badMac)
    assertFailed(await opened([bare]), badMac)
  })

  test('data before there are keys is refused', async () => {
    assertRefused(await atFirst(steps.data('GET /')), unexpected)
  })

  test('data within the handshake is refused', async () => {
    assertRefused(await inHandshake(steps.data('too early')), unexpected)
  })

  test('a record that comes twice is refused', async () => {
    const refused = await talk({
      onRecord: (record, index) => (index === 2 ? [record, record] : [record]),
    })
    assertRefused(refused, badMac)
  })

  test('records that have changed their places are refused', async () => {
    let kept: Buffer = Buffer.alloc(0)
    const onRecord: PuppetOptions['onRecord'] = (record, index) => {
      if (index === 2) kept = record
      return index === 2 ? [] : index === 3 ? [record, kept] : [record]
    }
    assertRefused(await talk({ onRecord }), badMac)
  })
})

/** A change_cipher_spec as it is given. */
const changing = (...content: readonly number[]): Step =>
  steps.raw(plainRecord(20, Buffer.from(content)))

suite('change_cipher_spec', () => {
  test('is dropped wherever it comes before the Finished, also within a message', async () => {
    const everywhere = steps.fullFlight.flatMap((step) => [changing(1), step])
    assertOpen(await talk({ flights: [everywhere] }))
    const split = await talk({
      contentMax: 40,
      onRecord: (record) => [Buffer.of(20, 3, 3, 0, 1, 1), record],
    })
    assertOpen(split)
  })

  test('is refused when it is not the one byte 1', async () => {
    for (const content of [[], [0], [2], [255], [1, 1]]) {
      assertRefused(await atFirst(changing(...content)), unexpected, content.join())
      assertRefused(await inHandshake(changing(...content)), unexpected, content.join())
    }
  })

  test('is refused when it is protected', async () => {
    assertRefused(await inHandshake(steps.contentOf(20, Buffer.of(1))), unexpected)
    assertFailed(await opened([steps.contentOf(20, Buffer.of(1))]), unexpected)
  })

  test('is refused behind the Finished', async () => {
    assertFailed(await opened([changing(1)]), unexpected)
    const talked = await talk({ flights: [[...steps.fullFlight, changing(1)]] })
    assertFailed(talked, unexpected)
  })
})

suite('within a message that is split', () => {
  /** The first half of a message, then something else. */
  const interrupted = (...between: readonly Step[]): readonly Step[] => [
    steps.contentOf(handshake, Buffer.of(8, 0, 0)),
    ...between,
    steps.contentOf(handshake, Buffer.of(2, 0, 0)),
  ]
  const halfTicket = steps.contentOf(handshake, Buffer.of(4, 0))

  for (const [what, between, refusal] of [
    ['data', steps.data('between'), unexpected],
    ['empty data', steps.data(''), unexpected],
    ['a warning', steps.alert(90), unexpected],
  ] satisfies readonly (readonly [string, Step, Refusal])[]) {
    test(`${what} is refused`, async () => {
      assertRefused(await inHandshake(...interrupted(between)), refusal)
      assertFailed(await opened([halfTicket, between]), refusal)
    })
  }

  test('an error of the server is heard', async () => {
    const refusal = { alert: undefined, code: 'ERR_TLS_ALERT' }
    assertRefused(await inHandshake(...interrupted(steps.alert(80))), refusal)
    assertFailed(await opened([halfTicket, steps.alert(80)]), refusal)
  })
})

test('what is no TLS at all is refused', async () => {
  assertRefused(await atFirst(steps.raw(Buffer.from('HTTP/1.1 400 Bad Request\r\n'))), unexpected)
  assertRefused(await atFirst(steps.raw(Buffer.of(22, 2, 0, 0, 1))), malformed)
})
