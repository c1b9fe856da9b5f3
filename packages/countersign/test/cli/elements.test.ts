/** Whom elements are believed by, and what their maker says, as an operator types it. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { pem } from '@countersign/core/codec'
import { countersign, document } from './bin.ts'

interface Vectors {
  readonly signer: string
  readonly files: Readonly<Record<string, string>>
}

async function vectorsOf(name: string): Promise<unknown> {
  const file = new URL(`../../../../vectors/${name}.json`, import.meta.url)
  return JSON.parse(await readFile(file, 'utf8'))
}

describe('elements at the command line', { timeout: 120_000 }, () => {
  let base = ''
  let folder: readonly string[] = []
  const file = (name: string): string => join(base, name)
  const keep = (name: string, hex: string): Promise<void> =>
    writeFile(file(name), pem('CERTIFICATE', new Uint8Array(Buffer.from(hex, 'hex'))))
  let manifests: Vectors

  before(async () => {
    base = await mkdtemp(join(tmpdir(), 'elements-'))
    folder = ['--dir', file('data')]
    await document(['init', '--dev', ...folder])
    manifests = (await vectorsOf('manifest')) as Vectors
    const { certificates } = (await vectorsOf('attestation-atecc608')) as {
      certificates: Readonly<Record<string, string>>
    }
    await keep('root.pem', certificates['root'] ?? '')
    await keep('signer.pem', manifests.signer)
    await writeFile(file('three.json'), manifests.files['three'] ?? '')
  })
  after(() => rm(base, { recursive: true, force: true }))

  it('a manifest is refused before its signer is named, and counted after', async () => {
    const early = await countersign(['factory', 'import', file('three.json'), '--json', ...folder])
    assert.equal(early.code, 1)
    const { error } = JSON.parse(early.stdout) as { error: Record<string, string> }
    assert.equal(error['code'], 'ERR_MANIFEST_SIGNER')
    assert.equal(error['where'], 'entry 0')
    assert.match(error['hint'] ?? '', /ca anchor add --role manifest/)
    const anchor = ['ca', 'anchor', 'add', file('signer.pem'), '--role', 'manifest', ...folder]
    assert.equal((await document(anchor))['role'], 'manifest')
    const importing = ['factory', 'import', file('three.json'), ...folder]
    const first = await document(importing)
    assert.deepEqual([first['elements'], first['imported'], first['keys']], [3, 3, 15])
    const again = await document(importing)
    assert.deepEqual([again['imported'], again['known']], [0, 3])
    const words = await countersign(importing)
    assert.match(words.stdout, /^known +3$/m)
  })

  it('no bundle for TLS has them in it, unless they are asked for by their role', async () => {
    const add = ['ca', 'anchor', 'add', file('root.pem'), '--role', 'attestation', ...folder]
    await document(add)
    const root = (await readFile(file('root.pem'), 'utf8')).trim()
    const all = await countersign(['ca', 'anchor', 'list', '--pem', ...folder])
    assert.match(all.stdout, /BEGIN CERTIFICATE/)
    assert.ok(!all.stdout.includes(root))
    const role = ['--role', 'attestation']
    const asked = await countersign(['ca', 'anchor', 'list', '--pem', ...role, ...folder])
    assert.equal(asked.stdout.trim(), root)
    const listed = await countersign(['ca', 'anchor', 'list', ...folder])
    assert.match(listed.stdout, /^attestation +foreign/m)
    const bounds = ['--role', 'attestation', '--product', 'default']
    const bounded = await countersign([
      'ca',
      'anchor',
      'add',
      file('signer.pem'),
      '--json',
      ...bounds,
      ...folder,
    ])
    assert.match(bounded.stdout, /ERR_ANCHOR_SCOPE/)
  })
})
