/**
 * Runs docs/device-maker/tokens.md as it stands there, in folders of its own, against a house. The
 * TPM is swtpm behind tpm2-abrmd.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import * as soft from '../../../element/test/pkcs11/softhsm.ts'
import * as swtpm from '../../../element/test/pkcs11/swtpm.ts'
import { openTestHouse } from '../device/house.ts'
import { blocksOf, Terminal } from './pageRunner.ts'

const root = fileURLToPath(new URL('../../../../', import.meta.url))
const page = readFileSync(join(root, 'docs/device-maker/tokens.md'), 'utf8')
const [onSoftHsm, onTpm] = page.split(/^(?=## TPM 2\.0$)/m)

test('the page about tokens does what it says, with SoftHSM', { skip: soft.skip }, async (t) => {
  await run(t, onSoftHsm, { '/usr/lib/softhsm/libsofthsm2.so': soft.modulePath })
})

test('and with a TPM 2.0', { skip: swtpm.skip }, async (t) => {
  await swtpm.softTpm()
  await run(t, onTpm, {
    '/usr/lib/x86_64-linux-gnu/pkcs11/libtpm2_pkcs11.so': swtpm.modulePath,
    'device:/dev/tpmrm0': 'tabrmd:bus_type=session',
  })
})

/** With what is called otherwise on this machine. */
async function run(
  t: TestContext,
  text: string | undefined,
  here: Readonly<Record<string, string>>,
): Promise<void> {
  const house = await openTestHouse()
  const cwd = mkdtempSync(join(tmpdir(), 'countersign-tokens-'))
  const path = `${join(root, 'node_modules/.bin')}:${process.env['PATH']}`
  const terminal = new Terminal(cwd, { ...process.env, PATH: path })
  t.after(() => {
    terminal.close()
    rmSync(cwd, { recursive: true, force: true })
  })
  writeFileSync(join(cwd, 'invitation.json'), JSON.stringify(await house.invite()))
  const blocks = blocksOf(text ?? '')
  assert.ok(blocks.length > 0)
  for (const block of blocks) {
    let script = block.script.replaceAll('npx --no-install countersign', 'countersign')
    for (const [there, name] of Object.entries(here)) script = script.replaceAll(there, name)
    const { code, output } = await terminal.run(script)
    assert.equal(code, 0, `line ${block.line}: exit ${code}\n${output}`)
  }
  const messages = [...(await house.messages()).values()]
  assert.deepEqual(messages, [{ celsius: 21.5 }])
}
