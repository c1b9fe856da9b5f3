/** Runs docs/device-maker/elements.md as it stands there, in a folder of its own, against a house. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openTestHouse } from '../device/house.ts'
import { blocksOf, Terminal } from './pageRunner.ts'

const root = fileURLToPath(new URL('../../../../', import.meta.url))

test('the page about elements does what it says, with emulated parts', async (t) => {
  const house = await openTestHouse()
  const cwd = mkdtempSync(join(tmpdir(), 'countersign-elements-'))
  const path = `${join(root, 'node_modules/.bin')}:${process.env['PATH']}`
  const terminal = new Terminal(cwd, { ...process.env, PATH: path })
  t.after(() => {
    terminal.close()
    rmSync(cwd, { recursive: true, force: true })
  })
  writeFileSync(join(cwd, 'invitation.json'), JSON.stringify(await house.invite()))
  let said = ''
  for (const block of blocksOf(readFileSync(join(root, 'docs/device-maker/elements.md'), 'utf8'))) {
    const script = block.script.replaceAll('npx --no-install countersign', 'countersign')
    const { code, output } = await terminal.run(script)
    assert.equal(code, 0, `line ${block.line}: exit ${code}\n${output}`)
    said += output
  }
  assert.deepEqual([...(await house.messages()).values()], [{ celsius: 21.5 }])
  const [device] = await house.call('identity.list', { limit: 1 })
  assert.equal(device?.assurance, 0)
  assert.match(said, /locked: false[^]*locked: true/)
  const { slots, config }: { slots: string[]; config: string } = JSON.parse(
    readFileSync(join(cwd, 'blank.json'), 'utf8'),
  )
  assert.equal(slots.length, 16)
  // LockValue and LockConfig.
  assert.equal(config.slice(2 * 86, 2 * 88), '0000')
})
