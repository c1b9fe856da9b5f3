import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromHex } from '@countersign/core/codec'
import { HandshakesSeen } from '../src/handshakesSeen.ts'

const path = 'bb2e77656c6c2d6b6e6f776e056564686f63'
/** CON POST /.well-known/edhoc, Content-Format 65, `true` and 5 bytes. */
const message1 = fromHex(`41020001aa${path}1141fff50102030405`)
/** ACK 2.04, Content-Format 64, 7 bytes. */
const message2 = fromHex('61440001aac140ff01020304050607')
/** CON POST with kid 010203, OSCORE and EDHOC (RFC 9668 §3.2.1): a byte string of 3, then ciphertext. */
const combined = fromHex('41020002bb950905010203c0ff43aabbcc112233445566778899')
/** C_R in front of it, on its own (RFC 9528 Appendix A.2.1). */
const message3 = fromHex(`41020002bb${path}1141ff4301020343aabbcc`)

function seen(...datagrams: readonly (readonly [Uint8Array, 'up' | 'down', string?])[]): unknown {
  const watch = new HandshakesSeen()
  for (const [datagram, direction, device = 'a'] of datagrams)
    watch.see(datagram, device, direction)
  return watch.all
}

test('a handshake is three messages, the third with a request or alone', () => {
  for (const third of [combined, message3]) {
    assert.deepEqual(seen([message1, 'up'], [message2, 'down'], [third, 'up']), [[5, 7, 4]])
  }
})

test('what is sent again counts once, and two devices are two handshakes', () => {
  assert.deepEqual(
    seen(
      [message1, 'up'],
      [message1, 'up', 'b'],
      [message2, 'down'],
      [message1, 'up'],
      [message2, 'down'],
      [message2, 'down', 'b'],
      [combined, 'up'],
      [combined, 'up'],
      [combined, 'up', 'b'],
    ),
    [
      [5, 7, 4],
      [5, 7, 4],
    ],
  )
})

test('one that was not answered, or by somebody else, is none', () => {
  const otherToken = fromHex('61440001abc140ff01020304050607')
  const error = fromHex('61800001aac140ff0102')
  const noise = fromHex('ffffff')
  for (const down of [otherToken, error, noise]) {
    assert.deepEqual(seen([message1, 'up'], [down, 'down'], [combined, 'up']), [])
  }
  assert.deepEqual(seen([combined, 'up']), [])
})
