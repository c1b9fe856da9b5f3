/**
 * An emulated part on the single wire from end to end: its server, the serial port that socat makes
 * by the line that is shown for it, the library `serialport`, and the element behind its URL.
 */
import assert from 'node:assert/strict'
import { createHash, createPublicKey, verify } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { openElement } from '../../src/compose.ts'
import { serveEmulatedChip } from '../../src/serveEmulator.ts'
import { spkiOfPoint } from '../../src/signer.ts'
import { noSocat, runSocat } from './socat.ts'

async function temporary(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'wire-'))
  t.after(() => rm(folder, { recursive: true }))
  return folder
}

test('a key is made, signs and is attested over a serial port', { skip: noSocat }, async (t) => {
  const folder = await temporary(t)
  const [file, socket] = [join(folder, 'part.json'), join(folder, 'wire')]
  const served = await serveEmulatedChip({
    file,
    socket,
    times: 'none',
    framing: 'swi',
    blank: false,
  })
  t.after(() => served.close())
  const port = join(folder, 'wire.tty')
  assert.equal(served.address, undefined)
  assert.equal(served.url, `atecc608:swi:${port}`)
  assert.equal(served.serialPort, `socat PTY,link=${port},rawer UNIX-CONNECT:${socket}`)
  await runSocat(t, port, served.serialPort.split(' '))

  const element = await openElement(served.url, { folder, mustExist: true })
  try {
    const { serial, kind } = await element.info()
    assert.deepEqual([serial, kind], [served.serial, 'atecc608'])
    const point = await element.generateKey(0)
    const message = Buffer.from('over one wire')
    const digest = createHash('sha256').update(message).digest()
    const spki = Buffer.from(spkiOfPoint(point))
    const key = createPublicKey({ key: spki, format: 'der', type: 'spki' })
    const signature = await element.sign(0, digest)
    assert.ok(verify('sha256', message, { key, dsaEncoding: 'ieee-p1363' }, signature))
    const { chain } = (await element.attest?.(0, new Uint8Array(32).fill(7))) ?? {}
    assert.equal(chain?.length, 1, 'slot 8 came over the wire whole')
  } finally {
    await element.close()
  }
})

test('a part is of one wire for good', async (t) => {
  const folder = await temporary(t)
  const [file, socket] = [join(folder, 'part.json'), join(folder, 'wire')]
  const options = { file, socket, times: 'none', blank: true } as const
  await assert.rejects(serveEmulatedChip({ ...options, framing: 'swi', address: 0x35 }), {
    code: 'ERR_ELEMENT_ARGUMENT',
  })
  const served = await serveEmulatedChip({ ...options, framing: 'swi' })
  await served.close()
  await assert.rejects(serveEmulatedChip(options), { code: 'ERR_ELEMENT_CONFIG' })
})
