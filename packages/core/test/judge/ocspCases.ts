/** A stapled response, our verdict on it, and OpenSSL's. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { needsOpenssl, temporaryFolder } from '../x509/support.ts'
import {
  certificateFile,
  type House,
  type StapleShape,
  stapleOf,
  statusVerdict,
} from './ocspWorld.ts'

export const unusable = 'ERR_OCSP_UNUSABLE link 0 (CN=leaf): OCSP response'
export const stale = 'ERR_OCSP_STALE link 0 (CN=leaf): OCSP response'
export const refused = 'ERR_CERT_REVOKED link 0 (CN=leaf): serialNumber'

const { skip } = needsOpenssl()
const folder = temporaryFolder()

/** Our verdict, and OpenSSL's yes or no to the same response unless the reason says why not. */
export async function stapleCase(
  home: House,
  shape: StapleShape,
  expected: string,
  differs?: string,
): Promise<void> {
  const staple = await stapleOf(home, shape)
  assert.equal(statusVerdict(home, staple), expected)
  if (skip !== false || differs !== undefined) return
  assert.equal(opensslClears(home, staple, shape.hash ?? 'sha1'), expected === 'ok')
}

/** `openssl ocsp` on the same response: true when it clears the leaf. */
function opensslClears(home: House, staple: Uint8Array, hash: string): boolean {
  writeFileSync(join(folder, 'staple.der'), staple)
  const ca = certificateFile(folder, 'ca', home.ca.certificate)
  const given = ['ocsp', '-respin', join(folder, 'staple.der'), '-no_nonce', `-${hash}`]
  given.push('-issuer', ca, '-cert', certificateFile(folder, 'leaf', home.leaf.certificate))
  given.push('-CAfile', certificateFile(folder, 'root', home.root.certificate))
  given.push('-verify_other', ca, '-no-CApath', '-no-CAstore')
  const result = spawnSync('openssl', given)
  assert.equal(result.error, undefined)
  const said = Buffer.concat([result.stdout, result.stderr]).toString()
  const good = /leaf\.pem: good/.test(said) && !/WARNING: Status times invalid/.test(said)
  return good && /Response verify OK/.test(said)
}
