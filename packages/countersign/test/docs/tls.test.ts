/** Runs the program of docs/device-maker/tls.md as it stands there, with a device that is enrolled. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { enroll } from '@countersign/device'
import { openTestHouse } from '../device/house.ts'

const page = new URL('../../../../docs/device-maker/tls.md', import.meta.url)
const packageFolder = fileURLToPath(new URL('../..', import.meta.url))

test('the program of the page speaks with the house by a key in an element', async () => {
  const house = await openTestHouse()
  const folder = join(house.root, 'device')
  const invitation = await house.invite()
  const { id } = await enroll({ ...invitation, serial: 'PAGE-1', state: folder })
  const identity = JSON.parse(readFileSync(join(folder, 'identity.json'), 'utf8'))
  const { hostname: host, port } = new URL(invitation.server)
  const { slot, certificates } = identity.current
  const given = { folder, slot, certificates, host, port: Number(port), anchor: invitation.anchor }
  const constants = Object.entries(given).map(
    ([name, value]) => `const ${name} = ${JSON.stringify(value)}\n`,
  )
  const [, code = ''] = /^```ts\n([\s\S]*?)^```$/m.exec(readFileSync(page, 'utf8')) ?? []
  const program = ['--input-type=module-typescript', '--eval', constants.join('') + code]
  // Where the packages of this workspace are found.
  const { stdout } = await promisify(execFile)(process.execPath, program, { cwd: packageFolder })
  assert.match(stdout, /^HTTP\/1\.1 202 /)
  const [event] = await house.events(id)
  assert.equal(event?.['data_base64'] ?? event?.['data'], 'MjEuNQ==')
})
