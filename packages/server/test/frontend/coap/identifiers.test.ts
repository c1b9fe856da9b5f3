import assert from 'node:assert/strict'
import { it } from 'node:test'
import { coapCode } from '@countersign/core/coap'
import type { Random } from '@countersign/core/ports'
import { randomBytes } from '@countersign/element/nodeCrypto'
import { CoapHouse } from './house.ts'

/** C_R has three bytes; nothing else of the door is drawn in threes. */
const idBytes = 3

it('handshakes that begin in one moment have identifiers of their own, whatever is drawn', async () => {
  const count = 8
  let draws = 0
  const random: Random = {
    bytes: (length) =>
      length === idBytes && draws++ < count ? Uint8Array.of(7, 7, 7) : randomBytes.bytes(length),
  }
  const house = await CoapHouse.create({ parts: { random } })
  const devices = []
  for (let n = 0; n < count; n++) devices.push(await house.device())
  const answers = await Promise.all(devices.map((device) => device.first('a', { number: 1 })))
  for (const { code } of answers) assert.equal(code, coapCode.changed)
  assert.ok(draws > count)
  assert.equal(new Set((await house.rows()).map(({ id }) => id)).size, count)
  assert.equal(house.door.load.halfOpen, 0)
  await house.close()
})
