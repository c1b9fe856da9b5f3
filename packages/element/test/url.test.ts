import assert from 'node:assert/strict'
import { test } from 'node:test'
import { absoluteElementUrl, parseElementUrl } from '../src/url.ts'

test('each kind of element has its URL', () => {
  const i2c = { kind: 'i2c', device: '/dev/i2c-1' }
  const emulator = { kind: 'emulator', file: 'chip.json', framing: 'i2c', times: 'real' }
  const cases: Record<string, object> = {
    'sw:': { kind: 'software', file: 'element.json' },
    'sw:twin': { kind: 'software', file: 'twin' },
    'software:twin': { kind: 'software', file: 'twin' },
    'atecc608:/dev/i2c-1': { kind: 'atecc608', at: { ...i2c, address: 0x60 } },
    'atecc608:/dev/i2c-1?address=0x35': { kind: 'atecc608', at: { ...i2c, address: 0x35 } },
    'atecc608:/dev/i2c-1?address=53': { kind: 'atecc608', at: { ...i2c, address: 0x35 } },
    'atecc608:swi:/dev/ttyS0': { kind: 'atecc608', at: { kind: 'swi', device: '/dev/ttyS0' } },
    'atecc608:relay:/run/chip.sock?address=0x60': {
      kind: 'atecc608',
      at: { kind: 'relay', socket: '/run/chip.sock', address: 0x60 },
    },
    'atecc608:emulator:chip.json': { kind: 'atecc608', at: emulator },
    'atecc608:emulator:chip.json?framing=swi&times=none': {
      kind: 'atecc608',
      at: { ...emulator, framing: 'swi', times: 'none' },
    },
    'pkcs11:token=dev;object=key': { kind: 'pkcs11', uri: 'pkcs11:token=dev;object=key' },
  }
  for (const [url, expected] of Object.entries(cases)) {
    assert.deepEqual(parseElementUrl(url), expected, url)
  }
})

test('a URL that means nothing is refused, and the hint shows the forms', () => {
  for (const bad of [
    'atecc608:',
    'atecc608:?address=0x60',
    'atecc608:emulator:',
    'atecc608:/dev/i2c-1?address=0x07',
    'atecc608:/dev/i2c-1?address=0x78',
    'atecc608:/dev/i2c-1?address=c0',
    'atecc608:/dev/i2c-1?address=',
    'atecc608:/dev/i2c-1?address',
    'atecc608:/dev/i2c-1?address=0x60&address=0x60',
    'atecc608:/dev/i2c-1?speed=100',
    'atecc608:spi:/dev/spidev0.0',
    'atecc608:chip.json',
    'atecc608:swi:/dev/ttyS0?address=0x60',
    'atecc608:emulator:chip.json?framing=spi',
    'atecc608:emulator:chip.json?times=',
    'atecc608:emulator:chip\n.json',
    `atecc608:${'x'.repeat(3000)}`,
    'ATECC608:/dev/i2c-1',
  ]) {
    assert.throws(() => parseElementUrl(bad), { code: 'ERR_ELEMENT_URL', hint: /"atecc608:emul/ })
  }
})

test('a path is written out from the folder where it was meant', () => {
  const cases: Record<string, string> = {
    'atecc608:emulator:chip.json?times=none': 'atecc608:emulator:/here/chip.json?times=none',
    'atecc608:emulator:../chip.json': 'atecc608:emulator:/chip.json',
    'atecc608:relay:run/chip.sock?address=0x60': 'atecc608:relay:/here/run/chip.sock?address=0x60',
    'atecc608:emulator:/there/chip.json': 'atecc608:emulator:/there/chip.json',
    'atecc608:/dev/i2c-1': 'atecc608:/dev/i2c-1',
    'sw:twin': 'sw:twin',
    'pkcs11:token=dev': 'pkcs11:token=dev',
    // The path is also the name of the way: the right one of the two is replaced.
    'atecc608:emulator:emulator': 'atecc608:emulator:/here/emulator',
  }
  for (const [url, expected] of Object.entries(cases)) {
    assert.equal(absoluteElementUrl(url, '/here'), expected)
  }
})
