/** Runs the program of docs/device-maker/coap.md as it stands there, with a device that is enrolled. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { enroll } from '@countersign/device'
import { openTestHouse } from '../device/house.ts'

const page = new URL('../../../../docs/device-maker/coap.md', import.meta.url)
const packageFolder = fileURLToPath(new URL('../..', import.meta.url))

test('the program of the page sends a reading over coap, and says how it was taken', async () => {
  const house = await openTestHouse()
  const folder = join(house.root, 'device')
  const invitation = await house.invite()
  const { id, eui64 } = await enroll({ ...invitation, serial: 'PAGE-2', state: folder })
  const identity = JSON.parse(readFileSync(join(folder, 'identity.json'), 'utf8'))
  const { hostname: host, port } = new URL(invitation.coap)
  const { slot, certificates } = identity.current
  const given = { folder, slot, certificates, host, port: Number(port), anchor: invitation.anchor }
  const constants = Object.entries(given).map(
    ([name, value]) => `const ${name} = ${JSON.stringify(value)}\n`,
  )
  const [, code = ''] = /^```ts\n([\s\S]*?)^```$/m.exec(readFileSync(page, 'utf8')) ?? []
  const program = ['--input-type=module-typescript', '--eval', constants.join('') + code]
  // Where the packages of this workspace are found.
  const { stdout } = await promisify(execFile)(process.execPath, program, { cwd: packageFolder })
  assert.equal(stdout, '2.04\n')
  const [event] = await house.events(id)
  assert.partialDeepStrictEqual(event, { id: `${eui64}-1`, road: 'coap', data: { celsius: 21.5 } })
})
