import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash, createPublicKey, verify } from 'node:crypto'
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { inspect } from 'node:util'
import { errorCode } from '../src/shapes.ts'
import { ecdsaToDer, elementSigner, spkiOfPoint } from '../src/signer.ts'
import { openSoftwareElement } from '../src/software.ts'
import { parseElementUrl } from '../src/url.ts'

const folder = await mkdtemp(join(tmpdir(), 'countersign-element-'))
after(() => rm(folder, { recursive: true }))
let files = 0
const name = (suffix: string): string => join(folder, `signed.${suffix}`)
const freshPath = (): string => join(folder, `element-${files++}.json`)

test('a digest signed by the element verifies in OpenSSL against the public key of the slot', async () => {
  const element = await openSoftwareElement(freshPath())
  const spki = spkiOfPoint(await element.generateKey(1))
  const key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' })
  // Many rounds: short r or s, and high bits, come up by chance.
  for (let round = 0; round < 300; round++) {
    const message = Buffer.from(`reading ${round}`)
    const signature = await element.sign(1, createHash('sha256').update(message).digest())
    assert.equal(signature.length, 64)
    assert.ok(verify('sha256', message, { key, dsaEncoding: 'ieee-p1363' }, signature))
    assert.ok(verify('sha256', message, key, ecdsaToDer(signature)))
  }
})

test('two signatures of one digest differ: the nonce is never used twice', async () => {
  const element = await openSoftwareElement(freshPath())
  await element.generateKey(0)
  const digest = new Uint8Array(32)
  const seen = new Set<string>()
  for (let round = 0; round < 50; round++) {
    seen.add(Buffer.from((await element.sign(0, digest)).subarray(0, 32)).toString('hex'))
  }
  assert.equal(seen.size, 50)
})

test('the openssl command accepts what a signer of the element made', async (t) => {
  const element = await openSoftwareElement(freshPath())
  await element.generateKey(0)
  const signer = await elementSigner(element, 0)
  await writeFile(name('txt'), 'what was said')
  await writeFile(name('sig'), await signer.sign(Buffer.from('what was said')))
  await writeFile(name('der'), signer.spki)
  const args = ['dgst', '-sha256', '-verify', name('der'), '-keyform', 'DER', '-signature']
  try {
    const answer = execFileSync('openssl', [...args, name('sig'), name('txt')], {
      encoding: 'utf8',
    })
    assert.match(answer, /Verified OK/)
  } catch (error) {
    if (errorCode(error) !== 'ENOENT' || process.env.PEERS === 'required') {
      throw error
    }
    t.skip('there is no openssl command on this machine')
  }
})

test('DER integers of a signature are minimal and positive', () => {
  const signature = new Uint8Array(64)
  signature[31] = 0x01
  signature[32] = 0x80
  const expected = `3026020101022100${'80'.padEnd(64, '0')}`
  assert.equal(Buffer.from(ecdsaToDer(signature)).toString('hex'), expected)
})

test('an element opened again has the same serial and the same keys', async () => {
  const path = freshPath()
  const first = await openSoftwareElement(path)
  const point = await first.generateKey(2)
  const info = await first.info()
  await first.close()
  const second = await openSoftwareElement(path)
  assert.deepEqual(await second.info(), info)
  assert.deepEqual(await second.publicKey(2), point)
  const states = (await second.slots()).map((slot) => slot.state)
  assert.deepEqual(states, ['empty', 'empty', 'key', 'empty'])
})

test('keys made at the same time in different slots are all on the disk', async () => {
  const path = freshPath()
  const element = await openSoftwareElement(path)
  const made = await Promise.all([0, 1, 2, 3].map((slot) => element.generateKey(slot)))
  const again = await openSoftwareElement(path)
  assert.deepEqual(await Promise.all([0, 1, 2, 3].map((slot) => again.publicKey(slot))), made)
  assert.ok(!(await readdir(folder)).some((each) => each.endsWith('.new')))
})

const noModes = process.platform === 'win32' ? 'Windows has no such modes' : false
test('the file is private, and one that others may read is refused', {
  skip: noModes,
}, async () => {
  const path = freshPath()
  await openSoftwareElement(path)
  assert.equal((await stat(path)).mode & 0o777, 0o600)
  await chmod(path, 0o640)
  await assert.rejects(openSoftwareElement(path), { code: 'ERR_ELEMENT_MODE' })
})

test('a damaged file is said to be damaged, without quoting it', async () => {
  const path = freshPath()
  const element = await openSoftwareElement(path)
  await element.generateKey(0)
  const good = await readFile(path, 'utf8')
  const secret = /"0":"([^"]{60})/.exec(good)?.[1] ?? assert.fail('no key in the file')
  for (const bad of [
    good.slice(0, -5),
    good.replace('"version":1', '"version":2'),
    good.replace('"0":"MI', '"0":"AA'),
    good.replace('"0"', '"9"'),
    '[]',
  ]) {
    await writeFile(path, bad)
    await assert.rejects(openSoftwareElement(path), (error: Error & { code: string }) => {
      assert.equal(error.code, 'ERR_ELEMENT_DAMAGED')
      assert.ok(!inspect(error).includes(secret))
      return true
    })
  }
})

test('printing an element shows nothing of its keys', async () => {
  const path = freshPath()
  const element = await openSoftwareElement(path)
  await element.generateKey(0)
  const shown = inspect(element, { depth: 9, showHidden: true }) + JSON.stringify(element)
  const text = await readFile(path, 'utf8')
  const stored = /"0":"([^"]+)"/.exec(text)?.[1] ?? assert.fail('no key in the file')
  assert.ok(!shown.includes(stored))
  assert.ok(!shown.includes('PRIVATE'))
})

test('an empty slot, a slot that is not there and a wrong digest are named', async () => {
  const element = await openSoftwareElement(freshPath())
  await assert.rejects(element.publicKey(0), { code: 'ERR_ELEMENT_SLOT_EMPTY' })
  await assert.rejects(element.generateKey(4), { code: 'ERR_ELEMENT_SLOT' })
  await assert.rejects(element.sign(-1, new Uint8Array(32)), { code: 'ERR_ELEMENT_SLOT' })
  await element.generateKey(0)
  await assert.rejects(element.sign(0, new Uint8Array(31)), { code: 'ERR_ELEMENT_DIGEST' })
})

test('an element URL names a file of the state folder and nothing beyond it', () => {
  assert.deepEqual(parseElementUrl('software:'), { kind: 'software', file: 'element.json' })
  assert.deepEqual(parseElementUrl('software:twin'), { kind: 'software', file: 'twin' })
  for (const bad of [
    '',
    'software',
    'software:../twin',
    'software:/etc/x',
    'tpm:0',
    'sw:../twin',
    'software:.',
  ]) {
    assert.throws(() => parseElementUrl(bad), { code: 'ERR_ELEMENT_URL' })
  }
})
