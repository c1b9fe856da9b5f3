/**
 * step-ca as an anchor for issuance: built by Go from its module when Go is here, kept in the
 * user's cache folder, and run with the one of its databases that syncs every commit (bbolt).
 */
import { execFile } from 'node:child_process'
import { generateKeyPairSync, type KeyObject, randomUUID, sign } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Anchor, MissingProgram } from './anchors.ts'
import { isCa, makeRoot, newKey, openssl } from './pki.ts'
import { freePort, isOpen, placeOf, start } from './processes.ts'

const version = 'v0.28.4'
const cache = join(homedir(), '.cache', 'countersign-bench', `step-ca-${version}`)

export interface StepCa extends Anchor {
  /** What its clients trust. */
  readonly root: string
  /** The body of a request for a certificate with this subject. */
  request(subject: string, csr: string): string
}

export async function startStepCa(folder: string): Promise<StepCa | MissingProgram> {
  const command = await built()
  if (typeof command !== 'string') return command
  const port = await freePort()
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const kid = 'bench'
  makeRoot(folder, 'step-root')
  makeIssuing(folder)
  const config = {
    root: join(folder, 'step-root.pem'),
    crt: join(folder, 'issuing.pem'),
    key: join(folder, 'issuing.key'),
    address: `127.0.0.1:${port}`,
    dnsNames: ['localhost'],
    db: { type: 'bbolt', dataSource: join(folder, 'step.db') },
    authority: {
      provisioners: [
        {
          type: 'JWK',
          name: kid,
          key: { ...publicKey.export({ format: 'jwk' }), kid, alg: 'ES256', use: 'sig' },
        },
      ],
    },
  }
  const file = join(folder, 'ca.json')
  await writeFile(file, JSON.stringify(config))
  const running = await start({ command, args: [file] }, () => isOpen(port))
  const audience = `https://localhost:${port}/1.0/sign`
  return {
    ...running,
    port,
    root: await readFile(config.root, 'utf8'),
    request: (subject, csr) =>
      JSON.stringify({ csr, ott: oneTimeToken(privateKey, { kid, audience, subject }) }),
  }
}

export const stepCaNote: string =
  `step-ca ${version} with bbolt and no request log; it verifies a signed token (ES256) for each request where ours is ` +
  'shown a password, and commits token and certificate one by one, each with its own fsync.'

async function built(): Promise<string | MissingProgram> {
  const program = join(cache, 'step-ca')
  if (existsSync(program)) return program
  const go = placeOf('go')
  if (go === undefined)
    return { missing: 'step-ca: Go, which builds it, is not here (Debian package golang-go).' }
  const env = { ...process.env, GOBIN: cache, CGO_ENABLED: '0', GOFLAGS: '' }
  const module = `github.com/smallstep/certificates/cmd/step-ca@${version}`
  try {
    await promisify(execFile)(go, ['install', module], { env, cwd: homedir() })
    return program
  } catch (error) {
    return { missing: `step-ca: Go could not build it: ${String(error).slice(0, 200)}` }
  }
}

function makeIssuing(folder: string): void {
  const files = [
    '-keyout',
    'issuing.key',
    '-out',
    'issuing.pem',
    '-CA',
    'step-root.pem',
    '-CAkey',
    'step-root.key',
  ]
  openssl(folder, 'req', '-x509', '-subj', '/CN=bench issuing CA', ...newKey, ...files, ...isCa)
}

/** RFC 7519, ES256 (RFC 7518 §3.4): what `step ca token` makes. */
function oneTimeToken(
  key: KeyObject,
  about: { readonly kid: string; readonly audience: string; readonly subject: string },
): string {
  const now = Math.floor(Date.now() / 1000)
  const { kid, audience: aud, subject: sub } = about
  const times = { iat: now, nbf: now - 60, exp: now + 300 }
  const claims = { aud, iss: kid, sub, sans: [sub], jti: randomUUID(), ...times }
  const text = `${part({ alg: 'ES256', kid, typ: 'JWT' })}.${part(claims)}`
  const signature = sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' })
  return `${text}.${signature.toString('base64url')}`
}

function part(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
