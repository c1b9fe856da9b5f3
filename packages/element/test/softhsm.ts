/**
 * A token of SoftHSM for tests, in a folder of its own. SoftHSM reads where its tokens are once in
 * the life of a process, so one process has one such folder.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const modules = [
  '/usr/lib/softhsm/libsofthsm2.so',
  '/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so',
  '/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so',
]
export const pin = '4711'

/** For `skip`: why there is no token on this machine. With PEERS=required that is a failure. */
export function tokenMissing(): string | false {
  if (module() !== undefined) return false
  if (process.env['PEERS'] === 'required') throw new Error('SoftHSM is required and not installed')
  return 'SoftHSM is not installed'
}

/** Makes a token with this label; the URL of a key in it. */
export function makeToken(folder: string, label: string): string {
  const configuration = join(folder, 'softhsm2.conf')
  process.env['SOFTHSM2_CONF'] = configuration
  mkdirSync(join(folder, 'tokens'), { recursive: true })
  writeFileSync(
    configuration,
    `directories.tokendir = ${join(folder, 'tokens')}\nlog.level = ERROR\n`,
  )
  const pins = ['--pin', pin, '--so-pin', '12345678']
  execFileSync('softhsm2-util', ['--init-token', '--free', '--label', label, ...pins], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const pinFile = join(folder, 'pin')
  writeFileSync(pinFile, pin, { mode: 0o600 })
  return `pkcs11:token=${label};object=device?module-path=${module()}&pin-source=file:${pinFile}`
}

function module(): string | undefined {
  return modules.find((path) => existsSync(path))
}
