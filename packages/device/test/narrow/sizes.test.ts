/** Bytes on the wire, payloads of UDP, as docs/device-maker/coap.md tells them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { certificates, makeScene, reading, type Scene, serverAddress } from './scene.ts'

const { ca, signs, agrees } = certificates
const day = 86_400_000

/** Of what was sent, in order: `>` by the device, `<` by the server. */
function lengths({ network }: Scene): string[] {
  const seen: string[] = []
  network.observe(({ act, datagram, from }) => {
    if (act !== 'sent') return
    seen.push(`${from === serverAddress ? '<' : '>'} ${datagram.length}`)
  })
  return seen
}

for (const [method, leaf, message2] of [
  [0, signs, 129],
  [1, agrees, 59],
] as const) {
  test(`method ${method}: what a device and its server say first, what later, and each time`, async () => {
    const scene = makeScene()
    const { time, server, device } = scene
    const { session } = await device({ method })
    const seen = lengths(scene)
    await time.until(session.request(reading(1)))
    // Never met: Echo, then leaf and issuer by value, whose signatures differ by a byte or two.
    const byValue = message2 + leaf.der.length + ca.der.length + 6
    const [first, echo, again, answer, third, done] = seen.splice(0)
    assert.deepEqual([first, echo, again, third, done], ['> 71', '< 22', '> 85', '> 136', '< 19'])
    const length = Number(answer?.slice(2))
    assert.ok(Math.abs(length - byValue) <= 16, `${length} bytes and not ${byValue}`)

    await time.until(session.request(reading(2)))
    assert.deepEqual(seen.splice(0), ['> 45', '< 19'])

    server.forget()
    await time.advance(day)
    await time.until(session.request(reading(3)))
    // A reading that is not understood any more (sent twice in the time of grace), and a handshake.
    assert.deepEqual(seen.splice(-4), ['> 67', `< ${message2}`, '> 136', '< 19'])
  })
}
