/** Runs docs/device-maker/tokens.md as it stands there, in a folder of its own, against a house. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { modulePath, skip } from '../../../element/test/pkcs11/softhsm.ts'
import { openTestHouse } from '../device/house.ts'
import { blocksOf, Terminal } from './pageRunner.ts'

const root = fileURLToPath(new URL('../../../../', import.meta.url))

test('the page about tokens does what it says, with SoftHSM', { skip }, async (t) => {
  const house = await openTestHouse()
  const cwd = mkdtempSync(join(tmpdir(), 'countersign-tokens-'))
  const path = `${join(root, 'node_modules/.bin')}:${process.env['PATH']}`
  const terminal = new Terminal(cwd, { ...process.env, PATH: path })
  t.after(() => {
    terminal.close()
    rmSync(cwd, { recursive: true, force: true })
  })
  writeFileSync(join(cwd, 'invitation.json'), JSON.stringify(await house.invite()))
  for (const block of blocksOf(readFileSync(join(root, 'docs/device-maker/tokens.md'), 'utf8'))) {
    const script = block.script
      .replaceAll('npx --no-install countersign', 'countersign')
      .replaceAll('/usr/lib/softhsm/libsofthsm2.so', modulePath)
    const { code, output } = await terminal.run(script)
    assert.equal(code, 0, `line ${block.line}: exit ${code}\n${output}`)
  }
  const messages = [...(await house.messages()).values()]
  assert.deepEqual(messages, [{ celsius: 21.5 }])
})
